"""Scores of many rows, and what is made of them: accuracy and the scale of probabilities."""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn import config_context
from sklearn.base import ClassifierMixin
from torch.nn.functional import cross_entropy

from ._validation import as_numpy
from .core.prediction import SHORTLIST, label_scores
from .core.rows import Rows, parts
from .parts import Draws

PREDICTION_BYTES = 2**23  # of one layer's candidates, in double precision; about what a cache holds


class AccuracyScore(ClassifierMixin):
    """A classifier whose accuracy is that of numpy arrays, whatever arrays it is given."""

    def score(self, X, y, sample_weight=None):
        """Accuracy of the predicted labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Weighted share of the rows whose label is predicted.
        """
        with config_context(array_api_dispatch=False):
            weight = as_numpy(sample_weight, "sample_weight")
            return super().score(X, as_numpy(y, "y"), weight)


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


class HeldOutLoss:
    """The training loss on held-out rows, averaged over the layers that learn, or of the head.

    As in prediction, nothing is dropped or varied. The chances with which wrong candidates are
    drawn are the same after every epoch.
    """

    def __init__(self, plan, X, codes, weight=None):
        self.plan, self.X, self.weight = plan, X, np.ones(len(codes)) if weight is None else weight
        self.codes = torch.as_tensor(codes, dtype=torch.int64)

    @torch.no_grad()
    def __call__(self, net):
        plan, n, dtype = self.plan, len(self.codes), getattr(torch, self.plan.dtype)
        network, negatives = net.module_.eval(), net.negatives
        if n < 2 and negatives.of_rows and negatives.needs_company:
            return np.nan
        rows = Rows(self.X, None, None, network.scaler, dtype)
        draws = Draws(torch.Generator(plan.device).manual_seed(0), plan.device, dtype)
        y = self.codes.to(plan.device)
        weight = torch.as_tensor(self.weight / self.weight.sum(), dtype=dtype).to(plan.device)
        width = plan.width * negatives.n_candidates(plan.n_classes) + plan.n_features
        size = max(2, PREDICTION_BYTES // (8 * width))
        return sum(
            float(loss_of(network, negatives, rows.rows(part), y[part], weight[part], draws))
            for part in parts(n, size)
        )


def loss_of(network, negatives, x, y, weight, draws):
    """Σ over rows of weight · loss, as in the page's `step`, where nothing is taught."""
    shown = network.encode(negatives.candidates(x, draws))
    belief = network.head(network.features(shown.positive())) if network.head else None
    if not any(layer.learning for layer in network.layers):
        return weight @ cross_entropy(belief, y, reduction="none")
    drawn = negatives.draw(y, network.n_classes, draws, belief)
    labels = torch.cat([y[:, None], drawn], 1)
    losses = [
        weight @ layer.objective(layer.goodness(h, labels))
        for layer, _, h in network.activations(shown, labels)
        if layer.learning
    ]
    return torch.stack(losses).mean()


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
