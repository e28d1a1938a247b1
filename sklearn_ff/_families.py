"""The families of parts by the parameter that chooses from them."""

from ._parts import is_name
from .activations import activations
from .augmentations import augmentations
from .goodness import goodness
from .negatives import negatives
from .normalizations import normalizations
from .objectives import objectives
from .overlays import overlays

FAMILIES = {
    "activation": activations,
    "overlay": overlays,
    "negatives": negatives,
    "goodness": goodness,
    "objective": objectives,
    "normalization": normalizations,
    "input_normalization": normalizations,
}
NAMED = {**FAMILIES, "augmentation": augmentations}  # parameters that take the name of a part


def given_negatives(value):
    """The negatives that a parameter means, or None where "auto" leaves the choice open."""
    return None if is_name(value, "auto") else negatives.get(value, automatic=True)
