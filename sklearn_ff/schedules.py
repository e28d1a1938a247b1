"""Schedules: the layers that learn in each epoch, and how the learning rate falls.

The contract. `stages(n_layers, n_epochs, depth)` returns a list of `Stage`: `n_epochs` is the value
of `max_iter`, and `depth` is the number of layers that exist from an earlier fit. `phases` is
"together" where every batch trains positive and negative candidates, and "by_epoch" where an epoch
is a pass over all positive candidates and then one over all negative ones. `at_once` states that
all layers learn from every batch, which `partial_fit` needs, `in_turn` that a batch teaches one
layer of its stage, and the next batch the next layer, `holds_epochs` that the schedule has its own
number of epochs, which `n_epochs()` returns, instead of `max_iter`. A list of pairs (layers,
epochs) means `Stages(list)`.

A rate has `factor(progress)`, the share of the first rate that remains when a share `progress` of
the stage has passed, from 0 to 1; `constant` states that it does not fall. Where `endless` is true,
`factor` gets the number of updates so far instead, and `partial_fit` goes on counting them from
call to call; with the others its rate is constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from ._params import brief
from ._parts import Family, Part, check_choice, check_number, is_number

__all__ = [
    *("Greedy", "InTurn", "Schedule", "Simultaneous", "Stage", "Stages", "schedules"),
    *("Constant", "Cooldown", "Cosine", "Drops", "InvScaling", "Linear", "Rate", "rates"),
]


class Stage(NamedTuple):
    """Epochs in which `layers` learn (none: the head alone) and the first `depth` layers exist."""

    layers: tuple
    epochs: int
    depth: int


class Schedule(Part):
    """Base of a schedule; see the module's docstring for the contract."""

    phases = "together"
    at_once = False  # whether all layers learn from every batch
    in_turn = False  # whether every batch teaches one layer of the stage alone
    holds_epochs = False  # whether the schedule states the number of epochs

    def check(self) -> None:
        check_choice(self, "phases", ("together", "by_epoch"))

    def n_epochs(self) -> int:
        """The number of all epochs, where the schedule states it."""
        raise self.undefined("n_epochs")

    def stages(self, n_layers: int, n_epochs: int, depth: int = 0) -> list[Stage]:
        raise self.undefined("stages")


schedules = Family("schedule", Schedule)


@schedules.register("simultaneous")
class Simultaneous(Schedule):
    """All layers learn from every batch."""

    at_once = True

    def __init__(self, phases: str = "together") -> None:
        self.phases = phases

    def stages(self, n_layers: int, n_epochs: int, depth: int = 0) -> list[Stage]:
        return [Stage(tuple(range(n_layers)), n_epochs, n_layers)]


@schedules.register("greedy")
class Greedy(Schedule):
    """One layer after another, each for `max_iter` epochs, on the finished layers below it."""

    def __init__(self, phases: str = "together") -> None:
        self.phases = phases

    def stages(self, n_layers: int, n_epochs: int, depth: int = 0) -> list[Stage]:
        return [Stage((layer,), n_epochs, layer + 1) for layer in range(n_layers)]


@schedules.register("in_turn")
class InTurn(Simultaneous):
    """Layers take turns: one learns from a batch, the next from the next one (Lorberbom et al.,
    2024).

    A layer learns from one in as many batches as there are layers.
    """

    at_once = False
    in_turn = True


class Stages(Schedule):
    """The stages of a list of `pairs` (layers, epochs).

    `layers` is an index, a list of indices, "all", or "head" for the softmax head alone, as in
    ``[("all", 10), ("head", 50)]``. Layers of an earlier fit exist from the beginning.
    """

    holds_epochs = True

    def __init__(self, pairs: Sequence[tuple[Any, int]], phases: str = "together") -> None:
        self.pairs = pairs
        self.phases = phases

    def check(self) -> None:
        super().check()
        if not isinstance(self.pairs, (list, tuple)):
            raise ValueError(
                f"Stages({self.pairs!r}) is not a list of stages; give pairs (layers, epochs), "
                f"such as Stages([('all', 10), ('head', 5)])."
            )
        pairs = [pair for pair in self.pairs if isinstance(pair, (tuple, list)) and len(pair) == 2]
        if not pairs or len(pairs) != len(self.pairs):
            raise ValueError(
                f"schedule={self.pairs!r} is not a list of stages; give pairs (layers, epochs), "
                f"such as [('all', 10), ('head', 5)]."
            )
        for _, epochs in pairs:
            if not isinstance(epochs, Integral) or isinstance(epochs, bool) or epochs < 1:
                raise ValueError(
                    f"schedule={self.pairs!r} has a stage of {epochs!r} epochs; give a positive "
                    f"whole number."
                )

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        apart = "" if self.phases == "together" else f", phases={self.phases!r}"
        return f"Stages({self.pairs!r}{apart})"

    def n_epochs(self) -> int:
        return sum(int(epochs) for _, epochs in self.pairs)

    def stages(self, n_layers: int, n_epochs: int, depth: int = 0) -> list[Stage]:
        found = []
        for layers, epochs in self.pairs:
            taught = self._taught(layers, n_layers)
            depth = max([depth, *(layer + 1 for layer in taught)])
            found.append(Stage(taught, int(epochs), depth or n_layers))
        return found

    def _taught(self, layers: Any, n_layers: int) -> tuple[int, ...]:
        """Indices of the layers that a pair names; none where it names the head."""
        if isinstance(layers, str) and layers == "head":
            return ()
        if isinstance(layers, str) and layers == "all":
            return tuple(range(n_layers))
        layers = layers.tolist() if isinstance(layers, np.ndarray) else layers
        given: Any = [layers] if isinstance(layers, Integral) else layers
        whole = isinstance(given, (list, tuple, range)) and len(given) > 0
        whole = whole and all(isinstance(i, Integral) and not isinstance(i, bool) for i in given)
        if not whole or not all(-n_layers <= i < n_layers for i in given):
            raise ValueError(
                f"schedule={self.pairs!r} names {layers!r}, which is no layer; the {n_layers} "
                f"layers are 0 to {n_layers - 1}, 'all' means all of them, and 'head' the softmax "
                f"head."
            )
        return tuple(sorted({int(i) % n_layers for i in given}))


