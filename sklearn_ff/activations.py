"""Functions of a layer's pre-activations.

The contract. An activation is any callable on tensors that returns one activation per unit.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._parts import Family, Part, PerLayer, call_intact, check_choice, checked_like
from ._typing import Function

__all__ = ["Activation", "TorchActivation", "activations", "overwriting"]


class Activation(Part):
    """Base of an activation: a function of the pre-activation.

    `in_place`, if given, is the same function, which overwrites its argument. `faded` overwrites it
    too and passes the gradient unchanged, for a goodness whose gradient is zero wherever the
    activation is. A subclass that changes `function` declares them again.
    """

    function: Function
    in_place: Function | None = None
    faded: Function | None = None

    def check(self) -> None:
        if not hasattr(self, "function") and type(self).build is Activation.build:
            raise self.undefined("function")

    def __call__(self, a: Tensor) -> Tensor:
        return self.function(a)

    def build(self) -> Function:
        """The callable of a layer; it may have weights."""
        return copy.deepcopy(self.function)


class TorchActivation(Activation):
    """A function of torch, or the identity, by its `name`."""

    def __init__(self, name: str = "relu") -> None:
        self.name = name

    def check(self) -> None:
        check_choice(self, "name", list(FUNCTIONS))

    # Looked up, not stored: a stored part holds a name, and no function.
    function = property(lambda self: FUNCTIONS[self.name][0])
    in_place = property(lambda self: FUNCTIONS[self.name][1])
    faded = property(lambda self: FUNCTIONS[self.name][2])


class OwnFunction(nn.Module):
    """A user's callable with checks of its result; the weights of a module are registered."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, a: Tensor) -> Tensor:
        h = call_intact(self.function, a, "activation")
        return checked_like(h, a, a.shape, "activation", "one activation per unit")


class FunctionActivation(Activation):
    """A user's callable as an activation."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def build(self) -> Function:
        return OwnFunction(super().build())


activations = Family("activation", Activation, FunctionActivation, "(tensor) -> tensor", PerLayer)


def overwriting_relu(a: Tensor) -> Tensor:
    """max(0, a), in place unless a is a view, whose gradient would be copied several times."""
    return F.relu(a) if a._is_view() else torch.relu_(a)


def faded_relu(a: Tensor) -> Tensor:
    """max(0, a) in place, whose gradient passes without a mask: with g = Σ h², ∂g/∂a = 2h.

    This saves one of four tensors of a layer's candidates at the peak of a step.
    """
    if not a.requires_grad:
        return a.relu_()
    if a._is_view():
        return F.relu(a)
    with torch.no_grad():  # unseen by autograd, for which the result is still a
        return a.relu_()


def unchanged(a: Tensor) -> Tensor:
    return a


# The function, in place, and in place with its gradient unchanged; see `Activation`.
FUNCTIONS: dict[str, tuple[Function, Function | None, Function | None]] = {
    "relu": (F.relu, overwriting_relu, faded_relu),
    "leaky_relu": (F.leaky_relu, None, None),
    "gelu": (F.gelu, None, None),
    "tanh": (F.tanh, None, None),
    "identity": (unchanged, None, None),
}
for _name in FUNCTIONS:
    activations.register(_name)(partial(TorchActivation, _name))


def takes_bfloat16(function: Function | None) -> bool:
    """Whether an activation is one of these, which compute in any precision."""
    return any(function is own for several in FUNCTIONS.values() for own in several)


def overwriting(activation: Activation, goodness: Any, affine: Any) -> Function | None:
    """The activation that overwrites pre-activations in training; None if there is none."""
    if not vars(type(affine)).get("overwritable", False):  # a subclass must declare it again
        return None
    pooled = len(affine.shape) > 1  # the goodness then reads pooled values
    declared = "fades" in vars(type(goodness))  # a subclass must declare it again
    name = "faded" if declared and goodness.fades and not pooled else "in_place"
    return getattr(activation, name) if name in vars(type(activation)) else None  # as well
