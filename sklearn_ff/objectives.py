"""Objectives: the loss of a layer as a function of the scores of the candidates.

The contract. `loss(scores, layer)` takes scores g of shape (rows, candidates), the positive
candidate in column 0, and returns one loss per row; the step weighs and averages them. `layer`, a
`LayerFacts`, describes the layer. An objective that `splits` is the sum of a loss of the positive
candidate, `positive(scores, layer)`, and a loss of the negative ones, `negative(scores, layer)`.
`sharpness` β is the factor that turns a difference of scores into log-odds; "auto" is the value
that the layer's goodness declares. A callable `(scores) -> losses` is accepted too.

In the formulas g⁺ is the score of the positive candidate, g⁻ that of a negative one, Δ = g⁺ − g⁻,
and terms with g⁻ are averaged over the negative candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor
from torch.nn.functional import logsigmoid, silu

from ._parts import (
    LARGEST,
    Family,
    Part,
    PerLayer,
    call_intact,
    check_number,
    checked_like,
    is_number,
)
from ._typing import Function, OneOrEach

__all__ = [
    *("LayerFacts", "Logistic", "Margin", "Objective", "Softmax", "Swish", "SymBa"),
    "objectives",
]


Threshold: TypeAlias = OneOrEach[float | str]


@dataclass(frozen=True)
class LayerFacts:
    """Facts of a layer that an objective may use.

    `index` counts from 0, `n_units` is the number of units that the goodness reads, `sharpness` is
    the log-odds per unit of goodness.
    """

    index: int
    n_units: int
    sharpness: float = 10.0


class Objective(Part):
    """Base of an objective; see the module's docstring for the contract."""

    sharpness: float | str = "auto"
    splits = False
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

    @property
    def falls_without_end(self) -> bool:
        """Whether the loss falls without bound as the score of a negative candidate falls."""
        return False

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
