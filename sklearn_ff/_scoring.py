"""Scores of many rows, part by part, in double precision where probabilities need it; accuracy."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax, softmax
from sklearn import config_context
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import cross_entropy

from ._draws import Draws
from ._labels import as_numpy, scored_labels
from .core.forward_forward import layer_scores
from .core.prediction import label_scores, reached, read_features, twin
from .core.rows import Rows, parts
from .predictions import Goodness

# Bytes of the candidates of one layer in double precision: about the size of a processor's cache,
# and on other devices enough to keep them busy.
PREDICTION_BYTES, DEVICE_BYTES = 2**23, 2**28
FIRST_ROWS = 128  # by which it is decided at first whether most rows are unsure
# Usual error of a score in single precision, relative to the largest of its row ...
ROUNDING = 2**-19
SMALLEST = 8.0  # ... or to this one, in log-odds, where terms of the scores cancel
HARMLESS = 3e-6  # error of a probability up to which rows are not scored again
# Log-odds below this are a tie, and the first label is predicted, so that labels, probabilities and
# decisions agree to the last digit.
TIE = 1e-12


class AccuracyScore(ClassifierMixin):
    """A classifier that computes its accuracy with numpy, for arrays of any kind."""

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
        check_is_fitted(self)
        with config_context(array_api_dispatch=False):
            weight = as_numpy(sample_weight, "sample_weight")
            return super().score(X, scored_labels(y, self.classes_), weight)


def serving(network, plan):
    """The layer that serves one above which counts, and has not learned yet; None if there is none.

    So it is in a greedy fit: prediction cannot tell how well that layer does.
    """
    top = network.depth - 1
    return top if top < max(plan.counted) and top not in plan.counted else None


def scores_labels(plan):
    """Whether layers have a score for every label."""
    return plan.shows_labels or plan.goodness.scores_classes


class Accuracy:
    """Weighted share of held-out rows whose true label scores highest.

    A layer that serves is judged by its own goodness; one that scores no labels is not judged at
    all, and its score is not a number.
    """

    def __init__(self, plan, X, codes, weight=None):
        self.plan, self.X, self.codes, self.weight = plan, X, codes, weight

    def __call__(self, net):
        network, top = net.module_, serving(net.module_, self.plan)
        if top is not None and not scores_labels(self.plan):
            return np.nan
        correct = np.empty(len(self.codes), bool)
        layers = None if top is None else [top]
        for part, scores in parts_of_scores(network, self.plan, self.X, layers):
            if not torch.isfinite(scores).all():
                return np.nan
            correct[part] = scores.cpu().numpy().argmax(1) == self.codes[part]
        return float(np.average(correct, weights=self.weight))


class HeldOutLoss:
    """The training loss on held-out rows, averaged over the layers that learn, or of the head.

    As in prediction, nothing is dropped or varied. The chances with which negative candidates are
    drawn are the same after every epoch.
    """

    def __init__(self, plan, X, codes, weight=None):
        self.plan, self.X, self.weight = plan, X, np.ones(len(codes)) if weight is None else weight
        self.codes = torch.as_tensor(codes, dtype=torch.int64)

    @torch.no_grad()
    def __call__(self, net):
        plan, n, dtype = self.plan, len(self.codes), getattr(torch, self.plan.dtype)
        network, negatives = net.module_.eval(), net.negatives
        if n < 2 and negatives.of_rows and negatives.mixes_rows:
            return np.nan
        rows = Rows(self.X, None, None, network.scaler, dtype)
        draws = Draws(torch.Generator(plan.device).manual_seed(0), plan.device, dtype)
        y = self.codes.to(plan.device)
        weight = torch.as_tensor(self.weight / self.weight.sum(), dtype=dtype).to(plan.device)
        width = plan.width * negatives.n_candidates(plan.n_classes) + plan.n_features
        size = max(2, bytes_of_a_part(network) // (8 * width))
        return sum(
            float(loss_of(network, negatives, rows.rows(part), y[part], weight[part], draws))
            for part in parts(n, size)
        )


def loss_of(network, negatives, x, y, weight, draws):
    """Σ over rows of weight · loss, as in the page's `step`, without learning."""
    shown = network.encode(negatives.candidates(x, draws))
    belief: Any = network.head(network.features(shown.positive())) if network.head else None
    if not any([layer.learning for layer in network.layers]):  # no generator: see `Batches`
        return weight @ cross_entropy(belief, y, reduction="none")
    drawn = negatives.draw(y, network.n_classes, draws, belief)
    labels = torch.cat([y[:, None], drawn], 1)
    known = network.known(shown, labels)
    losses = [
        weight
        @ layer.objective(negatives.select(layer.goodness(h, labels), layer, draws), h, known)
        for layer, _, _, h in network.activations(shown, labels)
        if layer.learning
    ]
    return torch.stack(losses).mean()


