"""Layers that read images in patches: convolutions, and local receptive fields."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._parts import check_choice, check_flag, check_number
from .._typing import Function, Shape
from ._base import (
    BaseMap,
    Draw,
    LayerKind,
    LayerMap,
    drawn_normal,
    flat,
    images,
    layer_kinds,
)
from ._norms import Grouped, PositiveBatchNorm, n_groups


class ImageLayer(LayerKind):
    """Base of layers that read images in patches: geometry, normalisation and pooling."""

    abstract = reads_images = True
    affine: Callable[..., LayerMap]
    n_channels: int
    kernel_size: int
    stride: int
    padding: int | str
    norm: str | None
    pool: str | None
    pool_size: int
    groups = 1
    norm_last = False  # whether normalisation stands after activation and pooling

    @property
    def whole_batches(self) -> bool:
        return self.norm == "batch"

    def check(self) -> None:
        super().check()
        for name in ("n_channels", "kernel_size", "stride", "pool_size", "groups"):
            check_number(self, name, at_least=1, whole=True)
        self._check_padding()
        check_choice(self, "pool", (None, *POOLS))
        check_choice(self, "norm", (None, "batch", "group"))
        check_flag(self, "norm_last")

    def _check_padding(self) -> None:
        same = isinstance(self.padding, str) and self.padding == "same"
        if same and self.kernel_size % 2 == 0:
            raise ValueError(
                f"{self!r}: padding='same' needs a kernel of odd size to keep an image's size; "
                f"give an odd kernel_size, or padding as a number of pixels."
            )
        if not same:
            check_number(self, "padding", at_least=0, whole=True)
            if int(self.padding) >= self.kernel_size:
                raise ValueError(
                    f"{self!r}: with padding of at least kernel_size some units see no pixel of "
                    f"the image; give padding below kernel_size."
                )

    def build(
        self, shape: Shape, n_label_inputs: int = 0, low_precision: bool = False, raw: bool = False
    ) -> LayerMap:
        if len(shape) != 3:
            raise ValueError(
                f"{type(self).__name__} reads images, but its input is "
                f"{' x '.join(map(str, shape))} numbers without an order; set "
                f"image_shape=(channels, height, width), and put dense layers last."
            )
        if shape[0] % self.groups or self.n_channels % self.groups:
            raise ValueError(
                f"{self!r} divides {shape[0]} channels of its input and {self.n_channels} of its "
                f"own into {self.groups} groups, which leaves a rest; give groups that divide both."
            )
        return self.affine(self, shape, n_label_inputs, low_precision, raw)

    def pad(self) -> int:
        return self.kernel_size // 2 if self.padding == "same" else int(self.padding)

    def sees_all(self, shape: Shape) -> bool:
        """Whether every unit sees the whole image."""
        return shape is not None and self.pad() == 0 and self.kernel_size >= max(shape[1:])

    def maps(self, shape: Shape) -> tuple[Shape, Shape]:
        """(channels, height, width) before and after pooling."""
        size = [(n + 2 * self.pad() - self.kernel_size) // self.stride + 1 for n in shape[1:]]
        pooled = size if self.pool is None else [n // self.pool_size for n in size]
        if min(pooled) < 1:
            raise ValueError(
                f"{self!r} leaves no pixel of an image of {shape[1]} x {shape[2]}; use a smaller "
                f"kernel_size or pool_size, or fewer layers."
            )
        return (int(self.n_channels), *size), (int(self.n_channels), *pooled)


class Maps(BaseMap):
    """Base of affine maps of images: flat rows in and out, normalisation, pooling."""

    weight: nn.Parameter
    bias: nn.Parameter
    norm: Any  # a module, or None
    n_biases: int

    def __init__(
        self,
        kind: ImageLayer,
        shape: Shape,
        n_label_inputs: int,
        low_precision: bool = False,
        raw: bool = False,
    ) -> None:
        super().__init__()
        self.kind, self.shape_in, self.raw = kind, shape, raw
        self.low_precision, self.whole_batches = low_precision, kind.whole_batches
        self.maps, self.shape = kind.maps(shape)
        self.n_units, self.n_outputs = math.prod(self.maps), math.prod(self.shape)
        self.n_seen = shape[0] // kind.groups * kind.kernel_size**2  # inputs of a unit
        self.fan_in = self.n_seen + n_label_inputs
        channels = self.maps[0]
        norms = {
            None: lambda: None,
            "batch": lambda: PositiveBatchNorm(channels),
            "group": lambda: Grouped(n_groups(channels), channels),
        }
        self.norm = norms[kind.norm]()

    def reset(self, generator: torch.Generator, draw: Draw = drawn_normal) -> None:
        draw(self.weight, self.fan_in, generator)

    def images(self, z: Tensor) -> Tensor:
        by_channel = self.raw and self.shape_in[0] > 1  # one channel lies the same in both orders
        return z.reshape(-1, *self.shape_in) if by_channel else images(z, self.shape_in)

    def outputs(self, a: Tensor, function: Function) -> Tensor:
        last = self.kind.norm_last
        if self.norm is not None and not last:
            a = self.norm(a, self.maps)
        h = function(a)
        if self.kind.pool is not None:
            pool = POOLS[self.kind.pool]
            h = flat(pool(images(h, self.maps), self.kind.pool_size), h)
        return self.norm(h, self.shape) if self.norm is not None and last else h


def rms_pool2d(h: Tensor, size: int) -> Tensor:
    """Root mean squares over squares of `size` pixels."""
    return (F.avg_pool2d(h.square(), size) + TINY).sqrt()


TINY = 1e-12  # below any mean square, so that pixels without one have a gradient
POOLS: dict[str | None, Callable[[Tensor, int], Tensor]] = {
    "max": F.max_pool2d,
    "mean": F.avg_pool2d,
    "rms": rms_pool2d,
}


class Convolution(Maps):
    """One kernel per channel, the same at every place of the image."""

    overwritable = takes_bfloat16 = True

    def __init__(
        self,
        kind: ImageLayer,
        shape: Shape,
        n_label_inputs: int,
        low_precision: bool = False,
        raw: bool = False,
    ) -> None:
        super().__init__(kind, shape, n_label_inputs, low_precision, raw)
        size = (shape[0] // kind.groups, kind.kernel_size, kind.kernel_size)
        self.weight = nn.Parameter(torch.empty(self.maps[0], *size))
        self.n_biases = self.maps[0]
        self.bias = nn.Parameter(torch.zeros(self.n_biases))
        self.n_products = self.weight.numel() * math.prod(self.maps[1:])

    def expand(self, b: Tensor) -> Tensor:
        """Repeat a number per channel at every place of its map."""
        if b.shape[-1] == self.n_units:
            return b
        return b.repeat(*[1] * (b.dim() - 1), self.n_units // self.n_biases)

    def product(self, z: Tensor, bias: Tensor | None = None) -> Tensor:
        geometry: Any = {
            "stride": self.kind.stride,
            "padding": self.kind.pad(),
            "groups": self.kind.groups,
        }
        seen, weight = self.images(z), self.weight.contiguous(memory_format=torch.channels_last)
        if self.low_precision and self.training:
            seen, weight = seen.bfloat16(), weight.bfloat16()
            bias = None if bias is None else bias.bfloat16()
        return flat(F.conv2d(seen, weight, bias, **geometry), z)


class LocalPatches(Maps):
    """A separate kernel for every channel and place."""

    overwritable = takes_bfloat16 = True

    def __init__(
        self,
        kind: ImageLayer,
        shape: Shape,
        n_label_inputs: int,
        low_precision: bool = False,
        raw: bool = False,
    ) -> None:
        super().__init__(kind, shape, n_label_inputs, low_precision, raw)
        n_places = math.prod(self.maps[1:])
        self.weight = nn.Parameter(torch.empty(n_places, self.n_seen, self.maps[0]))
        self.n_biases, self.n_products = self.n_units, self.weight.numel()
        self.bias = nn.Parameter(torch.zeros(self.n_biases))

    def product(self, z: Tensor, bias: Tensor | None = None) -> Tensor:
        patches = F.unfold(
            self.images(z),
            self.kind.kernel_size,
            stride=self.kind.stride,
            padding=self.kind.pad(),
        ).permute(2, 0, 1)
        weight: Tensor = self.weight
        if self.low_precision and self.training:
            patches, weight = patches.bfloat16(), weight.bfloat16()
        a = torch.bmm(patches, weight).to(self.weight.dtype)  # (places, rows, channels)
        a = a.transpose(0, 1).reshape(*z.shape[:-1], self.n_units)
        return a if bias is None else a + bias


@layer_kinds.register("conv2d")
class Conv2d(ImageLayer):
    """A convolution with `n_channels` kernels, then normalisation and pooling.

    `padding="same"` keeps an image's size (kernels of odd size, stride 1). `norm` is None,
    "batch" (statistics of the positive candidates) or "group"; `pool` is None, "max", "mean" or
    "rms" (root mean square) over squares of `pool_size`, after the activation. `norm` stands before
    the activation, or with `norm_last=True` after pooling. Each channel has one bias. With
    `groups`, channels are divided into as many groups, each of which reads its own group of input
    channels.
    `weight_init` and `learned` are as of :class:`Dense`.
    """

    affine: Callable[..., LayerMap] = Convolution

    def __init__(
        self,
        n_channels: int = 32,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        padding: int | str = "same",
        groups: int = 1,
        norm: str | None = None,
        norm_last: bool = False,
        pool: str | None = None,
        pool_size: int = 2,
        weight_init: str = "normal",
        learned: bool = True,
    ) -> None:
        self.n_channels = n_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.groups = groups
        self.norm = norm
        self.norm_last = norm_last
        self.pool = pool
        self.pool_size = pool_size
        self.weight_init = weight_init
        self.learned = learned


@layer_kinds.register("locally_connected2d")
class LocallyConnected2d(ImageLayer):
    """Local receptive fields without shared weights (Hinton, 2022).

    Parameters are those of :class:`Conv2d`, without `groups` and `norm_last`.
    """

    affine: Callable[..., LayerMap] = LocalPatches

    @property
    def has_peers(self) -> bool:
        return self.pool is None and self.norm is None

    def __init__(
        self,
        n_channels: int = 32,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        padding: int | str = "same",
        norm: str | None = None,
        pool: str | None = None,
        pool_size: int = 2,
        weight_init: str = "normal",
        learned: bool = True,
    ) -> None:
        self.n_channels = n_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.norm = norm
        self.pool = pool
        self.pool_size = pool_size
        self.weight_init = weight_init
        self.learned = learned
