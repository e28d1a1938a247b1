"""Any torch module as a layer, which learns by backpropagation inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._draws import global_draws
from .._typing import Function, Shape
from ._base import BaseMap, Draw, LayerKind, LayerMap, drawn_normal, flat, images, times

ALIKE = 1e-3  # relative difference of a row's outputs beside other rows, up to rounding errors


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