def network_scores(network, plan, X, layers=None):
    """Scores (rows, classes) of numpy or sparse rows, part by part so that memory is bounded.

    By the goodness of `layers`, if given, or of the last that has learned, if none that counts has.
    """
    out = np.empty((X.shape[0], plan.n_classes), plan.dtype)
    for part, scores in parts_of_scores(network, plan, X, layers):
        out[part] = scores.cpu()
    return out


def parts_of_scores(network, plan, X, layers=None):
    """Slices of the rows X with their scores on the device."""
    network.eval()
    if layers is None and network.depth <= min(plan.counted):
        layers = [network.depth - 1]
    rule = (plan.prediction, plan.counted) if layers is None else (Goodness(), layers)
    width = scored_width(plan, rule[0])
    return parts_of(network, plan, X, lambda x: label_scores(network, x, *rule), width)


def scores_by_layer(network, plan, X):
    """The goodness of every layer that is trained, (rows, layers, classes), in one pass."""
    n_layers, K = network.depth, plan.n_classes
    network.eval()

    def read(x):
        shown = network.encode(x)
        return torch.cat(
            [g.expand(-1, K) for _, g in layer_scores(network, shown, shown.every(range(K)))], 1
        )

    width = scored_width(plan, Goodness()) + n_layers * K
    return by_parts(network, plan, X, read, n_layers * K, width).reshape(-1, n_layers, K)


def features(network, plan, X, read_out, dtype):
    """Values that `read_out` takes from the layers that count, side by side: (rows, units).

    They are those under the neutral label, normalised as between layers.
    """
    network.eval()
    layers = reached(network, plan.counted)

    def read(x):
        return read_features(network, network.encode(x), layers, read_out)

    n_out = sum(plan.units[index] for index in layers)
    return by_parts(network, plan, X, read, n_out, max(plan.width, n_out), dtype)


def scored_width(plan, rule):
    """Numbers per row that scoring needs in the widest layer."""
    n_shown = rule.n_shown(plan.n_classes) if plan.shows_labels else 1
    return plan.width * n_shown + plan.n_classes


def by_parts(network, plan, X, function, n_out, width, dtype=None):
    """A function of scaled rows, (rows, n_out), over all rows of X."""
    # Written in place: small results kept between large temporaries would fragment the heap.
    out = np.empty((X.shape[0], n_out), dtype or plan.dtype)
    for part, found in parts_of(network, plan, X, function, width):
        out[part] = found.cpu()
    return out


@torch.no_grad()
def parts_of(network, plan, X, function, width):
    """Slices of X, whose temporary tensors are of bounded size, and a function of scaled rows."""
    rows = Rows(X, None, None, network.scaler, getattr(torch, plan.dtype))
    for part in slices(network, X, plan, width):
        yield part, function(rows.rows(part))


def bytes_of_a_part(network):
    return PREDICTION_BYTES if network.scaler.shift.device.type == "cpu" else DEVICE_BYTES


