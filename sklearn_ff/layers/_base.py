"""The base of kinds of layers, their family, and how weights start."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._parts import Family, Part, check_choice, check_flag, is_number
from .._typing import Function, Shape

LayerMap = Any  # a module of the package's contract
Draw = Callable[[Tensor, int, torch.Generator], None]  # weight, fan_in, generator


def drawn_normal(weight: Tensor, fan_in: int, generator: torch.Generator) -> None:
    """Normal with variance 1 / fan_in (Hinton's code, 2022)."""
    nn.init.normal_(weight, std=fan_in**-0.5, generator=generator)


def drawn_uniform(weight: Tensor, fan_in: int, generator: torch.Generator) -> None:
    """Uniform within 1 / √fan_in of zero, which has variance 1 / (3 fan_in), as torch's layers."""
    nn.init.uniform_(weight, -(fan_in**-0.5), fan_in**-0.5, generator=generator)


DRAWN = {"normal": drawn_normal, "uniform": drawn_uniform}


def start(layer: LayerMap, kind: LayerKind, generator: torch.Generator) -> None:
    """Draw the first weights of a layer, and with "uniform" its biases too."""
    draw = DRAWN[kind.weight_init]
    layer.reset(generator, draw)
    if kind.weight_init == "uniform":
        draw(layer.bias, layer.fan_in, generator)


class LayerKind(Part):
    """Base of a kind of layer; see the package's docstring for the contract."""

    reads_images = False  # whether it needs rows that are read as images
    whole_batches = False  # whether a row's activations depend on the rest of the batch
    composite = False  # whether it holds layers, which learn by backpropagation
    label_inputs = True  # whether the label may have inputs of its own
    draws_globally = False  # whether its modules draw from torch's global generator
    has_peers = False  # whether peer normalisation can compare its units
    learned = True  # whether it learns; if not, it keeps its first weights
    weight_init = "normal"  # how weights start: "normal", or "uniform" with biases too

    def check(self) -> None:
        check_choice(self, "weight_init", list(DRAWN))
        check_flag(self, "learned")

    @property
    def entry(self) -> LayerKind:
        """The kind that reads the layer's input."""
        return self

    def build(
        self, shape: Shape, n_label_inputs: int = 0, low_precision: bool = False, raw: bool = False
    ) -> LayerMap:
        raise self.undefined("build")


layer_kinds = Family(
    "layers",
    LayerKind,
    also="a whole number of dense units or Module(factory), which makes a torch module",
)


class BaseMap(nn.Module):
    """What the maps of all kinds have in common: by default, a layer with a bias for every unit."""

    bias: Any
    n_units: int
    overwritable = False  # whether no gradient needs the pre-activations
    takes_bfloat16 = False  # whether it reads this too where its weights are in single precision
    plain = False  # whether `outputs` is the activation, and nothing else
    whole_batches = False

    @property
    def n_live(self) -> int:
        """Numbers per candidate that exist at once in training, relative to those of a unit."""
        return self.n_units

    def expand(self, b: Tensor) -> Tensor:
        return b

    def forward(self, z: Tensor) -> Tensor:
        return self.product(z, self.bias)

    def product(self, z: Tensor, bias: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def outputs(self, a: Tensor, function: Function) -> Tensor:
        return function(a)


def checked_layers(
    layers: Sequence[Any] | None, sizes: Sequence[int] = (), parameter: str = "layers"
) -> list[LayerKind]:
    """The given kinds of layers, or dense layers of `sizes` units."""
    given = sizes if layers is None else layers
    dense: Any = layer_kinds.registry["dense"]
    kinds = [
        dense(int(k)) if is_number(k, whole=True) else layer_kinds.get(k, parameter) for k in given
    ]
    if not kinds:
        raise ValueError("layers=[] is an empty list; give at least one layer.")
    for kind in kinds:
        kind.check()
    return kinds


def built(
    kinds: Sequence[LayerKind],
    shape: Shape,
    n_label_inputs: Sequence[int],
    low_precision: bool,
    raw: bool = True,
) -> list[LayerMap]:
    """The maps of all layers, each built for the outputs of the layer before."""
    found: list[LayerMap] = []
    for kind, n_own in zip(kinds, n_label_inputs, strict=True):
        found.append(kind.build(shape, n_own, low_precision, raw=raw and not found))
        shape = found[-1].shape
    return found


def add_gradient(weight: Tensor, gradient: Tensor) -> None:
    """Add to the gradient of a weight, as autograd does; one that is frozen has none."""
    if weight.requires_grad:
        weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)


def images(z: Tensor, shape: Shape) -> Tensor:
    """Flat rows of pixels as images (rows·candidates, channels, height, width), without a copy."""
    channels, height, width = shape
    return z.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


def flat(maps: Tensor, like: Tensor) -> Tensor:
    """Images as flat rows of pixels, with the rows and candidates of `like`."""
    return maps.permute(0, 2, 3, 1).reshape(*like.shape[:-1], math.prod(maps.shape[1:]))


def single(a: Tensor) -> Tensor:
    """Numbers in bfloat16 in single precision; others as they are."""
    return a.float() if a.dtype == torch.bfloat16 else a


def times(shape: Shape) -> str:
    """A shape as errors show it, such as 3 x 8 x 8."""
    return " x ".join(map(str, shape))
