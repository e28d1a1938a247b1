"""Rows that lie on several ranks: batches, random numbers and sums of all of them together.

Every rank knows the order of all rows and draws for whole batches, by the same generator, so that
all ranks together learn what one process would. Of a batch each learns from the rows that it holds.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._draws import Draws
from ..core.rows import parts
from ..exceptions import RankError
from ._group import Group, Ranks


class Batch(NamedTuple):
    """A batch of n rows on all ranks: the places of those that are here, in ascending order.

    A rank without any learns from a row of its own, whose weight is zero.
    """

    n: int
    here: np.ndarray
    empty: bool = False


class SharedRows(Ranks):
    """The ranks among which n training rows lie; those `here` by their places among all."""

    def __init__(self, group: Group, n: int, weight: float, here: np.ndarray) -> None:
        super().__init__(group)
        self.n, self.weight, self.here = n, weight, here
        self.row = np.full(n, -1, np.int32 if n < 2**31 else np.int64)  # number of a row here
        self.row[here] = np.arange(len(here))
        self.batch = Batch(n, here)

    # Rows ---------------------------------------------------------------------------------------

    def n_rows(self, n: int) -> int:
        return self.n

    def weight_of(self, weight: Any) -> float:
        return self.weight

    def batches(self, batches: Any) -> Any:
        return Shares(batches, self)

    def size(self, n: int) -> int:
        return self.batch.n

    def share(self, part: slice, weight: Tensor, draws: Draws) -> tuple[slice, Tensor, Draws]:
        n, here = part.stop - part.start, self.batch.here
        begin, end = np.searchsorted(here, [part.start, part.stop])
        if self.batch.empty or begin == end:
            return slice(0, 1), weight[:1] * 0, SharedDraws(draws, n, np.array([0]), empty=True)
        some = slice(int(begin), int(end))
        return some, weight[some], SharedDraws(draws, n, here[some] - part.start)

    def draws(self, draws: Draws) -> Draws:
        return SharedDraws(draws, self.n, self.here)

    def negatives(self, part: Any) -> Any:
        return Mixing(part, self) if part.mixes_rows else part

    def weighted(self, rows: Any) -> bool:
        low, high = rows.weight.min().item(), rows.weight.max().item()
        return bool(self.least(low) < self.most(high))

    # Training -----------------------------------------------------------------------------------

    def add_up(self, module: Any) -> None:
        """One sum for all weights of a layer, and for the activations that its units compare."""
        sums = [weight.grad for weight in module.parameters() if weight.grad is not None]
        peers = getattr(module, "peers", None)
        if peers is not None and peers.parts:
            activations, weights = map(sum, zip(*peers.parts, strict=True))
            peers.parts = [(activations, weights)]
            sums += [activations, weights]
        flat = self.group.reduce(torch.cat([one.detach().flatten() for one in sums]))
        for one, total in zip(sums, flat.split([one.numel() for one in sums]), strict=True):
            one.copy_(total.view(one.shape))

    def total(self, statistics: Tensor, layers: list[int]) -> tuple[Tensor, list[int]]:
        return self.group.reduce(statistics.clone()), layers

    def averaged(self, score: Callable[[Any], float], weight: Any) -> Callable[[Any], float]:
        own = float(weight.sum())

        def average(net: Any) -> float:
            value = own * score(net) if own else 0.0
            total, weights = self.summed(np.array([value, own]))
            return float(total / weights)

        return average

    def end(self, net: Any, end: Exception | None) -> Exception | None:
        """As of any ranks; the states of their generators must be the same.

        They differ where a part has drawn another number of times on one rank, and with them would
        the coming batches.
        """
        state = zlib.crc32(net.draws.generator.get_state().cpu().numpy().tobytes())
        if len(set(self.joined(state))) > 1:
            raise RankError(
                "The ranks have drawn different random numbers; a part of your own must draw "
                "numbers for all rows of a batch at once, (rows, ...), by `draws`."
            )
        return super().end(net, end)


class Shares:
    """The rows of this rank in each batch of all ranks; `ranks` learns which they are."""

    def __init__(self, batches: Any, ranks: SharedRows) -> None:
        self.batches, self.ranks, self.rows = batches, ranks, batches.rows

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        n, shuffle = self.ranks.n, self.batches.shuffle
        if len(self) == 1:
            return map(self._whole, [slice(None)])
        order = self.batches.draws.permutation(n).cpu().numpy() if shuffle else np.arange(n)
        return map(self._some, [order[part] for part in parts(n, self.batches.batch_size)])

    def _whole(self, index: slice) -> Any:
        self.ranks.batch = Batch(self.ranks.n, self.ranks.here)
        return self.rows.batch(index)

    def _some(self, order: np.ndarray) -> Any:
        found = self.ranks.row[order]
        here = np.flatnonzero(found >= 0)
        self.ranks.batch = Batch(len(order), here, not len(here))
        numbers = found[here].astype(np.int64) if len(here) else np.zeros(1, np.int64)
        return self.rows.batch(torch.from_numpy(numbers).to(self.rows.y.device), numbers)


class Mixing:
    """Negatives made of other rows: every rank makes those of the whole batch, and takes its own.

    `part` is what makes them.
    """

    def __init__(self, part: Any, ranks: SharedRows) -> None:
        self.part, self.ranks = part, ranks

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)

    def candidates(self, x: Tensor, draws: Any) -> Tensor:
        if not self.part.of_rows:
            return x
        return self._of_all(self.part.candidates, x, draws)

    def draw(self, y: Tensor, n_classes: int, draws: Any, belief: Any = None) -> Tensor:
        if self.part.of_rows:
            return self.part.draw(y, n_classes, draws, belief)
        return self._of_all(lambda y, draws: self.part.draw(y, n_classes, draws), y, draws)

    def _of_all(self, make: Callable[..., Tensor], rows: Tensor, draws: Any) -> Tensor:
        if not isinstance(draws, SharedDraws):  # of rows that one rank has
            return make(rows, draws)
        weight = None if draws.weight is None else self._joined(draws.weight, draws)
        plain = Draws(draws.generator, draws.device, draws.dtype, weight)
        return make(self._joined(rows, draws), plain)[draws.places]

    def _joined(self, rows: Tensor, draws: SharedDraws) -> Tensor:
        """The rows of all ranks in their order."""
        every = rows.new_zeros(draws.n, *rows.shape[1:])
        if not draws.empty:
            every[draws.places] = rows
        return self.ranks.group.reduce(every)


class SharedDraws(Draws):
    """Draws for rows at some places of n: numbers are drawn for all n, on every rank the same.

    An `empty` share is of one row that stands for none.
    """

    def __init__(
        self,
        draws: Draws,
        n: int,
        here: np.ndarray,
        weight: Tensor | None = None,
        empty: bool = False,
    ) -> None:
        super().__init__(draws.generator, draws.device, draws.dtype, weight)
        self.n, self.here, self.empty = n, here, empty

    @property
    def places(self) -> Tensor:
        return torch.from_numpy(self.here).to(self.device)

    def by(self, weight: Tensor | None) -> Draws:
        return SharedDraws(self, self.n, self.here, weight, self.empty)

    def uniform(self, *shape: int) -> Tensor:
        return self._of_rows(super().uniform, shape)

    def normal(self, *shape: int) -> Tensor:
        return self._of_rows(super().normal, shape)

    def _of_rows(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        if not shape or shape[0] != len(self.here):
            return draw(*shape)
        return draw(self.n, *shape[1:])[self.places]

    def permutation(self, n: int) -> Tensor:
        raise ValueError(
            "A part mixes the rows of a batch, of which every rank holds some only; fit in one "
            "process, or use negatives that need no other rows."
        )
