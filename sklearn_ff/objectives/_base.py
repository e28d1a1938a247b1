"""The base of objectives, what they may know of a layer, and their family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .._parts import Family, Part, PerLayer, call_intact, check_number, checked_like
from .._typing import Function, Shape


@dataclass(frozen=True)
class LayerFacts:
    """Facts of a layer that an objective may use, and of the batch that it learns from.

    Attributes
    ----------
    index : int
        Number of the layer, from 0.
    n_units : int
        Number of units that the goodness reads.
    sharpness : float
        Log-odds per unit of goodness.
    shape : tuple of int
        (units,), or (channels, height, width) of a layer of images.
    n_classes : int
        Number of classes, 1 where no labels are learned.
    activations : Tensor of shape (rows, candidates, units) or None
        What the goodness has read; (rows, 1, units) where all classes are scored at once. They
        carry a gradient.
    labels : Tensor of shape (rows,) or None
        Codes of the rows' own labels.
    progress : float
        Share of the current stage of training that has passed, 0 in `partial_fit`.
    others : Tensor of shape (layers - 1, rows, candidates) or None
        Goodness of the other layers, as constants, if the objective `needs_others`.
    """

    index: int
    n_units: int
    sharpness: float = 10.0
    shape: Shape = ()
    n_classes: int = 1
    activations: Tensor | None = None
    labels: Tensor | None = None
    progress: float = 0.0
    others: Tensor | None = None

    def beside(
        self, activations: Tensor, labels: Tensor, progress: float, every: list[Tensor]
    ) -> LayerFacts:
        """These facts beside a batch; `every` holds the goodness of all layers, or nothing."""
        apart = [g for index, g in enumerate(every) if index != self.index]
        others = torch.stack(apart) if apart else None
        facts = self.index, self.n_units, self.sharpness, self.shape, self.n_classes
        return LayerFacts(*facts, activations, labels, progress, others)


class Objective(Part):
    """Base of an objective; see the package's docstring for the contract."""

    sharpness: float | str = "auto"
    splits = False
    needs_others = False  # whether it reads the goodness of the other layers
    matches_labels = False  # whether it compares activations with labels, which must not be shown
    ignores_scores = False  # whether no gradient of it reaches the scores
    compares_rows = False  # whether a row's loss depends on the rows beside it
    by_layer: tuple[str, ...] = ()  # parameters that may be lists with an entry per layer

    def check(self) -> None:
        if self.sharpness != "auto":
            check_number(self, "sharpness", above=0)

    def factor(self, layer: LayerFacts) -> float:
        """β."""
        return layer.sharpness if isinstance(self.sharpness, str) else self.sharpness

    def slope(self, layer: LayerFacts) -> float:
        """Largest slope of the loss in a score; the penalty of the weights is multiplied by it."""
        return self.factor(layer)

    def score_targets(self, layer: LayerFacts) -> tuple[Any, ...]:
        """Thresholds of the positive and of the negative candidates, if any."""
        return ()

    def listed(self) -> list[tuple[str, Any]]:
        """Names and values of the parameters that may be lists with an entry per layer."""
        return [(name, getattr(self, name)) for name in self.by_layer]

    @property
    def falls_without_end(self) -> bool:
        """Whether the loss falls without bound as the score of a negative candidate falls."""
        return False

    def build(self, layer: LayerFacts) -> Any:
        """What computes the loss of a layer, by its method `loss`: a module if it owns weights."""
        return self

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        raise self.undefined("loss")

    def side(self, name: str) -> Objective:
        """The term of the "positive" or of the "negative" candidates alone."""
        return OneSided(self, name)


class OneSided(Objective):
    """One of the two terms of an objective that splits."""

    def __init__(self, objective: Objective, name: str) -> None:
        self.objective = objective
        self.name = name

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return getattr(self.objective, self.name)(scores, layer)


class FunctionObjective(Objective):
    """A user's callable as an objective."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def slope(self, layer: LayerFacts) -> float:
        return 1.0

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        loss = call_intact(self.function, scores, "objective")
        return checked_like(loss, scores, scores.shape[:1], "objective", "a loss per row")


objectives = Family("objective", Objective, FunctionObjective, "(scores) -> losses", PerLayer)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp x), exact at every x."""
    return -logsigmoid(-x)


def gap(scores: Tensor) -> Tensor:
    """Δ for every negative candidate: (rows, candidates − 1)."""
    positive, negative = scores.split_with_sizes([1, scores.shape[1] - 1], 1)
    return positive - negative


def averaged(losses: Tensor) -> Tensor:
    """The mean over the negative candidates, of which most methods have one."""
    return losses.mean(1) if losses.shape[1] > 1 else losses[:, 0]


def slopes_of_gap(slopes: Tensor, factor: float) -> Tensor:
    """∂/∂g of a mean over the negative candidates whose ∂/∂Δ are factor · slopes."""
    n_negatives = slopes.shape[1]
    own = slopes * (factor / n_negatives)
    return torch.cat([own if n_negatives == 1 else own.sum(1, keepdim=True), -own], 1)
