"""Goodness: the scores of a layer as a function of its activations.

The contract. `score(h)` takes activations h of shape (..., units):

* with `scores_classes = False` it returns one score per candidate, shape (...): the candidate is
  a row shown with a label, and the layer is run once for each;
* with `scores_classes = True` it returns one score per class, shape (..., n_classes): the
  candidates are the classes, and the layer is run once, with no label shown.

A goodness that learns is a description: `build(n_units, n_classes)` returns a torch module, whose
parameters become those of the layer; its method `reset(generator)`, if any, draws the first
weights. A callable `(h) -> scores` is accepted as a goodness of the first kind. Facts of a class:
`fades`: ∂g/∂h_j is zero wherever h_j is, so that activations can overwrite pre-activations;
`quiet`: g is at most zero, and highest where activations are zero; `endless`: g has no lower bound;
`blank`: g is zero until something is learned. One of the first kind without weights may state its
gradient: `gradient(h, slopes)` is ∂L/∂h, where slopes are ∂L/∂g. Training is faster where goodness
and objective do, because autograd has less to follow.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ._parts import (
    Family,
    Part,
    PerLayer,
    call_intact,
    check_choice,
    check_flag,
    check_number,
    checked_like,
)
from ._typing import Function, Shape

__all__ = [
    "ClassGroups",
    "Goodness",
    "MeanActivation",
    "MeanSquare",
    "NegMeanSquare",
    "Prototypes",
    "Readout",
    "SumSquare",
    "TopK",
    "goodness",
]


class Goodness(Part):
    """Base of a goodness; see the module's docstring for the contract."""

    scores_classes = False
    fades = False  # whether ∂g/∂h_j is zero wherever h_j is
    quiet = False  # whether g is highest where activations are zero
    endless = False  # whether scores have no lower bound
    blank = False  # whether scores are zero for all rows until something is learned
    sharpness = 10.0  # log-odds per unit of g, chosen on held-out rows of MNIST

    def build(self, n_units: int, n_classes: int) -> Function:
        """The callable h -> scores of a layer; it may be a module with parameters."""
        return self.score

    def build_for(self, shape: Shape, n_classes: int) -> Function:
        """As `build`, for activations of shape (units,) or (channels, height, width)."""
        return self.build(math.prod(shape), n_classes)

    def score(self, h: Tensor) -> Tensor:
        raise self.undefined("score(h), nor build(n_units, n_classes)")

    def unit_share(self, n_units: int, n_classes: int) -> float:
        """Weight of one unit in a score; the penalty of the weights is multiplied by it."""
        return 1 / n_units


