"""Dense layers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._parts import check_choice, check_number
from .._typing import Function, Shape
from ._base import BaseMap, Draw, LayerKind, LayerMap, add_gradient, drawn_normal, layer_kinds
from ._norms import PositiveBatchNorm


@layer_kinds.register("dense")
class Dense(LayerKind):
    """`n_units` units, each connected to all inputs.

    `weight_init` says how weights start: "normal" with variance 1 / fan_in and biases zero, as in
    Hinton's code, or "uniform" within 1 / sqrt(fan_in) of zero, biases too, as torch's own layers
    do; fan_in counts the inputs of a unit, the label's among them. With `learned=False` the weights
    stay as they start. `norm` is None or "batch": pre-activations are normalised by statistics of
    the positive candidates of the batch.
    """

    def __init__(
        self,
        n_units: int = 256,
        *,
        norm: str | None = None,
        weight_init: str = "normal",
        learned: bool = True,
    ) -> None:
        self.n_units = n_units
        self.norm = norm
        self.weight_init = weight_init
        self.learned = learned

    @property
    def whole_batches(self) -> bool:  # type: ignore[override]
        return self.norm == "batch"

    @property
    def has_peers(self) -> bool:  # type: ignore[override]
        return self.norm is None

    def check(self) -> None:
        super().check()
        check_number(self, "n_units", at_least=1, whole=True)
        check_choice(self, "norm", (None, "batch"))

    def build(
        self, shape: Shape, n_label_inputs: int = 0, low_precision: bool = False, raw: bool = False
    ) -> LayerMap:
        n_inputs = math.prod(shape)
        fan_in = n_inputs + n_label_inputs
        return Affine(n_inputs, int(self.n_units), fan_in, low_precision, self.norm)


class Affine(BaseMap):
    """W z + b, and in `outputs` the normalisation.

    Low precision is used in training alone.
    """

    overwritable = takes_bfloat16 = True

    norm: PositiveBatchNorm | None

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        fan_in: int,
        low_precision: bool = False,
        norm: str | None = None,
    ) -> None:
        super().__init__()
        self.n_units = self.n_biases = self.n_outputs = n_units
        self.shape, self.n_products = (n_units,), n_inputs * n_units
        self.fan_in, self.low_precision = fan_in, low_precision
        self.weight = nn.Parameter(torch.empty(n_units, n_inputs))
        self.bias = nn.Parameter(torch.zeros(n_units))
        self.norm = None if norm is None else PositiveBatchNorm(n_units)
        self.whole_batches, self.plain = norm is not None, norm is None

    def reset(self, generator: torch.Generator, draw: Draw = drawn_normal) -> None:
        draw(self.weight, self.fan_in, generator)

    def product(self, z: Tensor, bias: Tensor | None = None) -> Tensor:
        if bias is not None and torch.is_grad_enabled() and not self.low_precision:
            return F.linear(z, self.weight).add_(bias)  # no view, which activations may overwrite
        if not (self.low_precision and self.training):
            return F.linear(z, self.weight, bias)
        a = F.linear(z.bfloat16(), self.weight.bfloat16()).to(self.weight.dtype)
        return a if bias is None else a + bias

    def learn(self, z: Tensor, slopes: Tensor, biased: bool = True) -> None:
        """Add ∂L/∂W = slopesᵀ z, and ∂L/∂b if `biased`, to the gradients."""
        z, slopes = z.reshape(-1, z.shape[-1]), slopes.reshape(-1, self.n_units)
        if biased:
            add_gradient(self.bias, slopes.sum(0))
        if self.low_precision and self.training:
            z, slopes = z.bfloat16(), slopes.bfloat16()
        add_gradient(self.weight, (slopes.T @ z).to(self.weight.dtype))

    def outputs(self, a: Tensor, function: Function) -> Tensor:
        if self.norm is not None:
            a = self.norm(a, (self.n_units, 1, 1))  # as the channels of one pixel
        return function(a)
