"""Negative labels: the row is shown with labels other than its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._draws import Draws
from .._parts import check_number
from ._base import Negatives, negatives


def _sample_negatives(logits: Tensor, y: Tensor, n: int, draws: Draws) -> Tensor:
    """`n` different labels per row, in proportion to softmax(logits), never the true one.

    Adding standard Gumbel noise to logits and taking the largest draws from their softmax.
    """
    u = draws.uniform(*logits.shape).clamp_(1e-12, 1 - 1e-7)
    noisy = logits.clamp(-1e30, 1e30).sub_(u.log_().neg_().log_())
    noisy.scatter_(1, y[:, None], -torch.inf)
    n = min(n, logits.shape[1] - 1)
    return noisy.argmax(1, keepdim=True) if n == 1 else noisy.topk(n, dim=1).indices


@negatives.register("uniform")
class Uniform(Negatives):
    """Negative labels with equal chances (Hinton, 2022); `n_negatives` different ones per row."""

    def __init__(self, n_negatives: int = 1, redraw: str = "batch") -> None:
        self.n_negatives = n_negatives
        self.redraw = redraw

    def check(self) -> None:
        super().check()
        check_number(self, "n_negatives", at_least=1, whole=True)

    def draw(self, y: Tensor, n_classes: int, draws: Draws, belief: Tensor | None = None) -> Tensor:
        level = y.new_zeros(len(y), n_classes, dtype=draws.dtype)
        return _sample_negatives(level, y, self.n_negatives, draws)


@negatives.register("hard")
class Hard(Negatives):
    """Negative labels in proportion to the head's belief in them (Hinton's code, 2022).

    The chances are softmax(logits / `temperature`) with the true label masked.
    """

    needs_head = True

    def __init__(self, n_negatives: int = 1, temperature: float = 1.0) -> None:
        self.n_negatives = n_negatives
        self.temperature = temperature

    def check(self) -> None:
        super().check()
        check_number(self, "n_negatives", at_least=1, whole=True)
        check_number(self, "temperature", above=0)

    def draw(self, y: Tensor, n_classes: int, draws: Draws, belief: Tensor | None = None) -> Tensor:
        assert belief is not None  # as `needs_head` asks for
        tempered = belief if self.temperature == 1 else belief / self.temperature
        return _sample_negatives(tempered, y, self.n_negatives, draws)


@negatives.register("all")
class All(Negatives):
    """All other labels as negatives of every row, at the cost of n_classes candidates."""

    def n_candidates(self, n_classes: int) -> int:
        return n_classes

    def draw(self, y: Tensor, n_classes: int, draws: Draws, belief: Tensor | None = None) -> Tensor:
        others = torch.arange(1, n_classes, device=y.device)
        return (y[:, None] + others) % n_classes


@negatives.register("by_goodness")
class ByGoodness(All):
    """Negative labels in proportion to a layer's own belief in them, in every layer separately.

    The chances are softmax(β g / `temperature`) with the true label masked, where g is the goodness
    of this layer and β its sharpness. All labels are scored, at the cost of n_classes candidates;
    a layer learns from the `n_negatives` that it has drawn. No head is needed.
    """

    selects = True

    def __init__(self, n_negatives: int = 1, temperature: float = 1.0) -> None:
        self.n_negatives = n_negatives
        self.temperature = temperature

    def check(self) -> None:
        super().check()
        check_number(self, "n_negatives", at_least=1, whole=True)
        check_number(self, "temperature", above=0)

    def select(self, scores: Tensor, layer: Any, draws: Draws) -> Tensor:
        belief = layer.objective.sharpness * scores.detach() / self.temperature
        first = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
        drawn = _sample_negatives(belief, first, self.n_negatives, draws)
        return scores.gather(1, torch.cat([first[:, None], drawn], 1))


@negatives.register("permuted")
class Permuted(Negatives):
    """The labels shuffled among the rows, as several published programs do.

    It is provided for comparison and has a flaw: one negative label in n_classes is the true one,
    for which the loss raises and lowers the same score.
    """

    never_true = False
    mixes_rows = True

    def __init__(self, redraw: str = "epoch") -> None:
        self.redraw = redraw

    def draw(self, y: Tensor, n_classes: int, draws: Draws, belief: Tensor | None = None) -> Tensor:
        return y[draws.permutation(len(y))][:, None]
