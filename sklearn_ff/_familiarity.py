"""Familiarity: the distance of a row's activations from those of the training rows.

For every layer it is the squared Mahalanobis distance of pre-activations and activations, (a, h),
from their mean over the training rows (Lee et al., 2018). Where rows are normalised, both have the
length that they would have without normalisation, so the length of a row counts as well as its
direction. The covariance is regularised by `PRIOR_ROWS` more rows of average variance in every
direction, so fewer rows than units are enough.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.linalg import cho_factor, solve_triangular

from ._scoring import parts_of

MOST_UNITS = 512  # of one layer; of a wider layer, 512 units at equal steps
# A smaller number is better on most tables, and worse on those with outliers in training rows.
PRIOR_ROWS = 200
FEW_PRIOR_ROWS = 3  # where rows are compared with each other rather than with the mean
LEAST_RIDGE = (
    1e-4  # of the average variance: above the rounding error of a covariance in single precision
)
ROUNDING = 1e-10  # of the mean square: above the rounding error of activations in single precision


def with_familiarity(fitted, data, previous=None):
    """The fitted value with what familiarity is measured by."""
    goes_on = previous is not None and fitted.plan.resume and not fitted.plan.scaled_anew
    before = previous.moments if goes_on else None
    moments = fitted_moments(fitted.network, fitted.plan, data.X, data.copies, before)
    return replace(fitted, moments=moments)


def fitted_moments(network, plan, X, weight, old=None):
    """Weight, mean and covariance of every layer's (a, h), `old` ones included, as plain arrays."""
    found: dict[int, Any] = {}
    for part, layers in _layers(network, plan, X):
        for index, values in layers.items():
            new = _moments(values, weight[part])
            found[index] = _merged(found[index], new) if index in found else new
    for index in found.keys() & (old or {}).keys():
        found[index] = _merged(_unpacked(old[index]), found[index])
    return {index: _packed(moments) for index, moments in found.items()}


def merged_moments(every):
    """Of the moments of several groups of rows, those of all of their rows."""
    found = {}
    for index in every[0]:
        first, *others = [_unpacked(moments[index]) for moments in every]
        for other in others:
            first = _merged(first, other)
        found[index] = _packed(first)
    return found


def familiarity(network, plan, X, moments):
    """Minus the squared distances, summed over the output layers that are trained."""
    found = np.zeros(X.shape[0])
    for part, values in _whitened(network, plan, X, moments, PRIOR_ROWS):
        found[part] = -np.square(values).sum(1)
    return found


def whitened(network, plan, X, moments):
    """Parts of the rows X, each with (a, h) of these layers side by side, so that the distance of
    two rows is Mahalanobis'.
    """
    return _whitened(network, plan, X, moments, FEW_PRIOR_ROWS)


def _whitened(network, plan, X, moments, prior_rows):
    """Parts of the rows X, each with their whitened values."""
    counted = [i for i in plan.counted if i < network.depth] or [network.depth - 1]
    roots = {index: _root(prior_rows, *_unpacked(moments[index])) for index in counted}
    for part, layers in _layers(network, plan, X):
        values = [
            solve_triangular(root, (layers[index] - mean).T, lower=True)
            for index, (mean, root) in roots.items()
        ]
        yield part, np.concatenate(values).T


def _layers(network, plan, X):
    """Parts of the rows X, each with the (a, h) of every layer by its index."""
    network.eval()
    width = plan.width + 2 * sum(min(MOST_UNITS, units) for units in plan.units)
    yield from parts_of(network, plan, X, lambda x: dict(_at_length(network, x)), width)


def _at_length(network, x):
    """Yield (index, (a, h)) of each layer under the neutral label, with unnormalised lengths."""
    shown, encoder = network.encode(x), network.encoder
    neutral = torch.full((len(shown), 1), network.n_classes, device=shown.device)
    labels = neutral if encoder.shows_labels else None
    mean_square = encoder.mean_square(shown.base, labels).double()
    length = 1 / encoder.normalization.factor(mean_square, shown.base.shape[-1])
    for layer, _, a, h in network.activations(shown, neutral):
        a = layer.affine.outputs(a, lambda a: a)  # pooled as h is
        some = torch.arange(min(MOST_UNITS, h.shape[-1]), device=h.device)
        some = some * h.shape[-1] // len(some)
        values = torch.cat([a[..., some], h[..., some]], -1).double() * length
        yield layer.index, values.squeeze(1).cpu().numpy()
        before, after = (_norm(z) for z in (h, layer.normalize(h)))
        length = length * before / after.clamp(min=torch.finfo(after.dtype).tiny)


def _norm(z):
    return torch.linalg.vector_norm(z.double(), dim=-1, keepdim=True)


def _moments(values, weight):
    total = weight.sum()
    mean = weight @ values / total
    centred = values - mean
    return total, mean, (centred.T * weight) @ centred / total


def _merged(first, second):
    """Moments of the rows of both."""
    total = first[0] + second[0]
    share, gap = second[0] / total, second[1] - first[1]
    covariance = (1 - share) * first[2] + share * second[2]
    covariance += share * (1 - share) * np.outer(gap, gap)
    return total, first[1] + share * gap, covariance


def _packed(moments):
    """Moments as plain values, the covariance as its upper triangle in single precision."""
    total, mean, covariance = moments
    triangle = covariance[np.triu_indices(len(mean))].astype(np.float32)
    return {"weight": float(total), "mean": mean, "covariance": triangle}


def _unpacked(stored):
    mean = stored["mean"]
    covariance = np.zeros((len(mean), len(mean)))
    covariance[np.triu_indices(len(mean))] = stored["covariance"]
    return stored["weight"], mean, covariance + np.triu(covariance, 1).T


def _root(prior_rows, total, mean, covariance):
    """The mean, and the Cholesky factor of the regularised covariance."""
    average = np.trace(covariance) / len(mean)
    ridge = average * max(prior_rows / total, LEAST_RIDGE)
    ridge = max(ridge, ROUNDING * (average + np.mean(mean**2)))
    covariance[np.diag_indices(len(mean))] += ridge or 1.0
    return mean, np.tril(cho_factor(covariance, lower=True)[0])
