"""Scores of many rows, and what is made of them: accuracy and the scale of probabilities."""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from .core.prediction import SHORTLIST, label_scores
from .core.rows import Rows

PREDICTION_BYTES = 2**23  # of one layer's candidates, in double precision; about what a cache holds


class Accuracy:
    """Weighted share of held-out rows whose true label scores highest.

    A greedy layer that does not count itself serves one above that has not learned yet: prediction
    cannot tell how well it does, so it is judged by its own goodness; one that scores no labels is
    not judged at all, and its score is not a number.
    """

    def __init__(self, plan, X, codes, weight=None):
        self.plan, self.X, self.codes, self.weight = plan, X, codes, weight

    def __call__(self, network):
        top = network.depth - 1
        serves = top < max(self.plan.layers) and top not in self.plan.layers
        if serves and not (self.plan.shows_labels or self.plan.goodness.scores_classes):
            return np.nan
        scores = network_scores(network, self.plan, self.X, [top] if serves else None)
        return (
            float(np.average(scores.argmax(1) == self.codes, weights=self.weight))
            if np.isfinite(scores).all()
            else np.nan
        )


def network_scores(network, plan, X, layers=None):
    """Scores (rows, classes) of numpy or sparse rows, part by part so that memory is bounded.

    By the goodness of `layers`, if given, or of the last that has learned, if none that counts has.
    """
    network.eval()
    if layers is None and network.depth <= min(plan.layers):
        layers = [network.depth - 1]
    rule = (plan.prediction, plan.layers) if layers is None else ("goodness", layers)
    width = plan.width * n_shown(plan, rule[0]) + plan.n_classes
    return by_parts(
        network, plan, X, lambda x: label_scores(network, x, *rule), plan.n_classes, width
    )


def n_shown(plan, prediction):
    """With how many labels a row is shown at once, to be scored."""
    if prediction == "head" or not plan.shows_labels:
        return 1
    return min(SHORTLIST, plan.n_classes) if prediction == "hybrid" else plan.n_classes


@torch.no_grad()
def by_parts(network, plan, X, function, n_out, width):
    """A function of scaled rows, (rows, n_out), over parts of X whose temporaries fit a cache."""
    size = max(1, PREDICTION_BYTES // (8 * (width + plan.n_features)))
    rows = Rows(X, None, None, network.scaler, getattr(torch, plan.dtype))
    # Written in place: small results kept between large temporaries would fragment the heap.
    out = np.empty((X.shape[0], n_out), plan.dtype)
    for i in range(0, X.shape[0], size):
        part = slice(i, i + size)
        out[part] = function(rows.rows(part)).cpu()
    return out


def likeliest_scale(scores, target, weight):
    """The scale s that maximises Σ w target · log softmax(s scores)."""
    scores = scores.astype(np.float64)
    gap = np.ptp(scores, axis=1).mean()
    if not np.isfinite(gap) or gap == 0:
        return 1.0

    def loss(log_scale):
        log_p = log_softmax(np.exp(log_scale) / gap * scores, axis=1)
        return -weight @ (target * log_p).sum(1)

    best = minimize_scalar(loss, bounds=(-6, 6), method="bounded", options={"xatol": 1e-10})
    return float(np.exp(best.x) / gap)