class SquaredLength(torch.autograd.Function):
    """factor · Σ_j h_j², with its gradient in one pass over h where autograd takes four."""

    generate_vmap_rule = True

    @staticmethod
    def forward(h: Tensor, factor: float) -> Tensor:
        return length_squared(h, factor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        h, ctx.factor = inputs
        ctx.save_for_backward(h)
        ctx.save_for_forward(h)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return 2 * ctx.factor * (ctx.saved_tensors[0] * tangent).sum(-1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return stretched(ctx.saved_tensors[0], 2 * ctx.factor * gradient), None


def length_squared(h: Tensor, factor: float) -> Tensor:
    """factor · Σ_j h_j² in one pass over h."""
    length = torch.linalg.vector_norm(h, dim=-1)
    return length.mul_(length).mul_(factor)


def squares(h: Tensor, factor: float) -> Tensor:
    """factor · Σ_j h_j²."""
    return SquaredLength.apply(h, factor) if h.requires_grad else length_squared(h, factor)


def stretched(h: Tensor, factors: Tensor) -> Tensor:
    """Every h times a factor of its own."""
    return h * factors.unsqueeze(-1)


class FunctionGoodness(Goodness):
    """A user's callable as a goodness."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def score(self, h: Tensor) -> Tensor:
        g = call_intact(self.function, h, "goodness")
        return checked_like(g, h, h.shape[:-1], "goodness", "one score per row of h")


class GoodnessPerLayer(PerLayer):
    """A goodness for every layer; all score classes or none does, all are quiet or none is."""

    @property
    def scores_classes(self) -> bool:
        return any(part.scores_classes for part in self.parts)

    @property
    def quiet(self) -> bool:
        return any(part.quiet for part in self.parts)

    def check(self) -> None:
        super().check()
        if self.quiet and not all(part.quiet for part in self.parts):
            raise ValueError(
                f"goodness={self.parts!r} rewards small activations in some layers and large ones "
                f"in others, so their sum has no meaning; use one kind in all layers."
            )
        if self.scores_classes and not all(part.scores_classes for part in self.parts):
            raise ValueError(
                f"goodness={self.parts!r} scores all classes in some layers and the shown label in "
                f"others, but a layer that is shown the label could copy it to its class scores; "
                f"use one kind in all layers."
            )


goodness = Family("goodness", Goodness, FunctionGoodness, "(h) -> scores", GoodnessPerLayer)


@goodness.register("mean_square")
class MeanSquare(Goodness):
    """g = mean_j h_j², independent of the layer's width (the goodness of most later work)."""

    fades = True

    def score(self, h: Tensor) -> Tensor:
        return squares(h, 1 / h.shape[-1])

    def gradient(self, h: Tensor, slopes: Tensor) -> Tensor:
        return stretched(h, 2 / h.shape[-1] * slopes)


@goodness.register("neg_mean_square")
class NegMeanSquare(Goodness):
    """g = −mean_j h_j²: positive candidates have small activations (considered by Hinton, 2022).

    It suits familiarity: rows unlike the training rows usually excite some unit, so their low
    goodness need not be learned.
    """

    fades = quiet = endless = True

    def score(self, h: Tensor) -> Tensor:
        return squares(h, -1 / h.shape[-1])

    def gradient(self, h: Tensor, slopes: Tensor) -> Tensor:
        return stretched(h, -2 / h.shape[-1] * slopes)


@goodness.register("sum_square")
class SumSquare(Goodness):
    """g = Σ_j h_j² (Hinton, 2022)."""

    fades = True

    def score(self, h: Tensor) -> Tensor:
        return squares(h, 1.0)

    def gradient(self, h: Tensor, slopes: Tensor) -> Tensor:
        return stretched(h, 2 * slopes)

    def unit_share(self, n_units: int, n_classes: int) -> float:
        return 1.0


@goodness.register("mean_activation")
class MeanActivation(Goodness):
    """g = mean_j h_j: its gradient does not fade in quiet units (Sun et al., 2025)."""

    def score(self, h: Tensor) -> Tensor:
        return h.mean(-1)


@goodness.register("top_k")
class TopK(Goodness):
    """g = mean of the `k` largest h_j²; `k` is at most the layer's width."""

    fades = True

    def __init__(self, k: int = 20) -> None:
        self.k = k

    def check(self) -> None:
        check_number(self, "k", at_least=1, whole=True)

    def score(self, h: Tensor) -> Tensor:
        k = min(self.k, h.shape[-1])
        return h.square().topk(k, dim=-1).values.mean(-1)

    def unit_share(self, n_units: int, n_classes: int) -> float:
        return 1 / min(self.k, n_units)


@goodness.register("class_groups")
class ClassGroups(Goodness):
    """g_c = mean of h_j² over the units j of class c; each class has its own group of units.

    `of="square"` is the goodness of Papachristodoulou et al. (2024), `of="activation"`, the mean of
    h_j, that of Sun et al. (2025). Group sizes differ by one unit at most. In a layer of images the
    groups are of channels if there is at least one channel per class, and of units otherwise.
    """

    scores_classes = True
    sharpness = 0.2

    def __init__(self, of: str = "square") -> None:
        self.of = of

    @property
    def fades(self) -> bool:
        return self.of == "square"

    def check(self) -> None:
        check_choice(self, "of", ("square", "activation"))

    def build(self, n_units: int, n_classes: int) -> Function:
        if n_units < n_classes:
            raise ValueError(
                f"goodness='class_groups' needs one unit per class, but a layer has "
                f"{n_units} units for {n_classes} classes; use wider layers."
            )
        return GroupMeans(n_units, n_classes, squared=self.of == "square")

    def unit_share(self, n_units: int, n_classes: int) -> float:
        return n_classes / n_units

    def build_for(self, shape: Shape, n_classes: int) -> Function:
        made: Any = self.build(math.prod(shape), n_classes)
        if len(shape) == 3 and shape[0] >= n_classes:  # between layers, pixel by pixel
            channels: Any = self.build(shape[0], n_classes)
            made.mean = channels.mean.repeat(1, math.prod(shape[1:])) / math.prod(shape[1:])
        return made


class GroupMeans(nn.Module):
    """M h² or M h; row c of M averages the units of group c."""

    mean: Tensor

    def __init__(self, n_units: int, n_classes: int, squared: bool) -> None:
        super().__init__()
        self.squared = squared
        group = torch.arange(n_units) * n_classes // n_units
        member = nn.functional.one_hot(group, n_classes).T.float()
        self.register_buffer("mean", member / member.sum(1, keepdim=True))

    def forward(self, h: Tensor) -> Tensor:
        return nn.functional.linear(h.square() if self.squared else h, self.mean)


@goodness.register("readout")
class Readout(Goodness):
    """g_c = v_c · h + b_c: a linear classifier inside the layer (Gong et al., 2025).

    `normalized` reads h at mean square 1; `learned=False` keeps the first V, so only the layer
    learns. The softmax head is a readout of the normalised activations of several layers. In a
    layer of images, `patch` reads the mean of h² over squares of this many pixels instead of h,
    which is the goodness of each patch in each channel (ASGE, 2025), or with `of="activation"` the
    mean of h.
    """

    scores_classes = endless = True
    sharpness = 0.2

    def __init__(
        self,
        normalized: bool = False,
        learned: bool = True,
        patch: int | None = None,
        of: str = "square",
    ) -> None:
        self.normalized = normalized
        self.learned = learned
        self.patch = patch
        self.of = of

    @property
    def blank(self) -> bool:
        return self.learned

    def check(self) -> None:
        check_flag(self, "normalized")
        check_flag(self, "learned")
        check_choice(self, "of", ("square", "activation"))
        if self.patch is not None:
            check_number(self, "patch", at_least=1, whole=True)

    def build(self, n_units: int, n_classes: int) -> Function:
        kind = LinearReadout if self.learned else FixedReadout
        return kind(n_units, n_classes, self.normalized)

    def unit_share(self, n_units: int, n_classes: int) -> float:
        return 1.0

    def build_for(self, shape: Shape, n_classes: int) -> Function:
        if self.patch is None:
            return super().build_for(shape, n_classes)
        if len(shape) != 3 or min(shape[1:]) < self.patch:
            raise ValueError(
                f"{self!r} reads patches of {self.patch} x {self.patch} pixels, but a layer has "
                f"outputs of shape {' x '.join(map(str, shape))}; use a smaller patch, or None."
            )
        n_read = shape[0] * math.prod(n // self.patch for n in shape[1:])
        return Patches(shape, self.patch, self.build(n_read, n_classes), self.of == "square")


class Patches(nn.Module):
    """A readout of the mean of h², or h, over squares of `size` pixels, channel by channel."""

    def __init__(self, shape: Shape, size: int, readout: Any, squared: bool = True) -> None:
        super().__init__()
        self.shape, self.size, self.readout, self.squared = shape, size, readout, squared

    def forward(self, h: Tensor) -> Tensor:
        channels, height, width = self.shape  # between layers, pixel by pixel
        read = h.square() if self.squared else h
        maps = read.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        means = nn.functional.avg_pool2d(maps, self.size)
        return self.readout(means.permute(0, 2, 3, 1).reshape(*h.shape[:-1], -1))

    def reset(self, generator: torch.Generator) -> None:
        if hasattr(self.readout, "reset"):
            self.readout.reset(generator)


class LinearReadout(nn.Module):
    """V h + b, both zero at first. Fewer activations use the first columns of V only."""

    def __init__(self, n_units: int, n_classes: int, normalized: bool = False) -> None:
        super().__init__()
        self.normalized = normalized
        self.weight = nn.Parameter(torch.zeros(n_classes, n_units))
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, h: Tensor) -> Tensor:
        h = direction(h) * h.shape[-1] ** 0.5 if self.normalized else h
        full = h.shape[-1] == self.weight.shape[1]
        weight = self.weight if full else self.weight[:, : h.shape[-1]]
        return nn.functional.linear(h, weight, self.bias)


class FixedReadout(nn.Module):
    """V h with a fixed V, drawn normal with variance 1 / n_units."""

    weight: Tensor

    def __init__(self, n_units: int, n_classes: int, normalized: bool) -> None:
        super().__init__()
        self.normalized = normalized
        self.register_buffer("weight", torch.zeros(n_classes, n_units))

    def reset(self, generator: torch.Generator) -> None:
        self.weight.normal_(std=self.weight.shape[1] ** -0.5, generator=generator)

    def forward(self, h: Tensor) -> Tensor:
        h = direction(h) * h.shape[-1] ** 0.5 if self.normalized else h
        return nn.functional.linear(h, self.weight)


@goodness.register("prototypes")
class Prototypes(Goodness):
    """g_c = κ cos(h, p_c): cosine to a learned direction per class (Sarode et al., 2026).

    `scale` κ brings cosines to the size of log-odds.
    """

    scores_classes = True
    sharpness = 0.2

    def __init__(self, scale: float = 50.0) -> None:
        self.scale = scale

    def check(self) -> None:
        check_number(self, "scale", above=0)

    def build(self, n_units: int, n_classes: int) -> Function:
        return Cosines(n_units, n_classes, self.scale)


class Cosines(nn.Module):
    """κ h·p_c / |h||p_c|."""

    def __init__(self, n_units: int, n_classes: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(n_classes, n_units))

    def reset(self, generator: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=generator)

    def forward(self, h: Tensor) -> Tensor:
        return self.scale * nn.functional.linear(direction(h), direction(self.weight))


def direction(h: Tensor) -> Tensor:
    """h / |h|; zero where h is."""
    return nn.functional.normalize(h, dim=-1, eps=1e-12)
