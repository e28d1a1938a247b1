"""Normalisation of activations before the next layer.

The contract. A normalisation scales rows to a common length, so the next layer receives only their
direction: N(z) = center(z)·factor(mean square of center(z), width). None means no normalisation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._parts import Family, Part

__all__ = ["LayerNorm", "NoNorm", "Normalization", "RMSNorm", "UnitNorm", "normalizations"]


class Normalization(Part):
    """Base of a normalisation; see the module's docstring for the contract."""

    identity = False
    centers = False

    def center(self, z: Tensor) -> Tensor:
        return z

    def factor(self, mean_square: Tensor, width: int) -> Tensor:
        raise NotImplementedError

    def __call__(self, z: Tensor) -> Tensor:
        z = self.center(z)
        mean_square = torch.linalg.vector_norm(z, dim=-1, keepdim=True).square() / z.shape[-1]
        return z * self.factor(mean_square, z.shape[-1])


# Far below the mean square of any layer with active units; a layer without stays at zero.
_EPS = 1e-10

normalizations = Family("normalization", Normalization)


@normalizations.register("rms")
class RMSNorm(Normalization):
    """Mean square 1 per unit (Hinton's code, 2022)."""

    def factor(self, mean_square: Tensor, width: int) -> Tensor:
        return (mean_square + _EPS).rsqrt()


@normalizations.register("unit")
class UnitNorm(Normalization):
    """Length 1 (Hinton's text, 2022)."""

    def factor(self, mean_square: Tensor, width: int) -> Tensor:
        return (mean_square * width + _EPS).rsqrt()


@normalizations.register("layer_norm")
class LayerNorm(RMSNorm):
    """Mean 0 and mean square 1 over the units of a row, without learned scale (Ba et al., 2016)."""

    centers = True

    def center(self, z: Tensor) -> Tensor:
        return z - z.mean(-1, keepdim=True)


@normalizations.register(None)
class NoNorm(Normalization):
    """No change. The next layer can then read the goodness of this one from a row's length."""

    identity = True

    def factor(self, mean_square: Tensor, width: int) -> Tensor:
        return torch.ones_like(mean_square)

    def __call__(self, z: Tensor) -> Tensor:
        return z
