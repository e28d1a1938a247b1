"""What the estimators share: nested parameters, all-or-nothing fits, the fitted state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted

from ._families import NAMED
from ._fitted import Fitted, from_state, to_state
from ._html import WithAutomatic, resolved
from ._machine import memory_errors, own_settings, torch_threads
from ._params import Params, brief, has_params
from ._parts import is_word, own_copy
from ._per_layer import LISTED, entries, is_inside, is_list, set_entry, shown
from ._scoring import features, scores_by_layer
from ._typing import MatrixLike
from ._validation import validate_rows
from ._version import __version__
from ._warn import warn
from .core.engine import FFNet
from .core.interrupts import deferred_interrupt
from .core.prediction import activation, reached
from .core.user_callbacks import check_picklable, cloned
from .exceptions import DivergenceError, InterruptedFitWarning, VersionWarning

# What "auto" or a name came to, by fields of the plan that attributes show.
SHOWN = (
    *("overlay", "negatives", "goodness", "objective", "input_normalization"),
    *("batch_size", "max_iter", "learning_rate_init", "scaling"),
)

OPTIONAL = ("classes", "class_count", "scale", "slips")  # where labels are learned

# What scikit-learn keeps on an estimator while it fits.
WHILE_FITTING = ("_callback_fit_ctx", "_skl_callbacks_to_teardown", "_parent_callback_ctx")
# Examples of objects to pass, for parameters whose parts have no registered names.
EXAMPLES = {
    "head": "SoftmaxHead({}=...)",
    "schedule": "Greedy({}=...)",
    "learning_rate": "Cosine({}=...)",
    "layers": "[Dense(100)]",
}
AUTOMATIC = {"objective": "swish", "negatives": "hard"}  # what "auto" usually comes to
VERSION = "_sklearn_ff_version"  # key of a snapshot's state


class Watched(CallbackSupportMixin):
    """What callbacks of scikit-learn ask of an estimator, besides tasks; it takes sparse rows."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __copy__(self) -> Self:
        """A copy that shares all values; no fit changes what it has published before."""
        new = object.__new__(type(self))
        new.__dict__ = lasting(self.__dict__)
        return new

    def __getstate__(self) -> dict[str, Any]:
        return lasting(super().__getstate__())


