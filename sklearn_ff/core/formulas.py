"""The same step without autograd, for layers whose parts all state their gradients.

With few units most of a step's time is in the fixed costs of operators, which autograd doubles.
Both ways give the same gradients up to rounding.
"""

from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .forward_forward import Layer


class FormulaLayer(Layer):
    """A layer that learns by the formulas of its parts, while `formulas` is true."""

    formulas = False

    def __init__(self, *parts):
        super().__init__(*parts)
        self.known = self.parts()

    def parts(self):
        """What stands between the input of this layer and its loss."""
        activate, goodness, objective = self.activate, self.goodness, self.objective
        own = activate.function, activate.overwriting, activate.dropout, self.peers.rate
        return self.affine, self.label, goodness, goodness.score, objective, objective.built, *own

    def gradients(self):
        return torch.no_grad() if self.formulas else super().gradients()

    def learn(
        self, z: Any, labels: Tensor, a: Tensor, h: Tensor, g: Tensor, known: Any, weight: Tensor
    ) -> Tensor:
        if not self.formulas:
            return super().learn(z, labels, a, h, g, known, weight)
        losses, slopes = self.objective.with_slopes(g, h, known)
        self.add_gradients(z, labels, self.goodness.gradient(h, weight[:, None] * slopes))
        return weight @ losses

    def add_gradients(self, z: Any, labels: Tensor, gradient: Tensor) -> None:
        """Add ∂loss/∂W, ∂loss/∂U and ∂loss/∂b to the gradients of its weights, from ∂loss/∂a."""
        if not isinstance(z, Tensor):  # rows and labels, as the first layer sees them
            return z.learn(self, labels, gradient)
        self.affine.learn(z, gradient)
        if self.label is not None:
            self.label.learn(labels, gradient)


def changed(network):
    """Whether a callback has changed parts of a layer that learns by their formulas."""
    layers = [layer for layer in network.layers if isinstance(layer, FormulaLayer)]
    return any(layer.known != layer.parts() for layer in layers)


@contextmanager
def by_formulas(modules):
    """Inside the block, those of the layers and the head that know formulas learn by these."""
    able = [vars(module) for module in modules if hasattr(type(module), "formulas")]
    for values in able:  # modules set attributes slowly
        values["formulas"] = True
    try:
        yield
    finally:
        for values in able:
            values["formulas"] = False
