"""Negative rows: other or corrupted rows, which need no labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from .._draws import Draws
from .._images import is_image_shape
from .._params import brief
from .._parts import (
    check_arguments,
    check_flag,
    check_number,
    checked_finite,
    checked_like,
)
from .._stored import StoredRows, stored
from .._typing import MatrixLike, Shape
from ._base import Negatives, negatives

LOUDEST = 1e6  # scale of noise, in units of the columns; squares must fit in single precision


class DataNegatives(Negatives):
    """Base of data negatives; see the module's docstring for the contract."""

    abstract = of_rows = True
    labelled = False  # whether a classifier shows the candidates with labels

    def negative_rows(self, x: Tensor, draws: Draws) -> Tensor:
        raise self.undefined("negative_rows")

    def n_candidates(self, n_classes: int) -> int:
        return 2

    def candidates(self, x: Tensor, draws: Draws) -> Tensor:
        return torch.stack([x, self.negative_rows(x, draws)], 1)

    def draw(self, y: Tensor, n_classes: int, draws: Draws, belief: Tensor | None = None) -> Tensor:
        return y[:, None]  # both rows have the same label, or none


def others(n: int, draws: Draws) -> Tensor:
    """For each of n rows the index of another row: on a random cycle, or drawn by weight."""
    if draws.weight is None:
        order = draws.permutation(n)
        other = torch.empty_like(order)
        other[order] = order.roll(1)
        return other
    weight, own = draws.weight, torch.arange(n, device=draws.device)
    upto = weight.cumsum(0)
    u = draws.uniform(n) * (upto[-1] - weight)
    other = picked_by(upto, torch.where(u < upto - weight, u, u + weight))
    return torch.where(other == own, (own + 1) % n, other)  # rounding may return the row itself


def picked_by(upto: Tensor, u: Tensor) -> Tensor:
    """Indices of rows drawn by weight: `upto` is the cumulative weight, u uniform below its end."""
    return torch.searchsorted(upto, u, right=True).clamp_(max=len(upto) - 1)


@negatives.register("pair_sum")
class PairSum(DataNegatives):
    """(x + x)/2 and (x + x')/2 with another row x' (Chen et al., 2025, without the halves).

    With an augmentation the two x and x' are varied separately, as in the authors' program; a head
    then learns from the mean of the two views of x.
    """

    mixes_rows = True
    n_views = 2

    def negative_rows(self, x: Tensor, draws: Draws) -> Tensor:
        return (x + x[others(len(x), draws)]) / 2

    def candidates(self, x: Tensor, draws: Draws) -> Tensor:
        if x.dim() == 2:
            return super().candidates(x, draws)
        first, second = x.unbind(1)
        return torch.stack([first + second, first + second[others(len(x), draws)]], 1) / 2


@negatives.register("hybrid_mask")
class HybridMask(DataNegatives):
    """Large patches of two rows, M x + (1 − M) x' (Hinton, 2022).

    The mask M consists of random bits, blurred by (1/4, 1/2, 1/4) `n_blurs` times along both axes
    of the `image_shape` (channels, height, width), and rounded at 1/2. Without a shape, the columns
    form a line. The highest place of the mask is always x and the lowest x', so a hybrid is never
    one of the two rows.
    """

    mixes_rows = True

    def __init__(self, image_shape: Shape | None = None, n_blurs: int = 6) -> None:
        self.image_shape = image_shape
        self.n_blurs = n_blurs

    def check(self) -> None:
        super().check()
        check_number(self, "n_blurs", at_least=0, whole=True)
        if self.image_shape is not None and not is_image_shape(self.image_shape):
            raise ValueError(
                f"HybridMask(image_shape={self.image_shape!r}) is no shape of an image; give "
                f"(channels, height, width), such as (1, 28, 28), or None for rows without a shape."
            )

    def for_images(self, image_shape: Shape) -> Self:
        return self.changed(image_shape=image_shape)

    def negative_rows(self, x: Tensor, draws: Draws) -> Tensor:
        mask = self._mask(x, draws)
        return torch.where(mask, x, x[others(len(x), draws)])

    def _mask(self, x: Tensor, draws: Draws) -> Tensor:
        channels, *size = self.image_shape or (1, x.shape[1])
        if channels * math.prod(size) != x.shape[1]:
            raise ValueError(
                f"HybridMask(image_shape={self.image_shape!r}) means "
                f"{channels * math.prod(size)} pixels, but X has {x.shape[1]} columns; give "
                f"(channels, height, width) of the images in X, or None for rows without a shape."
            )
        mask = cut(blurred_bits(draws.uniform(len(x), *size), self.n_blurs).flatten(1))
        return mask.repeat(1, channels)


def blurred_bits(u: Tensor, n_blurs: int) -> Tensor:
    """Random bits u > 1/2, blurred along every axis but the first; u breaks ties."""
    bits = (u > 0.5) + 1e-4 * (u - 0.5)
    for _ in range(n_blurs):
        for axis in range(1, bits.dim()):
            lower = bits.narrow(axis, 0, 1), bits.narrow(axis, 0, bits.shape[axis] - 1)
            upper = bits.narrow(axis, 1, bits.shape[axis] - 1), bits.narrow(axis, -1, 1)
            bits = bits / 2 + (torch.cat(lower, axis) + torch.cat(upper, axis)) / 4
    return bits


