"""Objectives that read more than a layer's scores: other layers, or activations and labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from .._parts import check_choice, check_flag, check_number
from ._base import LayerFacts, Objective, objectives, softplus


@objectives.register("collaboration")
class Collaboration(Objective):
    """Another `objective` of g + w Σ g of the other layers, which are constants (Lorberbom et al.,
    2024), with `weight` w.

    A layer then learns from the rows that the network as a whole does not separate yet, at the cost
    of one more forward pass. `reads="all"` counts all other layers, "below" those below.
    """

    needs_others = True

    def __init__(
        self, objective: Any = "logistic", weight: float = 1.0, reads: str = "all"
    ) -> None:
        self.objective = objective
        self.weight = weight
        self.reads = reads

    @property
    def inner(self) -> Objective:
        return objectives.get(self.objective, automatic=False)

    @property
    def splits(self) -> bool:  # type: ignore[override]
        return self.inner.splits

    @property
    def falls_without_end(self) -> bool:
        return self.inner.falls_without_end

    def listed(self) -> list[tuple[str, Any]]:
        return self.inner.listed()

    def check(self) -> None:
        check_number(self, "weight", at_least=0)
        check_choice(self, "reads", ("all", "below"))
        several = isinstance(self.objective, (list, tuple))
        if several or self.inner.needs_others or self.inner.matches_labels:
            raise ValueError(
                f"{self!r} adds the goodness of other layers to the scores of one objective, which "
                f"must read scores alone; give one such as 'logistic'."
            )
        self.inner.check()

    def factor(self, layer: LayerFacts) -> float:
        return self.inner.factor(layer)

    def slope(self, layer: LayerFacts) -> float:
        return self.inner.slope(layer)

    def score_targets(self, layer: LayerFacts) -> tuple[Any, ...]:
        return self.inner.score_targets(layer)

    @property
    def compares_rows(self) -> bool:  # type: ignore[override]
        return self.inner.compares_rows

    def build(self, layer: LayerFacts) -> Any:
        built = self.inner.build(layer)
        return CollaborationLoss(self, built) if isinstance(built, nn.Module) else self

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return self.inner.loss(self.shared(scores, layer), layer)

    def positive(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return self.inner.side("positive").loss(self.shared(scores, layer), layer)

    def negative(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return self.inner.side("negative").loss(self.shared(scores, layer), layer)

    def shared(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        """The scores, with the goodness of the other layers as a constant."""
        if layer.others is None:
            return scores
        others = layer.others if self.reads == "all" else layer.others[: layer.index]
        return scores + self.weight * others.sum(0)


class CollaborationLoss(nn.Module):
    """The loss of `Collaboration` in one layer, of an objective that owns weights."""

    def __init__(self, objective: Collaboration, inner: Any) -> None:
        super().__init__()
        self.objective, self.inner = objective, inner

    def reset(self, generator: torch.Generator) -> None:
        if hasattr(self.inner, "reset"):
            self.inner.reset(generator)

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return self.inner.loss(self.objective.shared(scores, layer), layer)


@objectives.register("similarity")
class Similarity(Objective):
    """(1 − w) softmax + w Σ_j (S_ij − Y_ij)² / n: similarity matching (Nøkland and Eidnes, 2019).

    S_ij is the cosine of the activations of rows i and j, Y_ij that of their one-hot labels, both
    after centring, n the number of rows of the batch, `weight` w. Activations go through a linear
    map first, one of images through a convolution of 3 × 3 pixels and the deviation of every
    channel; `mapped=False` leaves the map out. The softmax of the scores is the term "pred" of the
    authors, whose "predsim" has w = 0.99.
    """

    matches_labels = compares_rows = True

    def __init__(
        self, weight: float = 0.99, mapped: bool = True, sharpness: float | str = "auto"
    ) -> None:
        self.weight = weight
        self.mapped = mapped
        self.sharpness = sharpness

    def check(self) -> None:
        super().check()
        check_number(self, "weight", at_least=0, at_most=1)
        check_flag(self, "mapped")

    @property
    def ignores_scores(self) -> bool:  # type: ignore[override]
        return self.weight == 1

    def build(self, layer: LayerFacts) -> nn.Module:
        return SimilarityLoss(self, layer)


class SimilarityLoss(nn.Module):
    """The loss of `Similarity` in one layer, with the weights of its map."""

    def __init__(self, objective: Similarity, layer: LayerFacts) -> None:
        super().__init__()
        self.objective = objective
        self.map: nn.Module = nn.Identity()
        if objective.mapped and len(layer.shape) == 3:
            self.map = nn.Conv2d(layer.shape[0], layer.shape[0], 3, padding=1, bias=False)
        elif objective.mapped:
            self.map = nn.Linear(layer.n_units, layer.n_units, bias=False)

    def reset(self, generator: torch.Generator) -> None:
        for weight in self.map.parameters():
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5, generator=generator)

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        assert layer.activations is not None and layer.labels is not None
        share, h = self.objective.weight, layer.activations[:, 0]
        if len(layer.shape) == 3:  # between layers, pixel by pixel
            channels, height, width = layer.shape
            h = self.map(h.view(-1, height, width, channels).permute(0, 3, 1, 2)).flatten(2)
            h = (h.var(2, correction=0) + TINY).sqrt()
        else:
            h = self.map(h)
        matching = (cosines(h) - cosines_of_labels(layer)).square().mean(1)
        predicted = -(self.objective.factor(layer) * scores).log_softmax(1)[:, 0]
        return (1 - share) * predicted + share * matching


class Routing(Objective):
    """softplus(β(θ − s)) + softplus(β(s' − θ)) by halves of a layer: class routing (rmwkwok, 2023).

    One half of the units takes the rows of one half of the classes as positive and all others as
    negative, the other half the reverse: s is the sum of h_j² over the units that take a row as
    positive, s' that over the others; `threshold` θ. With `split="random"` every layer draws its
    own halves of the classes, "same" is the first half and the last in all layers. Scores are not
    taught, so that a head predicts.
    """

    matches_labels = ignores_scores = True

    def __init__(
        self, threshold: float = 1.0, sharpness: float | str = 1.0, split: str = "random"
    ) -> None:
        self.threshold = threshold
        self.sharpness = sharpness
        self.split = split

    def check(self) -> None:
        super().check()
        check_number(self, "threshold")
        check_choice(self, "split", ("random", "same"))

    def build(self, layer: LayerFacts) -> nn.Module:
        return RoutingLoss(self, layer)


class RoutingLoss(nn.Module):
    """The loss of `Routing` in one layer, with the units that take a class as positive."""

    own: Tensor  # (classes, units)

    def __init__(self, objective: Routing, layer: LayerFacts) -> None:
        super().__init__()
        self.objective = objective
        n_channels = (layer.shape or (layer.n_units,))[0]  # between layers, pixel by pixel
        half = torch.arange(layer.n_units) % n_channels < n_channels // 2
        first = torch.arange(layer.n_classes) < layer.n_classes // 2
        self.register_buffer("own", (half == first[:, None]).float())

    def reset(self, generator: torch.Generator) -> None:
        if self.objective.split == "random":
            n = len(self.own)
            order = torch.randperm(n, generator=generator, device=generator.device)
            self.own.copy_(self.own[order])

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        assert layer.activations is not None and layer.labels is not None
        squares, factor = layer.activations[:, 0].square(), self.objective.factor(layer)
        positive = (squares * self.own[layer.labels]).sum(1)
        negative = squares.sum(1) - positive
        threshold = self.objective.threshold
        return softplus(factor * (threshold - positive)) + softplus(factor * (negative - threshold))


TINY = 1e-12  # below any variance, so that a channel without one has a gradient


def cosines(x: Tensor) -> Tensor:
    """Cosines of all pairs of rows, each of which is centred."""
    x = normalize(x - x.mean(1, keepdim=True), dim=1)
    return x @ x.T


def cosines_of_labels(layer: LayerFacts) -> Tensor:
    """Those of one-hot labels, centred: 1 for equal ones, and else −1 / (K − 1)."""
    assert layer.labels is not None and layer.activations is not None
    same = (layer.labels[:, None] == layer.labels).to(layer.activations.dtype)
    return same - (1 - same) / (layer.n_classes - 1)
