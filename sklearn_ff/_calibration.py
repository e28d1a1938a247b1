"""The scale and the rate of slips that turn scores into log-probabilities.

A network memorises small tables, so the labels of its training rows say little about its accuracy
on other rows. The target of a row is therefore a mean of its own label and that of the nearest
other row, where distances are those between the directions of the activations under the neutral
label. Rows of a class that lie among those of another class lower the scale. A few such rows that
the network is sure of would lower it for all rows, so slips have a separate rate. Smoothed labels
are due to Platt (1999), targets from the vicinity of a row to Chapelle et al. (2000).
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_array, issparse
from scipy.special import expit, logit

from ._compatibility import why_not
from ._scoring import Twin, by_parts, class_shares, log_probabilities, network_scores
from ._weights import describe
from .predictions import checked_rule, predictions

CALIBRATION_ROWS = 1_000  # rows that are scored
CALIBRATION_SCORES = 2**20  # with many classes, fewer rows are scored
NEIGHBOURS = 5_000  # rows among which the nearest is searched, at least
NEIGHBOURS_PER_CLASS = 10  # on average over the classes, at least
MOST_NEIGHBOURS = 20_000  # at most
SHARE = 0.6  # of the neighbour's label in a target
SKETCH = 512  # numbers that replace the activations of a wide network
TIE = 1e-5  # squared distances that differ by less are equal
# Largest log-odds of scores of size 1. Beyond it the scores differ by no more than the rounding
# errors of double precision, amplified by the layers.
STEEPEST = 1e5
# Logarithms of the scale, for scores of size 1, and logits of the rate of slips.
SCALES, SLIPS, FIRST_SLIPS = (-6, 6), (-14, 0), -3


def calibrated(fitted, data, previous=None):
    """The fitted value with the scale and the rate of slips of its probabilities.

    What a `previous` fit has found counts by the weight of the rows that it has seen, so that a few
    rows do not move it far: the mean of the rates, and of the logarithms of the scales.
    """
    previous = previous if fitted.plan.resume else None
    weight = data.weight * max(1.0, len(data.weight) / data.weight.sum())  # of one at least
    counts = np.bincount(data.codes, weight, minlength=data.n_classes)
    if previous is not None:
        counts = counts + previous.class_count
    sample = calibration_sample(fitted, data, weight, counts)
    scale, slips = likeliest(scores_of(fitted, sample, fitted.plan.prediction), sample)
    scales = other_scales(fitted, sample, slips)
    if previous is not None:
        new = weight.sum() / counts.sum()
        scale = mixed(previous.scale, scale, new)
        scales = {name: mixed(previous.scales.get(name, s), s, new) for name, s in scales.items()}
        slips = float(previous.slips * (1 - new) + slips * new)
    return replace(fitted, class_count=counts, scale=scale, slips=slips, scales=scales)


def mixed(before, now, share):
    """The geometric mean of two scales, that of `now` by its share."""
    return float(before ** (1 - share) * now**share)


def other_scales(fitted, sample, slips):
    """The scale of every other registered rule that the network allows, by its name."""
    found = {}
    for name, cls in predictions.registry.items():
        rule = cls()
        if type(rule) is not type(fitted.plan.prediction) and not why_not(rule, fitted.plan):
            found[name] = likeliest_scale(scores_of(fitted, sample, rule), sample, slips)
    return found


def scores_of(fitted, sample, rule):
    """Scores of the sample by a rule, in double precision where parts support it."""
    plan = replace(fitted.plan, prediction=rule)
    scores = None if plan.dtype == "float64" else Twin(fitted.network, plan).scores(sample.rows)
    scores = network_scores(fitted.network, plan, sample.rows) if scores is None else scores
    return scores.astype(np.float64)


class Sample(NamedTuple):
    """Training rows, the targets of their probabilities, their weights, and shares of classes."""

    rows: Any
    target: np.ndarray
    weight: np.ndarray
    prior: np.ndarray


def calibration_sample(fitted, data, weight, counts):
    """The rows by which scales are fitted.

    `counts` is the weight of the rows of each class that the network has learned from.
    """
    network, plan, X, codes = fitted.network, fitted.plan, data.X, data.codes
    first, place = distinct(X)
    K = plan.n_classes
    labels = csr_array((weight, (place, codes)), shape=(len(first), K))
    most = max(NEIGHBOURS, min(NEIGHBOURS_PER_CLASS * K, MOST_NEIGHBOURS))
    others = spaced(len(first), most)
    asked = spaced(len(others), max(1, min(CALIBRATION_ROWS, CALIBRATION_SCORES // K)))
    seen = directions(network, plan, X[first[others]])
    labels = labels[others]
    own = labels[asked].toarray()
    weight = own.sum(1)
    target = (1 - SHARE) * shares(own) + SHARE * neighbours_labels(seen, asked, labels)
    # K more rows by the frequency of the classes, so that the likelihood has a finite maximum.
    n_seen, prior = counts.sum(), class_shares(counts)
    target = (n_seen * target + K * prior) / (n_seen + K)
    return Sample(X[first[others[asked]]], target, weight, prior)


def distinct(X):
    """Indices of the first of equal rows, and for every row the number of its group of equal rows.

    Equal rows form one group, so a weight of k counts as k copies.
    """
    if issparse(X):
        ends = zip(X.indptr[:-1], X.indptr[1:], strict=True)
        keys = (hash((X.indices[a:b].tobytes(), X.data[a:b].tobytes())) for a, b in ends)
    else:
        keys = (hash(row.tobytes()) for row in X)
    known: dict[int, int] = {}
    place = np.array([known.setdefault(key, len(known)) for key in keys])
    first = np.full(len(known), len(place))
    np.minimum.at(first, place, np.arange(len(place)))
    return first, place


def spaced(n, most):
    """Indices of `most` of n rows, evenly spaced, or of all n rows if n is smaller."""
    size = min(n, most)
    return np.arange(size) * n // size


def directions(network, plan, X):
    """Activations under the neutral label, or a sketch of them, at length 1: (rows, numbers)."""
    width = sum(plan.units[i] for i in plan.counted if i < network.depth)  # fewer if cut short
    sketch = Sketch(width) if width > SKETCH else lambda h: h

    def read(x):
        return torch.nn.functional.normalize(sketch(network.features(network.encode(x))), dim=1)

    n_out = min(width, SKETCH)
    return torch.from_numpy(by_parts(network, plan, X, read, n_out, max(plan.width, width)))


class Sketch:
    """Sums of many numbers with random signs, which keep distances (Charikar et al., 2002)."""

    def __init__(self, width):
        rng = np.random.RandomState(0)
        self.bucket = torch.from_numpy(rng.randint(SKETCH, size=width))
        self.sign = torch.from_numpy(rng.choice([-1.0, 1.0], width))

    def __call__(self, h):
        sums = h.new_zeros(len(h), SKETCH)
        return sums.index_add_(1, self.bucket.to(h.device), h * self.sign.to(h))


def neighbours_labels(seen, asked, labels):
    """Shares of the classes in the nearest other group of rows, averaged over groups at a tie."""
    if len(seen) == 1:
        return shares(labels.toarray())
    found = []
    for some in np.array_split(asked, -(-len(asked) // 250)):
        closeness = seen[some] @ seen.T
        closeness[torch.arange(len(some)), torch.from_numpy(some)] = -torch.inf
        nearest = closeness >= closeness.amax(1, keepdim=True) - TIE / 2
        found.append((csr_array(nearest.numpy().astype(float)) @ labels).toarray())
    return shares(np.vstack(found))


def shares(weights):
    return weights / weights.sum(1, keepdims=True)


def likeliest(scores, sample):
    """Scale and rate of slips, within bounds, that maximise Σ w target · log_probabilities."""
    if not gap_of(scores):
        return 1.0, 0.0
    loss = loss_of(scores, sample)
    start = minimize_scalar(loss, bounds=SCALES, method="bounded").x
    best = minimize(
        lambda at: loss(*at),
        (start, FIRST_SLIPS),
        method="L-BFGS-B",
        jac="3-point",
        bounds=(SCALES, SLIPS),
        options={"ftol": 1e-12, "gtol": 1e-7},
    )
    return bounded(best.x[0], scores), float(expit(best.x[1]))


def likeliest_scale(scores, sample, slips):
    """The scale alone, where the rate of slips is known."""
    if not gap_of(scores):
        return 1.0
    loss, rate = loss_of(scores, sample), logit(slips)
    best = minimize_scalar(lambda at: loss(at, rate), bounds=SCALES, method="bounded")
    return bounded(best.x, scores)


def loss_of(scores, sample):
    """(logarithm of the scale, logit of the slips) -> −Σ w target · log_probabilities."""
    gap, weight = gap_of(scores), sample.weight / sample.weight.sum()
    scores = (scores - scores.max(1, keepdims=True)) / gap

    def loss(log_scale, rate=-np.inf):
        log_p = log_probabilities(np.exp(log_scale) * scores, expit(rate), sample.prior)
        return -weight @ (sample.target * log_p).sum(1)

    return loss


def gap_of(scores):
    """The mean difference of the highest and the lowest score; 0 where there is none."""
    gap = (scores.max(1) - scores.min(1)).mean()
    return gap if np.isfinite(gap) else 0.0


def bounded(log_scale, scores):
    """The scale from its logarithm for scores of size 1, at most STEEPEST of the largest."""
    with np.errstate(over="ignore"):
        return float(min(np.exp(log_scale) / gap_of(scores), STEEPEST / np.abs(scores).max()))


def ruled(fitted, given, scale):
    """The plan and the scale for predicting by the rule `given`; `scale` is that of the fit's."""
    rule = checked_rule(given)
    if describe(rule) == describe(fitted.plan.prediction):
        return fitted.plan, scale
    reason = why_not(rule, fitted.plan)
    if reason:
        raise ValueError(f"prediction={given!r} {reason}.")
    names = [name for name, cls in predictions.registry.items() if type(rule) is cls]
    if names and names[0] in fitted.scales:
        scale = fitted.scales[names[0]]
    elif type(rule) is not type(fitted.plan.prediction):
        raise ValueError(
            f"prediction={given!r} has no scale of probabilities, which a fit determines for "
            f"rules that have a name and for its own; fit again with it."
        )
    return replace(fitted.plan, prediction=rule), scale
