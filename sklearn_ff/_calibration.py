"""The scale and the rate of slips that turn scores into log-probabilities.

A network memorises small tables, so the labels of its training rows say little about its accuracy
on other rows. The target of a row is therefore a mean of its own label and that of the nearest
other row, where distances are those between the directions of the activations under the neutral
label. Rows of a class that lie among those of another class lower the scale. A few such rows that
the network is sure of would lower it for all rows, so slips have a separate rate. Smoothed labels
are due to Platt (1999), targets from the vicinity of a row to Chapelle et al. (2000).
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_array, issparse
from scipy.special import expit, log_softmax, softmax

from ._compatibility import why_not
from ._scoring import (
    Twin,
    by_parts,
    class_shares,
    log_probabilities,
    network_scores,
    scores_by_layer,
    where_it_slips,
)
from ._stored import dense
from ._weights import describe
from .core.prediction import checked_scores, reached
from .predictions import Head, checked_rule

MOST_ROWS = 200_000  # that are looked at
CALIBRATION_ROWS = 1_000  # rows that are scored
CALIBRATION_SCORES = 2**20  # with many classes, fewer rows are scored
NEIGHBOURS = 5_000  # rows among which the nearest is searched, at least
NEIGHBOURS_PER_CLASS = 10  # on average over the classes, at least
MOST_NEIGHBOURS = 20_000  # at most
READ_NUMBERS = 2**20  # that are read at once
SHARE = 0.6  # of the neighbour's label in a target
SKETCH = 512  # numbers that replace the activations of a wide network
TIE = 1e-5  # squared distances that differ by less are equal
# Largest log-odds of scores of size 1. Beyond it the scores differ by no more than the rounding
# errors of double precision, amplified by the layers.
STEEPEST = 1e5
# Logarithms of the scale, for scores of size 1, and logits of the rate of slips.
SCALES, SLIPS, FIRST_SLIPS = (-6, 6), (-14, 0), -3
FAINT = 1e-6  # of the squared logarithm of the scale, beside the mean loss of a row


def calibrated(fitted, data, previous=None, counts=None):
    """The fitted value with the scale and the rate of slips of its probabilities.

    What a `previous` fit has found counts by the weight of the rows that it has seen, so that a few
    rows do not move it far: the mean of the rates, and of the logarithms of the scales. `counts`
    is the weight of the rows of each class where `data` holds some of the rows only.
    """
    previous = previous if fitted.plan.resume else None
    fitted = with_settled_rule(fitted, data.held_out)
    weight = data.copies
    if counts is None:
        counts = np.bincount(data.codes, weight, minlength=data.n_classes)
    if previous is not None:
        counts = counts + previous.class_count
    sample = calibration_sample(fitted, data, weight, counts)
    scale, slips = likeliest(scores_of(fitted, sample, fitted.rule), sample)
    before = None if previous is None else scale_before(previous, fitted.plan.prediction)
    if before is not None:
        new = weight.sum() / counts.sum()
        scale = float(before[0] ** (1 - new) * scale**new)
        slips = float(before[1] * (1 - new) + slips * new)
    evidence = kept_evidence(fitted, sample, previous)
    return replace(fitted, class_count=counts, scale=scale, slips=slips, evidence=evidence)


def with_settled_rule(fitted, held_out, joined=lambda *own: own):
    """The fitted value with the rule of prediction that the rows held out of it have chosen.

    `joined` puts scores, codes and weights together with those of other ranks; it returns None
    where these are not to be known.
    """
    rule, network = fitted.plan.prediction, fitted.network
    layers = reached(network, fitted.plan.counted)
    if held_out is None or not (rule.open and layers):  # a greedy fit may be cut short below them
        return fitted
    scores = scores_by_layer(network, fitted.plan, held_out.X)[:, layers]
    found = joined(scores, *held_out[1:])
    if found is None:
        return fitted
    scores, codes, weight = found
    return replace(fitted, settled=rule.settled(scores, layers, codes, weight))


def scale_before(previous, rule):
    """Scale and rate of slips of a rule in the `previous` fit, or None if it cannot use it."""
    if describe(rule) == describe(previous.plan.prediction):
        return previous.scale, previous.slips
    return None if why_not(rule, previous.plan) else scale_by_evidence(previous, rule)


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
    looked = looked_at(len(codes))
    first, place = distinct(X, looked)
    first, K = looked[first], plan.n_classes
    labels = csr_array((weight[looked], (place, codes[looked])), shape=(len(first), K))
    others = searched(len(first), K)
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


def looked_at(n):
    """Of n rows, those whose labels count."""
    return spaced(n, MOST_ROWS)


def searched(n, n_classes):
    """Of n different rows, those among which the nearest is searched."""
    return spaced(n, max(NEIGHBOURS, min(NEIGHBOURS_PER_CLASS * n_classes, MOST_NEIGHBOURS)))


def distinct(X, looked):
    """Places of the first of equal rows, and for every row the number of its group of equal rows.

    The rows are those of X that are `looked` at. Equal rows form one group, so a weight of k counts
    as k copies.
    """
    size = max(1, READ_NUMBERS // X.shape[1])

    def parts(rows):
        return (rows[start : start + size] for start in range(0, len(rows), size))

    if not issparse(X):  # by sums, unless other rows have the same sum
        first, place = grouped([sums_of(X[rows]) for rows in parts(looked)])
        copies = np.flatnonzero(first[place] != np.arange(len(place)))
        pairs = zip(parts(looked[copies]), parts(looked[first[place[copies]]]), strict=True)
        if all(np.array_equal(words_of(X[one]), words_of(X[other])) for one, other in pairs):
            return first, place
    return grouped([hashes_of(X[rows]) for rows in parts(looked)])


def grouped(keys):
    """Places of the first of equal keys, and the number of each key's group, in this order."""
    _, first, place = np.unique(np.concatenate(keys), return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[place]


def words_of(X):
    """The bits of rows as whole numbers."""
    X = np.ascontiguousarray(dense(X))
    return X.view(f"u{math.gcd(8, X.shape[1] * X.itemsize)}")


def sums_of(X):
    """A number for every row, the same for equal rows, and seldom for others."""
    words = words_of(X)
    factors = np.random.RandomState(0).randint(2**63 - 1, size=words.shape[1]).astype(np.uint64)
    return np.einsum("ij,j->i", words, factors)


def hashes_of(X):
    """The same, for others hardly ever; slower."""
    if issparse(X):
        ends = zip(X.indptr[:-1], X.indptr[1:], strict=True)
        rows = ((X.indices[a:b].tobytes(), X.data[a:b].tobytes()) for a, b in ends)
    else:
        rows = (row.tobytes() for row in dense(X))
    return np.array([hash(row) for row in rows])


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
    start = minimize_scalar(lambda at: loss(at)[0], bounds=SCALES, method="bounded").x
    best = minimize(
        lambda at: loss(*at),
        (start, FIRST_SLIPS),
        method="L-BFGS-B",
        jac=True,
        bounds=(SCALES, SLIPS),
        options={"ftol": 0, "gtol": 1e-13},  # so that equal scores have equal probabilities
    )
    return bounded(best.x[0], scores), float(expit(best.x[1]))


def loss_of(scores, sample):
    """(logarithm of the scale, logit of the slips) -> −Σ w target · log_probabilities, gradient.

    Where all scales above some are as likely, up to rounding, a faint pull decides for the lowest.
    """
    gap, weight = gap_of(scores), sample.weight / sample.weight.sum()
    scores, prior = (scores - scores.max(1, keepdims=True)) / gap, sample.prior

    def loss(log_scale, rate=-np.inf):
        scaled, slips = np.exp(log_scale) * scores, expit(rate)
        log_p = log_probabilities(scaled, slips, prior)
        # By the share that the scores have in a probability, and the slips the rest.
        sure = np.exp(np.log1p(-slips) + log_softmax(scaled, axis=1) - log_p)
        steep = sure * (scaled - (softmax(scaled, axis=1) * scaled).sum(1, keepdims=True))
        if slips:
            likely = np.exp(scaled)
            q, dq = where_it_slips(likely, prior), (prior.max() - prior) * likely * scaled
            steep += (1 - sure) * (dq / q - dq.sum(1, keepdims=True) / q.sum(1, keepdims=True))
        by_rate = (1 - sure) * (1 - slips) - sure * slips
        found = [weight @ (sample.target * part).sum(1) for part in (log_p, steep, by_rate)]
        pull = FAINT * log_scale
        return pull * log_scale - found[0], np.array([2 * pull, 0]) - found[1:]

    return loss


def gap_of(scores):
    """The mean difference of the highest and the lowest score; 0 where there is none."""
    gap = (scores.max(1) - scores.min(1)).mean()
    return gap if np.isfinite(gap) else 0.0


def bounded(log_scale, scores):
    """The scale from its logarithm for scores of size 1, at most STEEPEST of the largest."""
    with np.errstate(over="ignore"):
        return float(min(np.exp(log_scale) / gap_of(scores), STEEPEST / np.abs(scores).max()))


# Rules that are set after the fit -----------------------------------------------------------------

EVIDENCE_ROWS, EVIDENCE_SCORES = (64, 300), 2**16  # kept of the rows by which scales are fitted


def kept_evidence(fitted, sample, previous=None):
    """Scores of some training rows by layer, and by the head, as plain arrays.

    From these a scale is fitted for any rule that is set later. Of few rows in `partial_fit` those
    of the call before are kept.
    """
    network, plan = fitted.network, fitted.plan
    layers = reached(network, plan.counted)
    least, most = EVIDENCE_ROWS
    size = min(most, max(least, EVIDENCE_SCORES // (len(layers) * plan.n_classes)))
    some = spaced(len(sample.target), size)
    if previous is not None and len(some) < min(least, len(previous.evidence["target"])):
        return previous.evidence
    rows, logits = sample.rows[some], None
    if plan.has_head:
        logits = network_scores(network, replace(plan, prediction=Head()), rows)
    return {
        "layers": layers,
        "scores": scores_by_layer(network, plan, rows)[:, layers].astype(np.float32),
        "logits": logits if logits is None else logits.astype(np.float32),
        "sharpness": [network.layers[index].objective.sharpness for index in layers],
        "target": sample.target[some],
        "weight": sample.weight[some],
        "prior": sample.prior,
    }


class Kept:
    """`Evidence` of kept scores, for the rules of prediction."""

    def __init__(self, kept):
        self.kept, self.n_classes = kept, kept["scores"].shape[2]

    @property
    def shape(self):
        return len(self.kept["scores"]), self.n_classes

    def layers(self, labels=None):
        for place, index in enumerate(self.kept["layers"]):
            g = torch.from_numpy(self.kept["scores"][:, place].copy())
            yield index, g if labels is None else g.gather(1, labels)

    def logits(self):
        return torch.from_numpy(self.kept["logits"].copy())

    def sharpness(self, index):
        return self.kept["sharpness"][self.kept["layers"].index(index)]


def scale_by_evidence(fitted, rule):
    """Scale and rate of slips of a rule, from what the fit has kept."""
    kept = fitted.evidence
    scores = checked_scores(rule, Kept(kept)).numpy().astype(np.float64)
    return likeliest(scores, Sample(None, kept["target"], kept["weight"], kept["prior"]))


def ruled(fitted, given, scale, slips):
    """Plan, scale and rate of slips for predicting by the rule `given`.

    `scale` and `slips` are those of the rule of the fit.
    """
    rule = checked_rule(given)
    if describe(rule) == describe(fitted.plan.prediction):
        return replace(fitted.plan, prediction=fitted.rule), scale, slips
    reason = why_not(rule, fitted.plan)
    if rule.open:
        reason = "is settled on rows held out of a fit, and the last fit has not done so; fit again"
    if reason:
        raise ValueError(f"prediction={given!r} {reason}.")
    return replace(fitted.plan, prediction=rule), *scale_by_evidence(fitted, rule)