class BaseFF(
    Watched,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    Params,
    BaseEstimator,
):
    """Base of all Forward-Forward estimators, for `isinstance`.

    Every one is a transformer too, as LinearDiscriminantAnalysis is.
    """

    PREDICTS = False  # whether it predicts classes
    COUNTED: str | None = None  # the parameter that names the layers which count for results

    __repr__ = BaseEstimator.__repr__

    def _get_params_html(self, deep: bool = True, doc_link: str = "") -> Any:
        """As scikit-learn's; what is inside of parts stands in their representation."""
        return super()._get_params_html(deep=False, doc_link=doc_link)

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """As scikit-learn's, below what "auto" came to."""
        attributes = super()._get_fitted_attr_html(doc_link=doc_link)
        return WithAutomatic(attributes, resolved(self._fitted.plan))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to name those of its parts too, as ``objective__sharpness``, or
            ``objective__0__sharpness`` where every layer has a part of its own.

        Returns
        -------
        params : dict
            Parameters by name.
        """
        params = super().get_params(deep)
        return {**params, **entries(params)} if deep else params

    def set_params(self, **params: Any) -> Self:
        """Set the parameters of this estimator, nested ones of its parts included.

        Parameters
        ----------
        **params : dict
            Parameters by name; ``negatives__temperature`` reaches inside the part ``negatives``,
            which must then be an object, and ``layers__0__n_units`` inside an entry of a list.

        Returns
        -------
        self : object
            This estimator.
        """
        for key in params:
            name, _, inner = key.partition("__")
            if inner and is_without_parameters(name, params.get(name, getattr(self, name, None))):
                raise ValueError(no_nested_names(self, name, inner, params))
        inside = {key: params.pop(key) for key in [*params] if is_inside(key, params, self)}
        super().set_params(**params)
        for key in sorted(inside, key=lambda key: key.count("__")):  # entries, then what is in them
            set_entry(self, key, inside[key])
        return self

    @property
    def net_(self) -> FFNet:
        """The skorch net; ``net_.module_`` is the torch network.

        What was set on this estimator since its fit, such as `prediction`, counts for it too.
        """
        fitted = vars(self).get("_fitted")
        if fitted is None:
            raise AttributeError(f"This {type(self).__name__} has no net_ yet; call fit first.")
        with own_settings():
            self._set_answer(fitted)
        return fitted.net

    def _set_answer(self, fitted: Fitted) -> None:
        """Let the network, called on raw rows, answer as this estimator does."""

    def layer_scores(self, X: MatrixLike) -> np.ndarray:
        """Compute the goodness of each row in every layer, for every label if these are learned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        goodness : ndarray of shape (n_samples, n_layers, n_classes)
            With one class in a transformer without labels; layers of a classifier that see no
            labels score all classes alike. Without layers that a greedy fit has not reached.
        """
        with torch_threads(self.n_threads):
            fitted, X = checked_rows(self, X)
            return scores_by_layer(fitted.network, fitted.plan, X)

    def transform(self, X: MatrixLike) -> np.ndarray:
        """Return activations of the layers that count side by side, normalised as between layers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            Of `prediction_layers` in a classifier, of `output_layers` in a transformer; where
            labels are learned, under the neutral label. In float32 if X is, otherwise in float64.
            Without layers that a greedy fit has not reached.
        """
        with torch_threads(self.n_threads):
            fitted, X = checked_rows(self, X)
            dtype = np.float32 if X.dtype == np.float32 else np.float64
            return features(fitted.network, fitted.plan, X, self._read_out(), dtype)

    def _read_out(self) -> Any:
        """What `transform` reads from a layer: a function (layer, a, h) -> values."""
        return activation

    @property
    def _n_features_out(self) -> int:
        plan, network = self._fitted.plan, self._fitted.network
        return sum(plan.units[index] for index in reached(network, plan.counted))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_clone__(self) -> Self:
        """As scikit-learn's, but callbacks that cannot be copied are used as they are."""
        if not isinstance(self.callbacks, (list, tuple)):
            return super().__sklearn_clone__()
        bare: Any = object.__new__(type(self))
        vars(bare).update(vars(self), callbacks=None)
        new = super(BaseFF, bare).__sklearn_clone__()
        new.callbacks = cloned(self.callbacks)
        return new

    def __getstate__(self) -> dict[str, Any]:
        """Owned numpy arrays instead of torch objects, so that pickles cross devices."""
        check_picklable(self.callbacks)
        return self._state()

    def _state(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "_fitted" in state:
            state["_fitted"] = to_state(state["_fitted"])
        return {**state, VERSION: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        with own_settings():
            state = dict(state)
            warn_of_version(type(self).__name__, state.pop(VERSION, "unknown"))
            if "_fitted" in state:
                state["_fitted"] = from_state(state["_fitted"])
            super().__setstate__(state)


def lasting(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes of an estimator without those of a fit that goes on."""
    return {name: value for name, value in attributes.items() if name not in WHILE_FITTING}


def warn_of_version(name: str, version: str) -> None:
    """Warn where a snapshot was made by another version of the package."""
    if version != __version__:
        warn(
            f"This snapshot of {name} was made by sklearn_ff {version} and is opened by "
            f"{__version__}, which may fail or change its results. Fit again, or open it in "
            f"{version} and write it with sklearn_ff.save, whose files every later version reads.",
            VersionWarning,
        )


def is_without_parameters(name: str, value: Any) -> bool:
    """Whether a parameter takes objects with parameters of their own, but `value` is none."""
    if name in NAMED:
        return is_word(value)
    return name in EXAMPLES and not (has_params(value) or (name in LISTED and is_list(value)))


def no_nested_names(estimator: BaseFF, name: str, inner: str, params: dict[str, Any]) -> str:
    """The refusal of a nested name where there is no object to set it on."""
    value = params.get(name, getattr(estimator, name, None))
    example = EXAMPLES.get(name, "an object").format(inner)
    usual = AUTOMATIC.get(name) if value == "auto" else value
    cls = NAMED[name].registry.get(usual) if name in NAMED else None
    example = f"{cls.__name__}({inner}=...)" if isinstance(cls, type) else example
    return (
        f"{name}={brief(value)} has no parameter {inner!r} to set; pass the part itself as an "
        f"object, {name}={example}, and then set {name}__{inner}."
    )


@contextmanager
def all_or_nothing(estimator: Any, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """After an error, `but` for some, the attributes of the estimator are as they were."""
    before = estimator.__dict__.copy()
    try:
        yield
    except but:
        raise
    except BaseException:
        estimator.__dict__ = before  # at one stroke, which no signal can divide
        raise


@contextmanager
def fitting(estimator: BaseFF, goes_on: bool) -> Iterator[Fitted | None]:
    """A fit that succeeds or leaves the estimator as it was; yields what it `goes_on` from.

    Divergence keeps what was finite. So does Ctrl-C, unless it is the first, and something is
    learned already: this is kept.
    """
    with (
        deferred_interrupt() as interrupts,
        torch_threads(estimator.n_threads),
        all_or_nothing(estimator, but=(DivergenceError,)),
    ):
        yield getattr(estimator, "_fitted", None) if goes_on else None
        interrupts.check()
    if interrupts.noted:
        warn(
            f"Training was interrupted after {estimator._fitted.net.n_updates_} updates; the "
            f"estimator keeps what it has learned until then.",
            InterruptedFitWarning,
        )


def publish(estimator: BaseFF, fitted: Fitted) -> None:
    """Set the fitted attributes that both estimators have; raise the error that training met."""
    found = attributes(fitted)
    for name in OPTIONAL:
        estimator.__dict__.pop(f"{name}_", None)
    for name, value in found.items():
        setattr(estimator, name, value)
    if fitted.error is not None:
        raise fitted.error


def attributes(fitted: Fitted) -> dict[str, Any]:
    """The fitted attributes of an estimator, by name."""
    plan, losses = fitted.plan, list(fitted.loss_curve)
    found = {f"{name}_": own_copy(shown(getattr(plan, name))) for name in SHOWN}
    found |= {
        "label_strength_": plan.strength,
        "precision_": "bfloat16" if plan.low_precision else plan.dtype,
        "history_": own_copy(fitted.history),
        "n_iter_": len(losses),
        "loss_curve_": losses,
        "loss_": losses[-1] if losses else float("nan"),
        "validation_scores_": own_copy(fitted.validation_scores),
        "validation_loss_curve_": own_copy(fitted.validation_losses),
        "best_validation_score_": fitted.best_validation_score,
        "_fitted": fitted,
    }
    if plan.settings.predicts:
        found["prediction_"] = own_copy(fitted.rule)
    there = {f"{name}_": own_copy(getattr(fitted, name)) for name in OPTIONAL}
    return found | {name: value for name, value in there.items() if value is not None}


def checked_rows(estimator: BaseFF, X: MatrixLike) -> tuple[Fitted, Any]:
    """What the estimator was fitted to, and the rows X, validated."""
    check_is_fitted(estimator)
    with memory_errors():
        return estimator._fitted, validate_rows(estimator, X, reset=False)
