"""Functions of a layer's pre-activations.

The contract. An activation is any callable on tensors that returns one activation per unit.
"""

import copy
from functools import partial

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ._parts import Family, Part, call_intact, checked_like

__all__ = ["Activation", "activations", "overwriting"]


class Activation(Part):
    """A function of the pre-activation, and the same, if given, overwriting it: `in_place`.

    `faded` overwrites too, and leaves the gradient as it comes: for a goodness whose gradient is
    zero wherever the activation is.
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
        return checked_like(h, a, a.shape, "activation", "one activation per unit")


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
    pooled = len(affine.shape) > 1  # then a goodness does not see the activations themselves
    declared = "fades" in vars(type(goodness))  # what a subclass computes is its own affair
    faded = declared and goodness.fades and not pooled
    return activation.faded if faded else activation.in_place
