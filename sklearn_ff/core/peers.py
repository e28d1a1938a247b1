"""Peer normalisation: it keeps the mean activations of a layer's units about equal."""

from typing import Any

import torch
from torch import Tensor, nn


class Peers(nn.Module):
    """Peer normalisation: units of high mean activation are pushed down, others up (Hinton, 2022).

    The running mean activation μ_j of positive candidates is compared with its mean over the units
    that see the same: `n_peers` that follow each other, which are all of a dense layer.
    The gradient `rate`·(μ_j − mean μ) acts on the pre-activation, so it also revives dead units.
    Rows count by their weight. μ is updated by the whole batch in `end_batch`, so a batch may be
    learned from in parts.
    """

    mean: Tensor

    def __init__(self, n_units, rate, n_peers=None):
        super().__init__()
        self.rate, self.n_peers = rate, n_peers or n_units
        self.register_buffer("mean", torch.full((n_units,), 0.5))
        self.parts: list[
            Any
        ] = []  # of the current batch: weighted sums of activations, sums of weights

    def forward(self, a, h, weight):
        if not self.rate:
            return 0.0
        self.parts.append((weight @ h[:, 0].detach(), weight.sum()))
        mean = self.mean.view(-1, self.n_peers)
        excess = (mean - mean.mean(1, keepdim=True)).flatten()
        return self.rate * (weight @ a[:, 0] @ excess)

    def end_batch(self):
        if self.parts:
            activations, weights = zip(*self.parts, strict=True)
            self.mean.lerp_(sum(activations) / sum(weights), 0.1)
            self.parts = []
