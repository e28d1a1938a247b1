"""The families of parts by the parameter that chooses from them."""

from __future__ import annotations

from typing import Any

from ._parts import Family, is_name
from .activations import activations
from .augmentations import augmentations
from .goodness import goodness
from .negatives import Negatives, negatives
from .normalizations import input_normalizations, normalizations
from .objectives import objectives
from .overlays import overlays
from .predictions import predictions

FAMILIES: dict[str, Family[Any]] = {
    "activation": activations,
    "overlay": overlays,
    "negatives": negatives,
    "goodness": goodness,
    "objective": objectives,
    "normalization": normalizations,
    "input_normalization": input_normalizations,
}
# Parameters that take the name of a part.
NAMED: dict[str, Family[Any]] = {
    **FAMILIES,
    "augmentation": augmentations,
    "prediction": predictions,
}


def given_negatives(value: Any) -> Negatives | None:
    """The negatives that a parameter means, or None where "auto" leaves the choice open."""
    return None if is_name(value, "auto") else negatives.get(value, automatic=True)
