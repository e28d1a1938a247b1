"""Weights of classes: from a dict, or such that all classes have the same sum of weights."""

import math
from numbers import Real

import numpy as np

from ._validation import refuse_extreme_weights

NEGLIGIBLE = 1e-12  # weights that are less than this share of the largest count as zero


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
        if not (isinstance(value, Real) and 0 <= float(value) < math.inf):
            raise ValueError(
                f"class_weight gives class {label!r} the weight {value!r}; it must be a finite "
                f"number, and not negative."
            )
        weights[place] = value
    return weights


def weighed(X, codes, weight, by_class, choice, classes):
    """Rows that weigh something, by sample and class weights; the others are left out.

    Class weights that are small as a whole do not make rows count as fewer copies.
    """
    product = weight * by_class[codes]
    some = product > 0
    vanished = ((weight > 0) & (by_class[codes] > 0)) & ~some
    if vanished.any():
        raise ValueError(
            f"sample_weight times class_weight={choice!r} is too small to be computed with in "
            f"{vanished.sum()} rows; give larger weights, or zero."
        )
    if not some.any():
        raise ValueError(
            f"class_weight={choice!r} leaves no row with a weight above zero; give a class whose "
            f"rows weigh something a weight above zero."
        )
    some = counting(product, codes, choice, classes)
    if not some.all():
        X, codes, weight = X[some], codes[some], weight[some]
    copies = weight * max(1.0, len(weight) / weight.sum())
    weight = copies * by_class[codes]
    refuse_extreme_weights(weight, f"rows, with class_weight={choice!r}")
    weight *= max(1.0, copies.sum() / weight.sum())
    return X, codes, weight


def counting(weight, codes, choice, classes):
    """Which rows weigh enough beside the others to count in double precision.

    Those that do not are as if of weight zero, but no class may lose its last row in this way.
    """
    some = weight >= NEGLIGIBLE * weight.max()
    lost = np.setdiff1d(codes[weight > 0], codes[some])
    if len(lost):
        least = weight[np.isin(codes, lost)].max()
        raise ValueError(
            f"The weights of rows, sample_weight times class_weight={choice!r}, go up to "
            f"{weight.max():.4g}, beside which those of class {classes.tolist()[lost[0]]!r}, at "
            f"most {least:.4g}, do not count in double precision; give weights that differ by a "
            f"factor of less than {1 / NEGLIGIBLE:g}."
        )
    return some


def refuse_sudden_weight(weight, before):
    """In `partial_fit`, rows beside which those of the calls `before`, by weight, do not count."""
    if before < NEGLIGIBLE * weight.sum() and before:
        raise ValueError(
            f"The weights of this call of partial_fit sum to {weight.sum():.4g}, beside which "
            f"those of the calls before, {before:.4g}, do not count in double precision; give "
            f"weights of the same size in all calls."
        )
