"""Normalisation of pre-activations inside a layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._typing import Shape
from ._base import flat, images


class PositiveBatchNorm(nn.Module):
    """(a − mean)/deviation · weight + bias per channel (Ioffe and Szegedy, 2015).

    Mean and deviation are those of the batch's positive candidates, for negative ones too: with
    statistics of their own, a layer could recognise negative candidates by these. Where nothing is
    learned (prediction, the head, finished layers) running averages are used, so a row's scores do
    not depend on the rest of the batch. All rows count alike in the statistics.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, n_channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))
        self.register_buffer("running_mean", torch.zeros(n_channels))
        self.register_buffer("running_var", torch.ones(n_channels))

    def forward(self, a: Tensor, maps: Shape) -> Tensor:
        batch = self.training and torch.is_grad_enabled()
        if batch and a.shape[1] > 1:
            return self._by_the_positive_ones(a, maps)
        out = F.batch_norm(
            images(a, maps),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            batch,
            self.momentum,
            self.eps,
        )
        return flat(out, a)

    def _by_the_positive_ones(self, a: Tensor, maps: Shape) -> Tensor:
        places = a.reshape(*a.shape[:2], -1, maps[0])
        var, mean = torch.var_mean(places[:, 0].to(self.weight.dtype), (0, 1), unbiased=False)
        n = places[:, 0, :, 0].numel()
        self.running_mean.lerp_(mean.detach(), self.momentum)
        self.running_var.lerp_(var.detach() * n / max(1, n - 1), self.momentum)
        scale = self.weight * (var + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (places * scale + shift).reshape(a.shape)


def n_groups(n_channels: int) -> int:
    """Number of groups, of 16 channels or more: a group of one would remove a constant label."""
    return next(n for n in range(max(1, n_channels // 16), 0, -1) if n_channels % n == 0)


class Grouped(nn.GroupNorm):
    """Group normalisation of each candidate separately (Wu and He, 2018)."""

    def forward(self, a: Tensor, maps: Shape) -> Tensor:
        if a.device.type != "cpu":  # where torch wants the precision of the weights
            a = a.to(self.weight.dtype)
        return flat(super().forward(images(a, maps)), a)
