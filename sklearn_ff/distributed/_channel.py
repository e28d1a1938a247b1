"""Batches on their way from the layers of one rank to those of the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from ..core.rows import parts
from ._group import Group, Ranks, lost

AHEAD = 3  # batches that are sent before the next rank has taken the first of them


class Message(NamedTuple):
    """What layers above need of a batch: activations, labels of the candidates, and weights."""

    z: Tensor  # (rows, candidates or 1, units)
    labels: Tensor  # (rows, candidates), the positive one first
    weight: Tensor  # (rows,)

    def packed(self) -> Tensor:
        """One tensor; labels are exact in it, as far as these are numbers of fewer than 2^24."""
        return torch.cat([part.flatten().to(self.z.dtype) for part in self])


def unpacked(flat: Tensor, n: int, width: int, n_shown: int, n_candidates: int) -> Message:
    sizes = [n * n_shown * width, n * n_candidates, n]
    z, labels, weight = flat.split(sizes)
    return Message(z.view(n, n_shown, width), labels.view(n, n_candidates).long(), weight)


class Layers(Ranks):
    """The ranks among which layers lie, from the first up; all rows lie on the first."""

    def __init__(self, group: Group, n: int, like: Tensor) -> None:
        super().__init__(group)
        self.n, self.like = n, like  # `like` tells device and dtype of the network
        self.below = None if group.first else group.rank - 1
        self.above = None if group.rank + 1 == group.size else group.rank + 1
        self.sizes: list[int] | None = None  # width, and candidates of z and of labels
        self.weight: Any = None  # of the current batch
        self.sent: deque[Any] = deque()
        self.told = False  # whether the next rank knows the sizes

    def n_rows(self, n: int) -> int:
        return self.n

    def batches(self, batches: Any) -> Any:
        if self.first:
            return FirstBatches(batches, self)
        return Incoming(batches, self)

    def share(self, part: slice, weight: Tensor, draws: Any) -> tuple[slice, Tensor, Any]:
        if part.stop - part.start != len(weight):
            raise ValueError(
                "The candidates of a batch are too many to pass from rank to rank at once; lower "
                "batch_size, or fit in one process."
            )
        return part, weight, draws

    def total(self, statistics: Tensor, layers: list[int]) -> tuple[Tensor, list[int]]:
        """Those of all layers side by side."""
        found = self.joined((statistics.cpu(), layers))
        every = [index for _, some in found for index in some]
        return torch.cat([part for part, _ in found], 1), every

    # Messages -------------------------------------------------------------------------------------

    def send(self, z: Tensor, labels: Tensor) -> None:
        """Send a batch up, and go on; wait where AHEAD batches have not been taken yet."""
        message = Message(z, labels, self.weight)
        with lost():
            if not self.told:
                sizes = torch.tensor([z.shape[2], z.shape[1], labels.shape[1]])
                dist.send(sizes, self.above, group=self.group.plain)
                self.told = True
            while len(self.sent) >= AHEAD:
                self.sent.popleft()[0].wait()
            flat = message.packed()
            work = dist.isend(flat, self.above, group=self.group.beside(flat))
        self.sent.append((work, flat))  # which must live until it has been sent

    def flush(self) -> None:
        with lost():
            while self.sent:
                self.sent.popleft()[0].wait()

    def receive(self, n: int) -> tuple[Any, Tensor, int]:
        """Ask for a batch of n rows; what tells that it has come, and the place where it comes."""
        with lost():
            if self.sizes is None:
                sizes = torch.zeros(3, dtype=torch.int64)
                dist.recv(sizes, self.below, group=self.group.plain)
                self.sizes = sizes.tolist()
            width, n_shown, n_candidates = self.sizes
            flat = self.like.new_empty(n * (n_shown * width + n_candidates + 1))
            return dist.irecv(flat, self.below, group=self.group.beside(flat)), flat, n

    def taken(self, work: Any, flat: Tensor, n: int) -> Message:
        assert self.sizes is not None
        with lost():
            work.wait()
        return unpacked(flat, n, *self.sizes)


class FirstBatches:
    """The batches of the first rank, whose weights go up with the activations."""

    def __init__(self, batches: Any, ranks: Layers) -> None:
        self.batches, self.ranks, self.rows = batches, ranks, batches.rows

    def __iter__(self) -> Iterator[Any]:
        return map(self._noted, self.batches)

    def _noted(self, batch: Any) -> Any:
        self.ranks.weight = batch[2]
        return batch


class Incoming:
    """The batches that come from the rank below; the next ones are under way meanwhile."""

    def __init__(self, batches: Any, ranks: Layers) -> None:
        self.batches, self.ranks, self.rows = batches, ranks, batches.rows

    def __iter__(self) -> Iterator[Any]:
        sizes = [part.stop - part.start for part in parts(self.ranks.n, self.batches.batch_size)]
        self.coming: deque[Any] = deque()
        self.left = deque(sizes)
        return map(self._next, sizes)

    def _next(self, n: int) -> Any:
        while self.left and len(self.coming) < AHEAD:
            self.coming.append(self.ranks.receive(self.left.popleft()))
        z, labels, weight = self.ranks.taken(*self.coming.popleft())
        self.ranks.weight = weight
        return z, labels[:, 0], weight, labels[:, 1:]


class Sent:
    """In place of the rows, on the ranks above the first, where they come batch by batch."""

    drawn, weighted = None, False

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n


class AsSent:
    """In place of the negatives there: candidates come with the rows."""

    redraw, of_rows = "batch", False

    def n_candidates(self, n_classes: int) -> int:
        return 1

    def candidates(self, x: Tensor, draws: Any) -> Tensor:
        return x

    def select(self, scores: Tensor, layer: Any, draws: Any) -> Tensor:
        return scores