def cut(field: Tensor) -> Tensor:
    """field > 1/2, but true at its highest place and false at its lowest."""
    high, low = field.argmax(1, keepdim=True), field.argmin(1, keepdim=True)
    return (field > 0.5).scatter(1, high, True).scatter(1, low, False)


@negatives.register("shuffle")
class Shuffle(DataNegatives):
    """Every column permuted across rows independently: the values are real, the rows are not.

    A `share` of the columns is permuted, drawn anew for every row.
    """

    mixes_rows = True

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def check(self) -> None:
        super().check()
        check_number(self, "share", above=0, at_most=1)

    def negative_rows(self, x: Tensor, draws: Draws) -> Tensor:
        shuffled = x.gather(0, self._order(x, draws))
        if self.share >= 1:
            return shuffled
        return torch.where(draws.uniform(*x.shape) < self.share, shuffled, x)

    def _order(self, x: Tensor, draws: Draws) -> Tensor:
        """A permutation for every column, or row indices drawn by the weights of the rows."""
        if draws.weight is None:
            return draws.uniform(*x.shape).argsort(0)
        upto = draws.weight.cumsum(0)
        return picked_by(upto, draws.uniform(*x.shape) * upto[-1])


@negatives.register("noise")
class Noise(DataNegatives):
    """x + `scale`·standard normal noise, in units of the scaled columns."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def check(self) -> None:
        super().check()
        check_number(self, "scale", above=0, at_most=LOUDEST)

    def negative_rows(self, x: Tensor, draws: Draws) -> Tensor:
        return x + self.scale * draws.normal(*x.shape)


class Pool(DataNegatives):
    """Negative rows drawn from a pool that the fit supplies, in proportion to their weights."""

    abstract = shows_strange = True
    varied = False

    def bind(self, pool: tuple[Tensor, Tensor]) -> Pooled:
        return Pooled(self, *pool)


class Pooled:
    """A part with its pool: scaled `rows` and their cumulative weights, the last of which is 1."""

    def __init__(self, part: Pool, rows: Tensor, cumulative: Tensor) -> None:
        self.part, self.rows, self.cumulative = part, rows, cumulative

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)

    def candidates(self, x: Tensor, draws: Draws) -> Tensor:
        negative = self.rows[picked_by(self.cumulative, draws.uniform(len(x)))]
        return torch.stack([x, negative], 1)


class OwnRows(Pool):
    """The user's own `rows`, in the units of X, drawn with equal chances."""

    data = ("rows",)

    def __init__(self, rows: MatrixLike) -> None:
        self.rows = rows

    @property
    def own_rows(self) -> Any:
        return self.rows

    def __sklearn_clone__(self) -> Self:
        """As of other parts, but a memory map stays one: its copy would be in memory."""
        if not isinstance(stored(self.rows), StoredRows):
            return super().__sklearn_clone__()
        bare: Any = object.__new__(type(self))
        vars(bare).update(vars(self), rows=None)
        new: Any = super(OwnRows, bare).__sklearn_clone__()
        new.rows = self.rows
        return new


class HeldOutClasses(Pool):
    """Rows of the given `classes` as negatives of all other rows (rmwkwok, 2023).

    FFTransformer learns from the other rows, with these as negative ones. FFClassifier shows these
    with a random label of the other classes, and its `classes_` are the others; with
    ``labelled=False`` its layers see no labels, and only the head learns them. Positive and
    negative rows differ by more than their labels, so layers need not read the label, and
    prediction by goodness can be little better than chance: use prediction="head".
    """

    def __init__(self, classes: Sequence[Any] | np.ndarray, labelled: bool = True) -> None:
        self.classes = classes
        self.labelled = labelled

    @property
    def held_out(self) -> Any:
        return self.classes

    def check(self) -> None:
        super().check()
        check_flag(self, "labelled")
        classes = self.classes
        listed = isinstance(classes, (list, tuple, range))
        listed = listed or (hasattr(classes, "__array__") and np.ndim(classes) > 0)
        if not (listed and len(classes)):
            raise ValueError(
                f"HeldOutClasses({brief(classes)}) needs a list or an array of at least one class, "
                f"as in HeldOutClasses([9])."
            )

    def draw(self, y: Tensor, n_classes: int, draws: Draws, belief: Tensor | None = None) -> Tensor:
        return (draws.uniform(len(y), 1) * n_classes).long().clamp_(max=n_classes - 1)


class Corruption(DataNegatives):
    """A user's `function`, (x, draws) -> negative rows, as data negatives."""

    def __init__(self, function: Callable[[Tensor, Draws], Tensor]) -> None:
        self.function = function

    def check(self) -> None:
        super().check()
        if not callable(self.function):
            raise ValueError(
                f"Corruption({brief(self.function)}) cannot be called; give a function (x, draws) "
                f"-> negative rows."
            )
        check_arguments(self.function, "negatives", "(x, draws) -> negative rows")

    def negative_rows(self, x: Tensor, draws: Draws) -> Tensor:
        negative = self.function(x.clone(), draws)
        checked_like(negative, x, x.shape, "negatives", "one negative row per row")
        return checked_finite(negative, "negatives", "rows")
