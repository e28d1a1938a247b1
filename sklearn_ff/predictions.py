"""Prediction rules: how the scores of the layers become one score per class.

The contract. `scores(evidence)` returns one score per row and class, (rows, classes). `evidence`
computes what a rule asks for, and nothing else:

* `evidence.layers(labels=None)` yields (index, g) from the first counted layer up, lazily: g is the
  goodness of every class, or of the given `labels`, (rows, labels);
* `evidence.logits()` returns the softmax head's logits, (rows, classes);
* `evidence.sharpness(index)` is the log-odds per unit of a layer's goodness.

`needs_head` states that a rule reads the head, `needs_goodness` that it reads the goodness of
labels. A callable (evidence) -> scores serves too. A rule acts in prediction: another one may be
set on a fitted estimator. One that is `open` is settled by the fit, on rows that are held out of
the training: `settled(scores, layers, codes, weight)` returns the rule that serves in its place,
from the goodness of these rows in each of the `layers`, (rows, layers, classes).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ._params import brief
from ._parts import Family, Part, check_number, is_name, is_number

__all__ = [
    "EarlyExit",
    "Goodness",
    "Head",
    "Hybrid",
    "Last",
    "Prediction",
    "SoftmaxSum",
    "predictions",
]


class Prediction(Part):
    """Base of a prediction rule; see the module's docstring for the contract."""

    needs_head = False
    needs_goodness = True
    abrupt = False  # whether scores may change by more than by their last digits where g does so
    open = False  # whether rows held out of the fit settle it
    layers: Any = None  # what a rule calls its layers

    @property
    def asked(self) -> Any:
        """Indices of the layers that it asks for; None: all that count."""
        return self.layers

    def n_shown(self, n_classes: int) -> int:
        """Number of labels that are scored at once, which bounds memory."""
        return n_classes

    def scores(self, evidence: Any) -> torch.Tensor:
        raise self.undefined("scores")

    def settled(self, scores: Any, layers: Any, codes: Any, weight: Any) -> Prediction:
        raise self.undefined("settled")


class FunctionPrediction(Prediction):
    """A user's callable as a prediction rule."""

    abrupt = needs_head = True  # for what it may ask

    def __init__(self, function):
        self.function = function

    def scores(self, evidence):
        return self.function(evidence)


predictions = Family("prediction", Prediction, FunctionPrediction, "(evidence) -> scores")


def checked_rule(value: Any) -> Prediction:
    """The rule that a value means: a name, a rule, or a callable."""
    rule = predictions.get(value)
    rule.check()
    return rule


@predictions.register("goodness")
class Goodness(Prediction):
    """The goodness, summed over the counted layers (Hinton, 2022), or over some of these.

    `layers` are indices of the layers that are summed, so that they may be chosen after the fit, on
    rows held out of it. "best" chooses them at the end of the fit: those from one layer to another
    whose sum finds the most labels of held-out rows (Sun et al., 2025).
    """

    def __init__(self, layers=None):
        self.layers = layers

    @property
    def open(self) -> bool:  # type: ignore[override]
        return is_name(self.layers, "best")

    @property
    def asked(self):
        return None if self.open else self.layers

    def settled(self, scores, layers, codes, weight):
        """The sum over the best range; of equally good ones that which ends first."""
        upto = np.pad(np.cumsum(scores, axis=1, dtype=np.float64), ((0, 0), (1, 0), (0, 0)))
        best, most = layers, -np.inf
        for end in range(1, len(layers) + 1):
            for start in range(end):
                found = (upto[:, end] - upto[:, start]).argmax(1)
                right = float(weight @ (found == codes))
                if right > most:
                    best, most = layers[start:end], right
        return Goodness([*best])

    def check(self):
        if self.layers is None or self.open:
            return
        array = isinstance(self.layers, np.ndarray) and self.layers.ndim == 1
        listed = [*self.layers] if array or isinstance(self.layers, (list, tuple, range)) else []
        if not listed or not all(is_number(i, whole=True) and i >= 0 for i in listed):
            raise ValueError(
                f"Goodness(layers={brief(self.layers)}) names no layers; give a list of indices "
                f"from 0, such as [1, 2], None for all that count, or 'best'."
            )

    def scores(self, evidence):
        if self.asked is None:
            return sum(g for _, g in evidence.layers())
        chosen, summed, g = {int(index) for index in self.layers}, [], None
        for index, g in evidence.layers():
            summed += [g] * (index in chosen)
            if index >= max(chosen):
                break
        return sum(summed or [g])  # the last one while a greedy fit has reached none of them


@predictions.register("head")
class Head(Prediction):
    """The logits of the softmax head: one pass for any number of classes."""

    needs_head, needs_goodness = True, False

    def n_shown(self, n_classes):
        return 1

    def scores(self, evidence):
        return evidence.logits()


@predictions.register("hybrid")
class Hybrid(Prediction):
    """The goodness of the `shortlist` labels that the head finds most likely.

    Other labels score below these, in the head's order.
    """

    needs_head = abrupt = True

    def __init__(self, shortlist=2):
        self.shortlist = shortlist

    def check(self):
        check_number(self, "shortlist", at_least=1, whole=True)

    def n_shown(self, n_classes):
        return min(self.shortlist, n_classes)

    def scores(self, evidence):
        logits = evidence.logits()
        likely = likeliest(logits, min(self.shortlist, logits.shape[1]))
        g = sum(g for _, g in evidence.layers(likely))
        rest = logits - logits.amax(1, keepdim=True) + below(g.amin(1, keepdim=True))
        return rest.scatter(1, likely, g)


def likeliest(logits, n):
    """The n most likely labels of every row, of equal ones the first; faster than to sort all."""
    last, n_labels = logits.topk(n, dim=1).values[:, -1:], logits.shape[1]
    place = torch.arange(n_labels, 0, -1, device=logits.device, dtype=torch.int32)
    tied = torch.where(logits == last, place, 0)
    return torch.where(logits > last, n_labels + 1, tied).topk(n, dim=1).indices


def below(g):
    """Numbers just below g."""
    info = torch.finfo(g.dtype)
    return g - (info.eps * g.abs()).clamp_min(info.tiny)


@predictions.register("last")
class Last(Prediction):
    """The goodness of the last counted layer alone."""

    def scores(self, evidence):
        for _, g in evidence.layers():
            last = g
        return last


@predictions.register("softmax_sum")
class SoftmaxSum(Prediction):
    """log of the mean over layers of softmax(β g): layers count alike at every scale."""

    abrupt = True  # scores are small where large numbers cancel, and so do not tell their errors

    def scores(self, evidence):
        logs = [(evidence.sharpness(index) * g).log_softmax(1) for index, g in evidence.layers()]
        return torch.stack(logs).logsumexp(0)


@predictions.register("early_exit")
class EarlyExit(Prediction):
    """The goodness summed up to the first layer that is sure: whose two best labels differ by
    log-odds of at least `margin`. Layers above are computed only while some row is not sure.
    """

    abrupt = True

    def __init__(self, margin=3.0):
        self.margin = margin

    def check(self):
        check_number(self, "margin", at_least=0)

    def scores(self, evidence):
        total: Any = None
        sure: Any = None
        for index, g in evidence.layers():
            total = g if total is None else torch.where(sure[:, None], total, total + g)
            first, second = (evidence.sharpness(index) * total).topk(2, dim=1).values.unbind(1)
            enough = first - second >= self.margin
            sure = enough if sure is None else sure | enough
            if not torch.compiler.is_compiling() and sure.all():  # a graph has no such branch
                break
        return total
