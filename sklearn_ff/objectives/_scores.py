"""Objectives of the scores of a layer alone."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import silu

from .._parts import LARGEST, check_number, is_number
from .._typing import OneOrEach
from ._base import LayerFacts, Objective, averaged, gap, objectives, slopes_of_gap, softplus

silu_backward = torch.ops.aten.silu_backward  # its slopes times what the first argument holds

Threshold: TypeAlias = OneOrEach[float | str]


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

    def with_slopes(self, scores: Tensor, layer: LayerFacts) -> tuple[Tensor, Tensor]:
        factor, (positive, negative) = self.factor(layer), self.score_targets(layer)
        below = factor * (positive - scores[:, :1])
        above = factor * (scores[:, 1:] - negative)
        loss = softplus(below)[:, 0] + averaged(softplus(above))
        slopes = [-factor * below.sigmoid(), factor / above.shape[1] * above.sigmoid()]
        return loss, torch.cat(slopes, 1)


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
        return softplus(-self.factor(layer) * gap(scores)).mean(1)

    def with_slopes(self, scores: Tensor, layer: LayerFacts) -> tuple[Tensor, Tensor]:
        factor = self.factor(layer)
        x = -factor * gap(scores)
        return averaged(softplus(x)), slopes_of_gap(x.sigmoid(), -factor)


@objectives.register("swish")
class Swish(Objective):
    """x σ(x) with x = −βΔ. Unlike SymBa it has a minimum, so rows with a large Δ do not pull."""

    def __init__(self, sharpness: float | str = "auto") -> None:
        self.sharpness = sharpness

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return silu(-self.factor(layer) * gap(scores)).mean(1)

    def with_slopes(self, scores: Tensor, layer: LayerFacts) -> tuple[Tensor, Tensor]:
        factor = self.factor(layer)
        x = -factor * gap(scores)
        slopes = silu_backward(torch.ones_like(x), x)
        return averaged(silu(x)), slopes_of_gap(slopes, -factor)


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
        hinge = (self.margin - gap(scores)).clamp_min(0)
        return (hinge + self.penalty * scores[:, 1:]).mean(1)

    def with_slopes(self, scores: Tensor, layer: LayerFacts) -> tuple[Tensor, Tensor]:
        short = self.margin - gap(scores)
        slopes = slopes_of_gap((short > 0).to(scores.dtype), -1.0)
        slopes[:, 1:] += self.penalty / short.shape[1]
        return averaged(short.clamp_min(0) + self.penalty * scores[:, 1:]), slopes


@objectives.register("softmax")
class Softmax(Objective):
    """−log softmax(β g)⁺: the positive candidate against all others at once."""

    def __init__(self, sharpness: float | str = "auto") -> None:
        self.sharpness = sharpness

    def loss(self, scores: Tensor, layer: LayerFacts) -> Tensor:
        return -(self.factor(layer) * scores).log_softmax(1)[:, 0]

    def with_slopes(self, scores: Tensor, layer: LayerFacts) -> tuple[Tensor, Tensor]:
        factor = self.factor(layer)
        logs = (factor * scores).log_softmax(1)
        slopes = factor * logs.exp()
        slopes[:, 0] -= factor
        return -logs[:, 0], slopes
