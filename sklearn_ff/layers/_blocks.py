"""Layers of layers, which learn as one: what is inside learns by backpropagation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._params import brief
from .._parts import check_flag
from .._typing import Function, Shape
from ._base import (
    BaseMap,
    Draw,
    LayerKind,
    LayerMap,
    built,
    checked_layers,
    drawn_normal,
    flat,
    layer_kinds,
    single,
    start,
    times,
)


@layer_kinds.register("block")
class Block(LayerKind):
    """Layers that learn as one, by the loss of the last: gradients pass inside, none leaves.

    `kinds` are layers as in the parameter `layers` of the estimators, other blocks among them; the
    activation stands after each, no normalisation between them. With `residual`, the block's input
    is added to the pre-activations of its last layer, whose shape must be that of the input (He et
    al., 2016). A network of one block, with ``goodness="readout"`` and ``objective="softmax"``, is
    a network with backpropagation.
    """

    composite = True

    def __init__(
        self, kinds: Sequence[Any] = (256, 256), *, residual: bool = False, learned: bool = True
    ) -> None:
        self.kinds = kinds
        self.residual = residual
        self.learned = learned

    def check(self) -> None:
        if not isinstance(self.kinds, (list, tuple)) or not len(self.kinds):
            raise ValueError(
                f"Block({brief(self.kinds)}) has no layers; give a list, such as Block([100, 100])."
            )
        inner = self.inner
        super().check()
        check_flag(self, "residual")
        if not all(kind.learned for kind in inner):
            raise ValueError(
                f"{self!r} has a layer that does not learn; set learned=False for the whole block."
            )
        if self.residual and isinstance(inner[-1], Block):
            raise ValueError(
                f"{self!r} ends with a block, to whose pre-activations nothing can be added; end "
                f"it with another layer."
            )

    @property
    def inner(self) -> list[LayerKind]:
        return checked_layers(self.kinds, parameter="kinds of a Block")

    @property
    def reads_images(self) -> bool:
        return any(kind.reads_images for kind in self.inner)

    @property
    def draws_globally(self) -> bool:
        return any(kind.draws_globally for kind in self.inner)

    @property
    def entry(self) -> LayerKind:
        return self.inner[0].entry

    @property
    def label_inputs(self) -> bool:
        return self.entry.label_inputs

    @property
    def weight_init(self) -> str:
        return self.entry.weight_init

    def build(
        self, shape: Shape, n_label_inputs: int = 0, low_precision: bool = False, raw: bool = False
    ) -> LayerMap:
        kinds = self.inner
        extra = [n_label_inputs, *[0] * (len(kinds) - 1)]
        maps = built(kinds, shape, extra, low_precision, raw)
        last = before_activation(maps[-1])
        fits = last == tuple(shape) or (len(last) == 1 and last[0] == math.prod(shape))
        if self.residual and not fits:
            raise ValueError(
                f"{self!r} adds its input, of shape {times(shape)}, to the pre-activations of its "
                f"last layer, of shape {times(last)}; let both be alike."
            )
        return BlockMap(
            kinds, maps, tuple(shape) if self.residual else None, raw and len(last) == 3
        )


def before_activation(layer: LayerMap) -> Shape:
    """The shape of a map's pre-activations, before pooling."""
    return getattr(layer, "maps", layer.shape)


class BlockMap(BaseMap):
    """a = W z + b of the first layer, beside z in a residual block; the others follow in `outputs`.

    So the label enters the first layer, and its product is shared among labels.
    """

    def __init__(
        self, kinds: Sequence[LayerKind], maps: Sequence[LayerMap], added: Any, raw: bool
    ) -> None:
        super().__init__()
        first, last = maps[0], maps[-1]
        self.kinds, self.added = kinds, added  # the shape of z, if it is added, or None
        self.turned = raw  # whether z is stored channel by channel, and added to images
        self.inner: Any = nn.ModuleList(maps)
        self.n_units, self.n_biases, self.fan_in = first.n_units, first.n_biases, first.fan_in
        self.maps = before_activation(last)
        self.shape, self.n_outputs = last.shape, last.n_outputs
        self.n_products = sum(layer.n_products for layer in maps)
        self.whole_batches = any(layer.whole_batches for layer in maps)
        self.n_added = 0 if added is None else math.prod(added)

    @property
    def bias(self) -> Tensor:
        return self.inner[0].bias

    @property
    def n_live(self) -> int:
        return self.n_added + sum(live(layer) for layer in self.inner)

    @property
    def takes_bfloat16(self) -> bool:  # type: ignore[override]
        return takes_bfloat16(self.inner[0])

    def reset(self, generator: torch.Generator, draw: Draw = drawn_normal) -> None:
        """As of the first layer; the others by their own kinds."""
        self.inner[0].reset(generator, draw)
        for layer, kind in zip(self.inner[1:], self.kinds[1:], strict=True):
            start(layer, kind, generator)

    def expand(self, b: Tensor) -> Tensor:
        b = self.inner[0].expand(b)
        return F.pad(b, (0, self.n_added)) if self.n_added else b

    def product(self, z: Tensor, bias: Tensor | None = None) -> Tensor:
        a = self.inner[0].product(z, bias)
        return torch.cat([a, self._as_maps(z)], -1) if self.n_added else a

    def _as_maps(self, z: Tensor) -> Tensor:
        """Flat rows pixel by pixel, as between layers, also where they are raw."""
        return flat(z.reshape(-1, *self.added), z) if self.turned else z

    def outputs(self, a: Tensor, function: Function) -> Tensor:
        return self.ending(a, function, function)

    def ending(self, a: Tensor, function: Function, last: Function) -> Tensor:
        a, z = a.split([a.shape[-1] - self.n_added, self.n_added], -1) if self.n_added else (a, 0)
        inner = [*self.inner]
        for layer, above in pairwise(inner):
            h = layer.outputs(a, function)
            a = above(h if takes_bfloat16(above) else single(h))
        return ending(inner[-1], a, function, (lambda a: last(a + z)) if self.n_added else last)


def takes_bfloat16(layer: LayerMap) -> bool:
    """Whether a map reads bfloat16; a subclass must declare it again."""
    return "takes_bfloat16" in vars(type(layer)) and layer.takes_bfloat16


def ending(layer: LayerMap, a: Tensor, function: Function, last: Function) -> Tensor:
    """A map's outputs with another function at its end than inside."""
    whole = getattr(layer, "ending", None)
    return layer.outputs(a, last) if whole is None else whole(a, function, last)


def live(layer: LayerMap) -> int:
    """Numbers per candidate that a map holds at once in training."""
    return getattr(layer, "n_live", layer.n_units)
