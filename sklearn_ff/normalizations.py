"""Normalisation of activations before the next layer.

The contract. A normalisation scales rows to a common length, so the next layer receives only their
direction: N(z) = center(z)·factor(mean square of center(z), width). None means no normalisation.
`build(shape)` returns N for a layer of this shape, (units,) or (channels, height, width). Inputs
are normalised by `center` and `factor`, unless a normalisation is `local`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._parts import Family, Part, PerLayer, check_flag
from ._typing import Function, Shape

__all__ = [
    *("BatchNorm", "ChannelNorm", "LayerNorm", "NoNorm", "Normalization", "RMSNorm", "UnitNorm"),
    *("input_normalizations", "normalizations"),
]


class Normalization(Part):
    """Base of a normalisation; see the module's docstring for the contract."""

    identity = False
    centers = False
    local = False  # whether parts of a row have factors of their own
    whole_batches = False  # whether rows are normalised by those beside them in a batch

    def build(self, shape: Shape) -> Function:
        """N for activations of a shape."""
        return self

    def center(self, z: Tensor) -> Tensor:
        return z

    def factor(self, mean_square: Tensor, width: int) -> Tensor:
        raise self.undefined("factor")

    def __call__(self, z: Tensor) -> Tensor:
        z = self.center(z)
        mean_square = torch.linalg.vector_norm(z, dim=-1, keepdim=True).square().div_(z.shape[-1])
        return z * self.factor(mean_square, z.shape[-1])


# Far below the mean square of any layer with active units; a layer without stays at zero.
_EPS = 1e-10

normalizations = Family("normalization", Normalization, per_layer=PerLayer)
input_normalizations = Family("input_normalization", Normalization)
input_normalizations.registry = normalizations.registry  # the same parts, one for the input


@normalizations.register("rms")
class RMSNorm(Normalization):
    """Mean square 1 per unit (Hinton's code, 2022)."""

    def factor(self, mean_square: Tensor, width: int) -> Tensor:
        return (mean_square + _EPS).rsqrt_()


@normalizations.register("unit")
class UnitNorm(Normalization):
    """Length 1 (Hinton's text, 2022)."""

    def factor(self, mean_square: Tensor, width: int) -> Tensor:
        return (mean_square * width).add_(_EPS).rsqrt_()


@normalizations.register("layer_norm")
class LayerNorm(RMSNorm):
    """Mean 0 and mean square 1 over the units of a row, without learned scale (Ba et al., 2016)."""

    centers = True

    def center(self, z: Tensor) -> Tensor:
        return z - z.mean(-1, keepdim=True)


@normalizations.register("channel_norm")
class ChannelNorm(RMSNorm):
    """Mean 0 and mean square 1 over the channels of every pixel, as ASGE does (Gong et al., 2025).

    With `centered=False` the mean stays. In a dense layer it acts on all units.
    """

    local = True

    def __init__(self, centered: bool = True) -> None:
        self.centered = centered

    def check(self) -> None:
        check_flag(self, "centered")

    def build(self, shape: Shape) -> Function:
        return OverChannels(shape[0], LayerNorm() if self.centered else RMSNorm())


class OverChannels:
    """A normalisation of each run of `n_channels` numbers: between layers, of a pixel."""

    def __init__(self, n_channels: int, normalization: Normalization) -> None:
        self.n_channels, self.normalization = n_channels, normalization

    def __call__(self, z: Tensor) -> Tensor:
        return self.normalization(z.reshape(*z.shape[:-1], -1, self.n_channels)).view(z.shape)


class BatchNorm(RMSNorm):
    """Mean 0 and mean square 1 of every channel over the batch (Ioffe and Szegedy, 2015), before
    the next layer, as in Dooms et al. (2023).

    Mean and square are those of the batch's positive candidates, and in prediction running averages
    of these; there is no learned scale. A row's length stays, from which the next layer can read
    the goodness of this one. In a dense layer every unit is a channel. The activations of the last
    layer, which no layer reads, stay as they are.
    """

    local = whole_batches = True

    def build(self, shape: Shape) -> Function:
        return OverBatch(shape[0])


class OverBatch(nn.Module):
    """Batch normalisation of runs of `n_channels` numbers: between layers, of the pixels."""

    running_mean: Tensor
    running_var: Tensor
    whole_batches = True

    def __init__(self, n_channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.register_buffer("running_mean", torch.zeros(n_channels))
        self.register_buffer("running_var", torch.ones(n_channels))

    def forward(self, z: Tensor) -> Tensor:
        places = z.reshape(*z.shape[:-1], -1, len(self.running_mean))
        mean, var = self.running_mean, self.running_var
        if self.training and torch.is_grad_enabled():  # not while the head or others look on
            var, mean = torch.var_mean(places[:, 0].detach(), (0, 1), correction=0)
            n = places[:, 0, :, 0].numel()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * n / max(1, n - 1), self.momentum)
        return ((places - mean) * (var + self.eps).rsqrt()).reshape(z.shape)


@normalizations.register(None)
class NoNorm(Normalization):
    """No change. The next layer can then read the goodness of this one from a row's length."""

    identity = True

    def factor(self, mean_square: Tensor, width: int) -> Tensor:
        return torch.ones_like(mean_square)

    def __call__(self, z: Tensor) -> Tensor:
        return z
