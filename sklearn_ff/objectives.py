"""Objectives: the loss of a layer as a function of the scores of the candidates.

The contract. `loss(scores, layer)` takes scores g of shape (rows, candidates), the positive
candidate in column 0, and returns one loss per row; the step weighs and averages them. `layer`, a
`LayerFacts`, describes the layer, and what else is known of the batch: labels, activations,
progress, and, where an objective `needs_others`, the goodness of the other layers. An objective
that `splits` is the sum of a loss of the positive candidate, `positive(scores, layer)`, and a loss
of the negative ones, `negative(scores, layer)`. One that `compares_rows` learns from whole batches;
one that `matches_labels` compares activations with labels, which the layers must not be shown.
An objective that owns weights is a description: `build(layer)` returns a torch module with a method
`loss(scores, layer)`, whose weights become those of the layer; its method `reset(generator)`, if
any, draws the first ones.
`sharpness` β is the factor that turns a difference of scores into log-odds; "auto" is the value
that the layer's goodness declares. A callable `(scores) -> losses` is accepted too.

In the formulas g⁺ is the score of the positive candidate, g⁻ that of a negative one, Δ = g⁺ − g⁻,
and terms with g⁻ are averaged over the negative candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize, silu

from ._parts import (
    LARGEST,
    Family,
    Part,
    PerLayer,
    call_intact,
    check_choice,
    check_flag,
    check_number,
    checked_like,
    is_number,
)
from ._typing import Function, OneOrEach, Shape

__all__ = [
    *("Collaboration", "LayerFacts", "Logistic", "Margin", "Objective", "Similarity"),
    *("Softmax", "Swish", "SymBa"),
    "objectives",
]


Threshold: TypeAlias = OneOrEach[float | str]


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
    """Base of an objective; see the module's docstring for the contract."""

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
        raise NotImplementedError

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


def _gap(scores: Tensor) -> Tensor:
    """Δ for every negative candidate: (rows, candidates − 1)."""
    positive, negative = scores.split([1, scores.shape[1] - 1], dim=1)
    return positive - negative


@objectives.register("logistic")
class Logistic(Objective):
    """softplus(−β(g⁺ − θ)) + softplus(β(g⁻ − θ)) (Hinton, 2022).

    `threshold` θ is a number, "width" (the layer's number of units, for a sum of squares), or a
    list with one of these per layer; `threshold_negative`, if given, replaces it for g⁻.
    """

    splits = True
    by_layer = ("threshold", "threshold_negative")

    def __init__(
        self,
        threshold: Threshold = 1.0,
        sharpness: float | str = "auto",
        threshold_negative: Threshold | None = None,
    ) -> None:
        self.threshold = threshold
        self.sharpness = sharpness
        self.threshold_negative = threshold_negative

    def check(self) -> None:
        super().check()
        _check_thresholds("threshold", self.threshold)
        if self.threshold_negative is not None:
            _check_thresholds("threshold_negative", self.threshold_negative)

    def score_targets(self, layer: LayerFacts) -> tuple[Any, ...]:
        negative = self.threshold if self.threshold_negative is None else self.threshold_negative
        return _threshold(self.threshold, layer), _threshold(negative, layer)

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return self.positive(scores, layer) + self.negative(scores, layer)

    def positive(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return softplus(self.factor(layer) * (self.score_targets(layer)[0] - scores[:, 0]))

    def negative(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        threshold = self.score_targets(layer)[1]
        return softplus(self.factor(layer) * (scores[:, 1:] - threshold)).mean(1)


def _check_thresholds(name: str, value: Any) -> None:
    for one in value if isinstance(value, (list, tuple)) else [value]:
        number = is_number(one) and abs(one) <= LARGEST
        if not (number or (isinstance(one, str) and one == "width")):
            raise ValueError(
                f"Logistic({name}={value!r}) is not understood: {name} must be a finite number "
                f"of at most {LARGEST:g}, 'width', or a list with one of these per layer."
            )


def _threshold(value: Any, layer: LayerFacts) -> float:
    if isinstance(value, (list, tuple)):
        value = value[layer.index]
    if value == "width":
        return layer.n_units
    return value


@objectives.register("symba")
class SymBa(Objective):
    """softplus(−βΔ), without a threshold (Lee and Song, 2023)."""

    def __init__(self, sharpness: float | str = "auto") -> None:
        self.sharpness = sharpness

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return softplus(-self.factor(layer) * _gap(scores)).mean(1)


@objectives.register("swish")
class Swish(Objective):
    """x σ(x) with x = −βΔ. Unlike SymBa it has a minimum, so rows with a large Δ do not pull."""

    def __init__(self, sharpness: float | str = "auto") -> None:
        self.sharpness = sharpness

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return silu(-self.factor(layer) * _gap(scores)).mean(1)


@objectives.register("margin")
class Margin(Objective):
    """max(0, m − Δ) + λ g⁻ with `margin` m and `penalty` λ (Wu et al., 2024)."""

    def __init__(self, margin: float = 1.0, penalty: float = 0.0) -> None:
        self.margin = margin
        self.penalty = penalty

    def check(self) -> None:
        check_number(self, "margin", at_least=0)
        check_number(self, "penalty", at_least=0)

    @property
    def falls_without_end(self) -> bool:
        return self.penalty > 0

    def slope(self, layer: LayerFacts) -> float:
        return 1.0

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        hinge = (self.margin - _gap(scores)).clamp_min(0)
        return (hinge + self.penalty * scores[:, 1:]).mean(1)


@objectives.register("softmax")
class Softmax(Objective):
    """−log softmax(β g)⁺: the positive candidate against all others at once."""

    def __init__(self, sharpness: float | str = "auto") -> None:
        self.sharpness = sharpness

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return -(self.factor(layer) * scores).log_softmax(1)[:, 0]


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
