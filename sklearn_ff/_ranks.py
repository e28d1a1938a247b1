"""What a fit asks of the processes among which its rows lie; a fit in one process asks nothing.

Processes are called ranks, as in `torch.distributed`; `sklearn_ff.distributed` has several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["ALONE", "Alone"]


class Alone:
    """The only process of a fit."""

    alone = first = True

    # Rows ---------------------------------------------------------------------------------------

    def n_rows(self, n: int) -> int:
        """Training rows of all ranks, of which n are here."""
        return n

    def weight_of(self, weight: Any) -> float:
        """The sum of the weights of the training rows of all ranks; those here are `weight`."""
        return weight.sum()

    def batches(self, batches: Any) -> Any:
        """Of all batches, what this rank learns from."""
        return batches

    def size(self, n: int) -> int:
        """Rows of the current batch on all ranks, of which n are here."""
        return n

    def share(self, part: slice, weight: Any, draws: Any) -> tuple[slice, Any, Any]:
        """Of a part of the current batch: the rows here, their weights, and what draws for them.

        `weight` are those of the rows of the batch that are here.
        """
        return part, weight[part], draws

    def draws(self, draws: Any) -> Any:
        """What draws for every training row here."""
        return draws

    def negatives(self, part: Any) -> Any:
        """Negatives whose candidates are those of the rows of all ranks."""
        return part

    def weighted(self, rows: Any) -> bool:
        """Whether training rows have different weights."""
        return rows.weighted

    # Training -----------------------------------------------------------------------------------

    def add_up(self, module: Any) -> None:
        """Sum the gradients of a module over all ranks."""

    def total(self, statistics: Any, layers: list[int]) -> tuple[Any, list[int]]:
        """Statistics of an epoch, (4, layers), and the indices of the layers, of all ranks."""
        return statistics, layers

    def averaged(self, score: Callable[[Any], float], weight: Any) -> Callable[[Any], float]:
        """The score of held-out rows of all ranks, a function of a net; here they have `weight`."""
        return score

    def end(self, net: Any, end: Exception | None) -> Exception | None:
        """The exception that ends the stage or the training on all ranks after an epoch."""
        return end

    # Values -------------------------------------------------------------------------------------

    def summed(self, values: Any) -> Any:
        """The sums of arrays over the ranks."""
        return values

    def least(self, values: Any) -> Any:
        """The smallest values of all ranks."""
        return values

    def most(self, values: Any) -> Any:
        """The largest values of all ranks."""
        return values

    def from_first(self, function: Callable[[], Any]) -> Any:
        """What a function returns on the first rank."""
        return function()

    def joined(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order."""
        return [value]


ALONE = Alone()
