"""What is done to a layer's activities: activation, normalisation, dropout, peer normalisation.

The contracts. An activation is any callable on tensors. A normalisation scales rows to a common
length, so that only their direction is passed on:
N(z) = center(z)·factor(mean square of center(z), width).
"""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from .parts import Family, Part

__all__ = [
    "LayerNorm",
    "NoNorm",
    "Normalization",
    "Peers",
    "RMSNorm",
    "UnitNorm",
    "activations",
    "dropped",
    "normalizations",
]


class Normalization(Part):
    """Base of a normalisation; see the module's docstring for the contract."""

    identity = False
    centers = False

    def center(self, z):
        return z

    def factor(self, mean_square, width):
        raise NotImplementedError

    def __call__(self, z):
        z = self.center(z)
        mean_square = torch.linalg.vecdot(z, z).unsqueeze(-1) / z.shape[-1]
        return z * self.factor(mean_square, z.shape[-1])


# Far below the mean square of any living layer, and keeps a dead one at zero.
_EPS = 1e-10

normalizations = Family("normalization", Normalization)


@normalizations.register("rms")
class RMSNorm(Normalization):
    """Mean square 1 per unit (Hinton's code, 2022)."""

    def factor(self, mean_square, width):
        return (mean_square + _EPS).rsqrt()


@normalizations.register("unit")
class UnitNorm(Normalization):
    """Length 1 (Hinton's text, 2022)."""

    def factor(self, mean_square, width):
        return (mean_square * width + _EPS).rsqrt()


@normalizations.register("layer_norm")
class LayerNorm(RMSNorm):
    """Mean 0 and mean square 1 over the row's units, without learned scale (Ba et al., 2016)."""

    centers = True

    def center(self, z):
        return z - z.mean(-1, keepdim=True)


@normalizations.register("none")
class NoNorm(Normalization):
    """Rows as they are: the next layer can then read the goodness off their length."""

    identity = True

    def factor(self, mean_square, width):
        return torch.ones_like(mean_square)

    def __call__(self, z):
        return z


class Activation(Part):
    """A function of the pre-activation; `in_place`, if given, is the same and overwrites it."""

    def __init__(self, function, in_place=None):
        self.function = function
        self.in_place = in_place

    def __call__(self, a):
        return self.function(a)


activations = Family("activation", Activation, Activation, "(tensor) -> tensor")
activations.register("relu")(partial(Activation, F.relu, torch.relu_))
for _name in ("leaky_relu", "gelu", "tanh"):
    activations.register(_name)(partial(Activation, getattr(F, _name)))


def dropped(h, share, draws):
    """Activities with a `share` of the units at zero, the same for all candidates of a row."""
    if draws is None or not share:
        return h
    kept = draws.uniform(len(h), 1, h.shape[-1]) >= share
    return h * kept / (1 - share)


class Peers(nn.Module):
    """Peer normalisation: units busier than their peers are pushed down, idle ones up.

    The running mean activity m_j of true rows is compared with its mean over the layer; the pull
    `rate`·(m_j − mean m) acts on the pre-activation, so that it revives dead units (Hinton, 2022).
    Rows count by their weight. m is that of the batches before, so that a batch may come in parts:
    it takes in the whole of them at `end_batch`.
    """

    def __init__(self, n_units, rate):
        super().__init__()
        self.rate = rate
        self.register_buffer("mean", torch.full((n_units,), 0.5))
        self.parts = []  # of the batch so far: weighted sums of activities, sums of weights

    def forward(self, a, h, weight):
        if not self.rate:
            return 0.0
        self.parts.append((weight @ h[:, 0].detach(), weight.sum()))
        return self.rate * (weight @ a[:, 0] @ (self.mean - self.mean.mean()))

    def end_batch(self):
        if self.parts:
            activity, weight = map(sum, zip(*self.parts, strict=True))
            self.mean.lerp_(activity / weight, 0.1)
            self.parts = []
