"""Parameters as scikit-learn means them, beside objects whose `get_params` is of another kind."""

import copy
import inspect

from sklearn.base import BaseEstimator, clone

__all__ = ["Params", "has_params"]


class Params(BaseEstimator):
    """BaseEstimator that takes parameters with a `get_params` of their own for plain values.

    Several transforms of torchvision have one, which draws what a transform does to an image.
    """

    def get_params(self, deep=True):
        """The parameters of this object.

        Parameters
        ----------
        deep : bool, default=True
            Whether to name those of its parameters too.

        Returns
        -------
        params : dict
            Parameters by name.
        """
        params = super().get_params(deep=False)
        nested = {name: value for name, value in params.items() if deep and has_params(value)}
        for name, value in nested.items():
            params |= {f"{name}__{inner}": found for inner, found in value.get_params().items()}
        return params

    def set_params(self, **params):
        """As scikit-learn's; a plain value has no parameters to set."""
        for key in params:
            name, nested, inner = key.partition("__")
            value = params.get(name, getattr(self, name, None))
            if nested and hasattr(value, "get_params") and not has_params(value):
                raise ValueError(
                    f"{name}={value!r} has no parameter {inner!r} that can be set; set {name} to "
                    f"another object."
                )
        return super().set_params(**params)

    def __sklearn_clone__(self):
        """As scikit-learn's, but plain values are copied, whatever methods they have."""
        params = super().get_params(deep=False)
        plain = {name: copied(value) for name, value in params.items() if holds_plain(value)}
        bare = object.__new__(type(self))
        vars(bare).update(vars(self))
        vars(bare).update(dict.fromkeys(plain))
        new = BaseEstimator.__sklearn_clone__(bare)
        vars(new).update(plain)
        return new


def has_params(value):
    """Whether its `get_params` is that of scikit-learn, by its argument `deep`."""
    if isinstance(value, type) or not hasattr(value, "get_params"):
        return False
    try:
        return "deep" in inspect.signature(value.get_params).parameters
    except (TypeError, ValueError):  # of built-in functions nothing is known
        return False


def holds_plain(value):
    """Whether scikit-learn's `clone` would meet a `get_params` of another kind in it."""
    if type(value) in (list, tuple, set, frozenset):
        return any(map(holds_plain, value))
    if type(value) is dict:
        return any(map(holds_plain, value.values()))
    other = hasattr(value, "get_params") and not isinstance(value, type)
    return other and not has_params(value)


def copied(value):
    """A clone of `value`, plain values in it copied."""
    if not holds_plain(value):
        return clone(value, safe=False)
    if type(value) is dict:
        return {key: copied(entry) for key, entry in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(map(copied, value))
    return copy.deepcopy(value)
