"""What is done to a layer's activities: activation, normalisation, dropout, peer normalisation.

The contracts. An activation is any callable on tensors. A normalisation scales rows to a common
length, so that only their direction is passed on:
N(z) = center(z)·factor(mean square of center(z), width).
"""

import copy
from functools import partial

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .parts import Family, Part, call_intact, checked_like

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
        mean_square = torch.linalg.vector_norm(z, dim=-1, keepdim=True).square() / z.shape[-1]
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
    """A function of the pre-activation, and the same, if given, overwriting it: `in_place`.

    `faded` overwrites too, and leaves the gradient as it comes: for a goodness whose gradient is
    zero wherever the activity is.
    """

    in_place = faded = None

    def __call__(self, a):
        return self.function(a)

    def build(self):
        """What a layer calls; may hold weights of its own."""
        return copy.deepcopy(self.function)


class TorchActivation(Activation):
    """A function of torch's."""

    def __init__(self, function, in_place=None, faded=None):
        self.function = function
        self.in_place = in_place
        self.faded = faded


class OwnFunction(nn.Module):
    """A user's callable, held to what a layer relies on; a module's weights are found in it."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, a):
        h = call_intact(self.function, a, "activation")
        return checked_like(h, a, a.shape, "activation", "one activity per unit")


class FunctionActivation(Activation):
    """A user's callable as an activation."""

    def __init__(self, function):
        self.function = function

    def build(self):
        return OwnFunction(super().build())


activations = Family("activation", Activation, FunctionActivation, "(tensor) -> tensor")


class FadedRelu(torch.autograd.Function):
    """max(0, a) in place. With g = Σ h², ∂g/∂a = 2h already: a tensor less in the backward pass.

    In the peak of a step that is one of four tensors of a layer's candidates.
    """

    @staticmethod
    def forward(ctx, a):
        ctx.mark_dirty(a)
        return a.relu_()

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return gradient


def overwriting_relu(a):
    """max(0, a), in place unless a is a view, whose gradient would be copied several times."""
    return F.relu(a) if a._is_view() else torch.relu_(a)


def faded_relu(a):
    return F.relu(a) if a._is_view() else FadedRelu.apply(a)


activations.register("relu")(partial(TorchActivation, F.relu, overwriting_relu, faded_relu))
for _name in ("leaky_relu", "gelu", "tanh"):
    activations.register(_name)(partial(TorchActivation, getattr(F, _name)))


def overwriting(activation, goodness, affine):
    """The activation that overwrites pre-activations in training; None if there is none."""
    pooled = len(affine.shape) > 1  # then a goodness does not see the activities themselves
    declared = "fades" in vars(type(goodness))  # what a subclass computes is its own affair
    faded = declared and goodness.fades and not pooled
    return activation.faded if faded else activation.in_place


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
