"""What a layer scores, from its activities.

The contract. `score(h)` takes activities h of shape (..., units):

* with `scores_classes = False` it returns one score per candidate, shape (...): the candidate is
  a row shown with a label, and the layer is run once for each;
* with `scores_classes = True` it returns one score per class, shape (..., n_classes): the
  candidates are the classes, and the layer is run once, with no label shown.

A goodness that learns is a description: `build(n_units, n_classes)` returns a torch module, whose
parameters the layer then owns. A callable `(h) -> scores` serves as a goodness of the first kind.
"""

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from .parts import Family, Part, check_number, checked_shape

__all__ = ["Goodness", "MeanActivation", "MeanSquare", "Readout", "SumSquare", "TopK", "goodness"]


class Goodness(Part):
    """Base of a goodness; see the module's docstring for the contract."""

    scores_classes = False

    def build(self, n_units, n_classes):
        """What the layer calls on its activities; may hold parameters of its own."""
        return self.score

    def score(self, h):
        raise NotImplementedError


class SquaredLength(torch.autograd.Function):
    """s Σ_j h_j², with its gradient 2s h in one pass over h where autograd takes four."""

    @staticmethod
    def forward(ctx, h, s):
        ctx.save_for_backward(h)
        ctx.s = s
        return torch.linalg.vecdot(h, h).mul_(s)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return ctx.saved_tensors[0] * (2 * ctx.s * gradient).unsqueeze(-1), None


class FunctionGoodness(Goodness):
    """A user's callable as a goodness."""

    def __init__(self, function):
        self.function = function

    def score(self, h):
        return checked_shape(self.function(h), h.shape[:-1], "goodness", "one score per row of h")


goodness = Family("goodness", Goodness, FunctionGoodness, "(h) -> scores")


@goodness.register("mean_square")
class MeanSquare(Goodness):
    """g = mean_j h_j²: free of the layer's width (the goodness of most later work)."""

    def score(self, h):
        return SquaredLength.apply(h, 1 / h.shape[-1])


@goodness.register("sum_square")
class SumSquare(Goodness):
    """g = Σ_j h_j² (Hinton, 2022)."""

    def score(self, h):
        return SquaredLength.apply(h, 1.0)


@goodness.register("mean_activation")
class MeanActivation(Goodness):
    """g = mean_j h_j: its gradient does not fade in quiet units (Sun et al., 2025)."""

    def score(self, h):
        return h.mean(-1)


@goodness.register("top_k")
class TopK(Goodness):
    """g = mean of the `k` largest h_j²; `k` is capped at the layer's width."""

    def __init__(self, k=20):
        self.k = k

    def check(self):
        check_number(self, "k", at_least=1, whole=True)

    def score(self, h):
        k = min(self.k, h.shape[-1])
        return h.square().topk(k, dim=-1).values.mean(-1)


@goodness.register("readout")
class Readout(Goodness):
    """g_c = v_c · h + b_c: a linear classifier inside the layer (Gong et al., 2025).

    One score per class in a single pass. The softmax head is a readout too: of the normalised
    activities of several layers.
    """

    scores_classes = True

    def build(self, n_units, n_classes):
        return LinearReadout(n_units, n_classes)


class LinearReadout(nn.Module):
    """V h + b, starting at zero. Activities of fewer units meet the first columns of V only."""

    def __init__(self, n_units, n_classes):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_classes, n_units))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, h):
        return nn.functional.linear(h, self.weight[:, : h.shape[-1]], self.bias)