def slices(network, X, plan, width, first=None):
    """Parts of the rows, of which the first has at most `first` rows."""
    size = max(1, bytes_of_a_part(network) // (8 * (width + plan.n_features)))
    ends = range(min(size, first or size), X.shape[0] + size, size)
    return [slice(max(0, end - size), end) for end in ends]


def exact_scores(network, plan, X, scale):
    """Slices of the rows X and their scores, in double precision where probabilities need it.

    Rows are scored in single precision first, and once more where rounding could move a
    probability, softmax(scale · scores), by more than HARMLESS. After a part of the rows most of
    which ask for it, the next parts are scored in double precision at once, and so are all parts
    under a rule that is `abrupt`.
    """
    if plan.dtype == "float64":
        for part, found in parts_of_scores(network, plan, X):
            yield part, found.cpu().numpy()
        return
    twin, doubt = Twin(network, plan), plan.prediction.abrupt  # whether most rows are unsure
    for part in slices(network, X, plan, scored_width(plan, plan.prediction), FIRST_ROWS):
        block = X[part]
        found = twin.scores(block) if doubt else None
        if found is None:
            found = network_scores(network, plan, block).astype(np.float64)
            again = np.flatnonzero(unsure(found, scale))
            doubt = 2 * len(again) > block.shape[0]
            better = twin.scores(block[again]) if len(again) else None
            if better is not None:
                found[again] = better
        yield part, found


def scaled_scores(network, plan, X, scale):
    """Slices of the rows X and their scores times the scale; the highest of a row is zero."""
    for part, scores in exact_scores(network, plan, X, scale):
        scaled = scale * (scores - scores.max(1, keepdims=True))
        scaled[scaled > -TIE] = 0.0
        yield part, scaled


def class_shares(counts):
    """Shares of the classes among the training rows and one more row of each class."""
    return (counts + 1) / (counts + 1).sum()


def log_probabilities(scaled, slips, prior):
    """Logarithms of (1 - slips) softmax(scaled) + slips q, where the highest of a row is zero.

    q is what to expect where the network slips: the classes by their shares `prior`, but none is
    likelier than the decision, and labels as likely as this in the scores are so in q. Thus slips
    change no decision, and equal scores are equal probabilities.
    """
    if slips == 0:
        return log_softmax(scaled, axis=1)
    likely = np.exp(scaled)
    p = where_it_slips(likely, prior)
    p *= slips / p.sum(1, keepdims=True)
    likely *= (1 - slips) / likely.sum(1, keepdims=True)
    p += likely
    mixed = np.log(p, out=p)
    # The logarithms of equal numbers may differ in the last digit.
    return np.where(scaled == 0, mixed.max(1, keepdims=True), mixed)


def where_it_slips(likely, prior):
    """What to expect where the network slips, not summing to one."""
    return prior + (prior.max() - prior) * likely


def unsure(scores, scale):
    """Rows whose probabilities or order rounding in single precision could change.

    Errors of the scaled scores of at most e move a probability p by at most 2 e p (1 - p), of which
    the most likely label has the largest.
    """
    scaled = scale * scores
    error = ROUNDING * np.maximum(np.abs(scaled).max(1), SMALLEST)
    second, first = np.partition(scaled, -2, axis=1)[:, -2:].T
    p = softmax(scaled, axis=1).max(1)
    return ~((2 * error * p * (1 - p) < HARMLESS) & (first - second > 2 * error))


class Twin:
    """A copy of a network in double precision, for the time of a call; made where it is needed."""

    def __init__(self, network, plan):
        self.original, self.network, self.able = network, None, True
        self.plan = replace(plan, dtype="float64")

    def scores(self, X):
        """Scores of numpy or sparse rows; None where a user's part cannot be used in float64."""
        if self.network is None:
            with torch.no_grad():
                self.network = twin(self.original.eval())
        try:
            return network_scores(self.network, self.plan, X) if self.able else None
        except (RuntimeError, TypeError, ValueError):
            self.able = False
            return None
