"""Parameters of an estimator, frozen for one call, and their constraints."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from ._families import FAMILIES
from ._parts import LARGEST
from .augmentations import Augmentation
from .schedules import Rate, Schedule

LISTS = (list, tuple)


@dataclass(frozen=True)
class Settings:
    """The parameters of an estimator, as they are given.

    Those with a default are parameters that one of the estimators does not have. `estimator` is
    the name of its class, `defaults` its defaults by parameter, `predicts` whether it predicts
    classes, `counted` the layers that count for its results, and `counted_name` the parameter that
    names these. Callbacks are not among them: they belong to a run of the loop.
    """

    estimator: str
    defaults: dict
    predicts: bool
    counted: Any
    counted_name: str
    hidden_layer_sizes: Any
    activation: Any
    overlay: Any
    negatives: Any
    goodness: Any
    objective: Any
    normalization: Any
    input_normalization: Any
    scaling: Any
    schedule: Any
    layers: Any
    image_shape: Any
    augmentation: Any
    dropout: Any
    peer_normalization: float
    optimizer: Any
    optimizer_params: Any
    learning_rate: Any
    learning_rate_init: Any
    alpha: Any
    batch_size: Any
    max_iter: Any
    shuffle: bool
    tol: Any
    n_iter_no_change: int
    warm_start: bool
    device: Any
    precision: str
    compile: Any
    verbose: Any
    random_state: Any
    supervised: bool = True
    prediction: str = "goodness"
    head: Any = None
    early_stopping: bool = False
    scoring: Any = None
    validation_fraction: float = 0.1
    class_weight: Any = None

    def given(self, name: str) -> Any:
        """The value of a parameter, by its name in the estimator."""
        return self.counted if name == self.counted_name else getattr(self, name, None)


MISSING = object()


def settings_of(estimator: Any) -> Settings:
    """The settings of an estimator at this moment."""
    # A subclass may have a constructor with fewer parameters; the attributes are there.
    found: dict[str, Any] = {}
    declares = next(cls for cls in type(estimator).__mro__ if "COUNTED" in vars(cls))
    signature = inspect.signature(declares).parameters
    for field in fields(Settings):
        declared = field.name in signature
        found[field.name] = getattr(estimator, field.name) if declared else MISSING
    found |= {
        "estimator": type(estimator).__name__,
        "defaults": {name: parameter.default for name, parameter in signature.items()},
        "predicts": estimator.PREDICTS,
        "counted": getattr(estimator, estimator.COUNTED),
        "counted_name": estimator.COUNTED,
    }
    return Settings(**{name: value for name, value in found.items() if value is not MISSING})


# Arrays pass where lists do, so that their refusal does not print their values.
SHARED_CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    **{name: family.constraint for name, family in FAMILIES.items()},
    "scaling": [StrOptions({"auto", "standard", "shared", "global", "sparse", "running"}), None],
    "schedule": [str, Schedule, *LISTS],
    "layers": ["array-like", None],
    "image_shape": ["array-like", None],
    "augmentation": [str, callable, Augmentation, "array-like", None],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "peer_normalization": [Interval(Real, 0, LARGEST, closed="both")],
    "optimizer": [str, type, *LISTS],
    "optimizer_params": [dict, *LISTS, None],
    "learning_rate": [str, Rate],
    "learning_rate_init": [
        StrOptions({"auto"}),
        Interval(Real, 0, None, closed="neither"),
        "array-like",
    ],
    "alpha": [Interval(Real, 0, LARGEST, closed="both"), "array-like"],
    "batch_size": [StrOptions({"auto", "all"}), Interval(Integral, 1, None, closed="left")],
    "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "tol": [Interval(Real, 0, None, closed="left"), None],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "warm_start": ["boolean"],
    "callbacks": [list, tuple, None],
    "device": [str, torch.device],
    "precision": [StrOptions({"auto", "float32", "float64", "bfloat16"})],
    "compile": ["boolean", StrOptions({"auto"})],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}