def learning_stages(
    stages: Sequence[Stage], learned: Sequence[bool], has_head: bool
) -> list[Stage]:
    """The stages without layers that never learn, which exist as soon as layers above them do."""
    if all(learned):
        return list(stages)
    found = []
    for stage in stages:
        layers = tuple(index for index in stage.layers if learned[index])
        if layers or not stage.layers:
            found.append(stage._replace(layers=layers))
    if not found and has_head:  # which learns alone
        return [Stage((), stages[-1].epochs, len(learned))]
    if found and not any(learned[found[-1].depth :]):
        found[-1] = found[-1]._replace(depth=len(learned))
    return found


def checked_schedule(value: Any) -> Schedule:
    """The schedule that `value` means: a name, a schedule, or a list of pairs."""
    pairs = isinstance(value, (list, tuple))
    part = Stages(value) if pairs else schedules.get(value)
    part.check()
    return part


# How the rate falls -----------------------------------------------------------------------------


class Rate(Part):
    """Base of a learning rate's course; see the module's docstring for the contract."""

    constant = False  # whether it does not fall
    endless = False  # whether it falls by the updates so far, with no end in view

    def factor(self, progress: float) -> float:
        raise self.undefined("factor")


rates = Family("learning_rate", Rate)


@rates.register("constant")
class Constant(Rate):
    """The first rate throughout."""

    constant = True

    def factor(self, progress: float) -> float:
        return 1.0


@rates.register("linear")
class Linear(Rate):
    """Linear, to zero at the end."""

    def factor(self, progress: float) -> float:
        return 1 - progress


@rates.register("cosine")
class Cosine(Rate):
    """Half a cosine, to the share `end` of the first rate (Loshchilov and Hutter, 2017)."""

    def __init__(self, end: float = 0.0) -> None:
        self.end = end

    def check(self) -> None:
        check_number(self, "end", at_least=0, at_most=1)

    def factor(self, progress: float) -> float:
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * progress)) / 2


@rates.register("cooldown")
class Cooldown(Rate):
    """Constant in the first half, then linear to zero (Hinton's code, 2022)."""

    def factor(self, progress: float) -> float:
        return min(1.0, 2 * (1 - progress))


@rates.register("drops")
class Drops(Rate):
    """Constant between drops `at` shares of the stage, each to a `share` of the rate before.

    The default is that of Nøkland and Eidnes (2019).
    """

    def __init__(self, at: Sequence[float] = (0.5, 0.75, 0.89, 0.94), share: float = 0.25) -> None:
        self.at = at
        self.share = share

    def check(self) -> None:
        check_number(self, "share", at_least=0, at_most=1)
        listed = isinstance(self.at, (list, tuple, np.ndarray)) and len(self.at) > 0
        if not listed or not all(is_number(at) and 0 <= at <= 1 for at in self.at):
            raise ValueError(
                f"Drops(at={brief(self.at)}) names no shares of a training; give a list of numbers "
                f"from 0 to 1, such as [0.5, 0.75]."
            )

    def factor(self, progress: float) -> float:
        return float(self.share ** sum(progress >= at for at in self.at))


@rates.register("invscaling")
class InvScaling(Rate):
    """(1 + t / `updates`) to the minus `power` after t updates of a stage, without an end.

    The default has halved after 300 updates, and a tenth is left after 9,900.
    """

    endless = True

    def __init__(self, power: float = 0.5, updates: float = 100) -> None:
        self.power = power
        self.updates = updates

    def check(self) -> None:
        check_number(self, "power", above=0)
        check_number(self, "updates", above=0)

    def factor(self, progress: float) -> float:
        return (1 + progress / self.updates) ** -self.power


def checked_rate(value: Any) -> Rate:
    """The course of the rate that `value` means: a name, or an object."""
    rate = rates.get(value)
    rate.check()
    return rate
