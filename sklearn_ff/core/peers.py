"""Peer normalisation, which keeps the units of a layer about equally busy."""

import torch
from torch import nn


class Peers(nn.Module):
    """Peer normalisation: units busier than their peers are pushed down, idle ones up.

    The running mean activation m_j of true rows is compared with its mean over the layer; the pull
    `rate`·(m_j − mean m) acts on the pre-activation, so that it revives dead units (Hinton, 2022).
    Rows count by their weight. m is that of the batches before, so that a batch may come in parts:
    it takes in the whole of them at `end_batch`.
    """

    def __init__(self, n_units, rate):
        super().__init__()
        self.rate = rate
        self.register_buffer("mean", torch.full((n_units,), 0.5))
        self.parts = []  # of the batch so far: weighted sums of activations, sums of weights

    def forward(self, a, h, weight):
        if not self.rate:
            return 0.0
        self.parts.append((weight @ h[:, 0].detach(), weight.sum()))
        return self.rate * (weight @ a[:, 0] @ (self.mean - self.mean.mean()))

    def end_batch(self):
        if self.parts:
            activation, weight = map(sum, zip(*self.parts, strict=True))
            self.mean.lerp_(activation / weight, 0.1)
            self.parts = []
