"""Layers of layers: blocks, and any torch module. What is inside learns by backpropagation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._draws import global_draws
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
    layer_kinds,
    start,
)
from ._images import flat, images

ALIKE = 1e-3  # relative difference of a row's outputs beside other rows, up to rounding errors


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


def times(shape: Shape) -> str:
    return " x ".join(map(str, shape))


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
            a = above(layer.outputs(a, function))
        return ending(inner[-1], a, function, (lambda a: last(a + z)) if self.n_added else last)


def ending(layer: LayerMap, a: Tensor, function: Function, last: Function) -> Tensor:
    """A map's outputs with another function at its end than inside."""
    whole = getattr(layer, "ending", None)
    return layer.outputs(a, last) if whole is None else whole(a, function, last)


def live(layer: LayerMap) -> int:
    """Numbers per candidate that a map holds at once in training."""
    return getattr(layer, "n_live", layer.n_units)


class Module(LayerKind):
    """Any torch module as a layer: `factory(shape)` makes it, for inputs `(rows, *shape)`.

    `shape` is (features,), or (channels, height, width) where rows are read as images. The module
    returns one output per row, of any shape; the estimator's activation follows. It is made anew,
    seeded by the fit's generator. Its dropout acts and its running statistics move only while this
    layer learns. The label has no inputs in a module: as the first layer it needs an overlay such
    as "add", or a goodness that scores classes; or put another layer first, as in ``Block([Dense(),
    Module(factory)])``.
    """

    composite = draws_globally = True
    label_inputs = False

    def __init__(self, factory: Callable[[Shape], nn.Module], *, learned: bool = True) -> None:
        self.factory = factory
        self.learned = learned

    def check(self) -> None:
        super().check()
        if isinstance(self.factory, nn.Module) or not callable(self.factory):
            raise ValueError(
                f"Module({type(self.factory).__name__}) takes a function that makes the module, "
                f"since every fit needs its own; give one, such as Module(lambda shape: "
                f"nn.Linear(shape[0], 100))."
            )

    def build(
        self, shape: Shape, n_label_inputs: int = 0, low_precision: bool = False, raw: bool = False
    ) -> LayerMap:
        return ModuleMap(self, tuple(shape), low_precision, raw)


class ModuleMap(BaseMap):
    """a = z; the module acts in `outputs`, so that what is added to z counts."""

    bias: Tensor

    def __init__(self, kind: Module, shape: Shape, low_precision: bool, raw: bool) -> None:
        super().__init__()
        self.kind, self.shape_in, self.raw, self.low_precision = kind, shape, raw, low_precision
        with global_draws(0):
            self.module, self.shape, self._n_live = made(kind, shape)
            check_new(kind, self.module, made(kind, shape)[0])
        self.n_units = self.n_biases = math.prod(shape)
        self.n_outputs, self.fan_in = math.prod(self.shape), 1
        self.n_products = sum(p.numel() for p in self.module.parameters())
        self.whole_batches = any(moves(part) for part in self.module.modules())
        self.register_buffer("bias", torch.zeros(self.n_units), persistent=False)

    @property
    def n_live(self) -> int:
        return self._n_live

    def reset(self, generator: torch.Generator, draw: Draw = drawn_normal) -> None:
        """The first weights of a new module, whose own way of drawing them it keeps."""
        device = generator.device
        seed = torch.randint(2**31, (1,), generator=generator, device=device).item()
        with global_draws(int(seed)):
            fresh, _, _ = made(self.kind, self.shape_in)
            check_rows_apart(self.kind, fresh, self.shape_in)
        self.module.load_state_dict(fresh.state_dict())

    def product(self, z: Tensor, bias: Tensor | None = None) -> Tensor:
        return z if bias is None else z + bias

    def outputs(self, a: Tensor, function: Function) -> Tensor:
        learns = self.training and torch.is_grad_enabled()
        if self.module.training != learns:
            self.module.train(learns)
        z = a.reshape(-1, *self.shape_in) if self.raw else self._inputs(a)
        with torch.autocast(z.device.type, torch.bfloat16, enabled=self.low_precision and learns):
            out = self.module(z)
        out = out.to(a.dtype)
        out = flat(out, a) if out.dim() == 4 else out.reshape(*a.shape[:-1], self.n_outputs)
        return function(out)

    def _inputs(self, a: Tensor) -> Tensor:
        if len(self.shape_in) == 3:
            return images(a, self.shape_in)
        return a.reshape(-1, *self.shape_in)


def moves(part: nn.Module) -> bool:
    """Whether a torch module computes statistics of the batch."""
    return isinstance(part, nn.modules.batchnorm._BatchNorm)


def made(kind: Module, shape: Shape) -> tuple[nn.Module, Shape, int]:
    """The module of a kind, tried once so that lazy weights exist; the shape of its output for a
    row; and how many numbers its parts return for one.
    """
    try:
        return _made(kind, shape)
    except ValueError:
        raise
    except Exception as error:
        if torch.empty(0).device.type == "meta":  # which not every module supports
            with torch.device("cpu"):
                return made(kind, shape)
        raise ValueError(
            f"{kind!r} makes no module for inputs of shape (rows, {', '.join(map(str, shape))}): "
            f"{error}"
        ) from error


def _made(kind: Module, shape: Shape) -> tuple[nn.Module, Shape, int]:
    module = kind.factory(shape)
    if not isinstance(module, nn.Module):
        raise ValueError(f"{kind!r} makes a {type(module).__name__}; let it return a torch module.")
    sizes: list[int] = []
    watched = [
        part.register_forward_hook(lambda part, given, out: sizes.append(numbers(out)))
        for part in module.modules()
    ]
    out = tried(module, torch.zeros(2, *shape))
    for watch in watched:
        watch.remove()
    if not isinstance(out, Tensor) or out.dim() < 2 or len(out) != 2 or not out.numel():
        given = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(
            f"{kind!r} returns {given} for 2 rows of shape {times(shape)}; let the module return "
            f"a tensor with one output, of one number or more, for every row."
        )
    return module, tuple(out.shape[1:]), sum(sizes) // 2


def numbers(out: Any) -> int:
    return out.numel() if isinstance(out, Tensor) else 0


@torch.no_grad()
def tried(module: nn.Module, x: Tensor) -> Any:
    """The output of a module as in prediction."""
    training = module.training
    module.eval()
    found = module(x)
    module.train(training)
    return found


def check_rows_apart(kind: Module, module: nn.Module, shape: Shape) -> None:
    """Raise ValueError where a row's output depends on the rows beside it."""
    x = torch.rand(3, *shape)
    beside, alone = tried(module, x.clone())[:1], tried(module, x[:1])
    if (beside - alone).abs().max() > ALIKE * (1e-6 + alone.abs().max()):
        raise ValueError(
            f"{kind!r} returns another output for a row where other rows stand beside it; let the "
            f"first dimension number the rows, as batch_first=True does for attention."
        )


def check_new(kind: Module, first: nn.Module, second: nn.Module) -> None:
    """Raise ValueError where two calls of a factory have returned the same weights."""
    if first is second or {*map(id, first.parameters())} & {*map(id, second.parameters())}:
        raise ValueError(
            f"{kind!r} returns the same weights in every call, which fits and layers would share; "
            f"let the factory make the module, or copy.deepcopy it."
        )
