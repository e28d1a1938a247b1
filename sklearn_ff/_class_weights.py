"""Weights of classes: from a dict, or such that all classes have the same sum of weights."""

import math
from numbers import Real

import numpy as np


def class_weights(choice, classes, codes, weight):
    """A weight for each of the `classes`; `codes` and `weight` are those of the training rows.

    A weight of k counts as k copies, so balanced classes have equal sums of weights. A class whose
    rows have no weight keeps 1.
    """
    weights = np.ones(len(classes))
    if choice is None:
        return weights
    if isinstance(choice, dict):
        return _by_label(choice, classes.tolist(), weights)
    sums = np.bincount(codes, weight, minlength=len(classes))
    present = sums > 0
    weights[present] = sums.sum() / (present.sum() * sums[present])
    return weights


def _by_label(choice, labels, weights):
    """Weights from the dict; as in scikit-learn, it may name labels that do not occur."""
    unknown = [label for label in choice if label not in labels]
    if unknown and not all(label in choice for label in labels):
        raise ValueError(
            f"class_weight names labels that are not there, {unknown!r}, and not all that are; the "
            f"classes are {labels!r}."
        )
    for place, label in enumerate(labels):
        value = choice.get(label, 1.0)
        if not (isinstance(value, Real) and 0 <= value < math.inf):
            raise ValueError(
                f"class_weight gives class {label!r} the weight {value!r}; it must be a finite "
                f"number, and not negative."
            )
        weights[place] = value
    return weights
