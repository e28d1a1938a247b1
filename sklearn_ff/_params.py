"""Parameters as of scikit-learn, where values may have another kind of `get_params`."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, clone

__all__ = ["Params", "brief", "has_params"]

FEW = 30  # entries up to which arrays and lists are shown


class Params:
    """Parameters as of BaseEstimator, but a value with another kind of `get_params` is plain.

    Several transforms of torchvision have such a method, which draws random numbers.

    The class is not derived from BaseEstimator, because scikit-learn prints the parameters of its
    estimators in full, and rows of data must not appear in a representation.
    """

    data: tuple[str, ...] = ()  # names of parameters that hold data

    _get_param_names: Any = classmethod(BaseEstimator._get_param_names.__func__)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """The class with the parameters that differ from their defaults, without values of data."""
        init = inspect.signature(type(self).__init__).parameters
        values = BaseEstimator.get_params(self, deep=False).items()
        shown = {name: brief(value, name in self.data) for name, value in values}
        if get_config()["print_changed_only"]:
            shown = {k: v for k, v in shown.items() if v != brief(init[k].default)}
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in shown.items())})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
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
        params = BaseEstimator.get_params(self, deep=False)
        nested = {name: value for name, value in params.items() if deep and has_params(value)}
        for name, value in nested.items():
            params |= {f"{name}__{inner}": found for inner, found in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """As scikit-learn's; a plain value has no parameters to set."""
        own = self._get_param_names()
        for key in params:
            name, nested, inner = key.partition("__")
            value = params.get(name, getattr(self, name, None))
            if nested and name in own and not has_params(value):
                raise ValueError(
                    f"{name}={brief(value)} has no parameter {inner!r} that can be set; set {name} "
                    f"to another object."
                )
        return BaseEstimator.set_params(self, **params)

    def __sklearn_clone__(self) -> Self:
        """As scikit-learn's, but plain values are copied."""
        params = BaseEstimator.get_params(self, deep=False)
        plain = {name: copied(value) for name, value in params.items() if holds_plain(value)}
        bare = object.__new__(type(self))
        vars(bare).update(vars(self))
        vars(bare).update(dict.fromkeys(plain))
        new = BaseEstimator.__sklearn_clone__(bare)
        vars(new).update(plain)
        return new


def brief(value: Any, data: bool = False) -> str:
    """The repr of a value in one line, or the shape only if it holds, or may hold, data."""
    if isinstance(value, functools.partial):
        return f"partial({brief(value.func)}, ...)"
    if isinstance(value, (list, tuple)) and not (data or is_table(value)):
        inside = ", ".join(map(brief, value)) + "," * (type(value) is tuple and len(value) == 1)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    shape = () if callable(value) else shape_of(value)
    if shape and (data or len(shape) > 1 or np.prod(shape) > FEW):
        return f"<{type(value).__name__} of shape {tuple(shape)}>"
    return " ".join(line.strip() for line in repr(value).splitlines())


def is_table(value: Any) -> bool:
    """Whether a list holds rows, or is too long for layers or columns."""
    return len(value) > FEW or any(len(shape_of(row)) > 0 for row in value)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an array, or of a list of numbers or lists."""
    if hasattr(value, "shape"):
        return value.shape
    if not isinstance(value, (list, tuple)):
        return ()
    return (len(value), *(shape_of(value[0]) if len(value) else ()))


def has_params(value: Any) -> bool:
    """Whether its `get_params` is scikit-learn's, which has the argument `deep`."""
    if isinstance(value, type) or not hasattr(value, "get_params"):
        return False
    try:
        return "deep" in inspect.signature(value.get_params).parameters
    except (TypeError, ValueError):  # built-in functions may have no signature
        return False


def holds_plain(value: Any) -> bool:
    """Whether it holds an object with another `get_params`, which `clone` does not support."""
    if type(value) in (list, tuple, set, frozenset):
        return any(map(holds_plain, value))
    if type(value) is dict:
        return any(map(holds_plain, value.values()))
    other = hasattr(value, "get_params") and not isinstance(value, type)
    return other and not has_params(value)


def copied(value: Any) -> Any:
    """A clone of `value` in which plain values are copied."""
    if not holds_plain(value):
        return clone(value, safe=False)
    if type(value) is dict:
        return {key: copied(entry) for key, entry in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(map(copied, value))
    return copy.deepcopy(value)
