"""The processes of a fit, and what they tell each other, by `torch.distributed`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from threading import Thread
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from .._parts import is_number
from .._ranks import Alone
from ..core.callbacks import StopStage, StopTraining
from ..exceptions import RankError

HALF = np.uint64(2**63)
LONGEST = 50.0  # seconds that a rank waits for another: all have ended within a minute
SLACK = 3.0  # seconds for which an error that is about to come is waited for


@contextmanager
def joined_ranks(timeout: float) -> Iterator[Group | None]:
    """The group of all ranks; None in a program that was started as one process.

    The end of the block, also by an error, closes the connections, so that ranks which still wait
    end too.
    """
    if not (is_number(timeout) and timeout > 0):
        raise ValueError(f"timeout={timeout!r} must be a positive number of seconds.")
    if not dist.is_initialized() and "RANK" not in os.environ:
        yield None
        return
    with lost():
        if not dist.is_initialized():  # and stays so: torchrun's store serves one beginning
            start(timeout)
        group = Group(timeout)
    try:
        yield group
    finally:
        group.close()


def start(timeout: float, **place: Any) -> None:
    """Begin at a `place`, or as `torchrun` tells it, on a GPU of its own where there are some."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    backend = "cpu:gloo,cuda:nccl" if on_gpu and dist.is_nccl_available() else "gloo"
    try:
        within(timeout, dist.init_process_group, backend, **place)
    except Exception:
        # One of this process alone resets torch's count of groups, by which ranks find each other.
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        dist.destroy_process_group()
        raise


def within(timeout: float, connect: Callable[..., Any], backend: str, **place: Any) -> Any:
    """What connects ranks, as a function returns it; TimeoutError where it takes longer.

    It is left alone then: gloo tries for five times as long to reach a rank that has given up.
    """
    found: Future[Any] = Future()

    def run() -> None:
        group = error = None
        try:
            group = connect(backend=backend, timeout=timedelta(seconds=timeout), **place)
        except BaseException as failed:
            error = failed
        awaited = found.set_running_or_notify_cancel()
        if awaited and error is not None:
            found.set_exception(error)
        elif awaited:
            found.set_result(group)
        elif error is None:
            dist.destroy_process_group(group)

    Thread(target=run, daemon=True).start()
    try:
        return found.result(timeout + SLACK)
    finally:
        found.cancel()


@contextmanager
def lost() -> Iterator[None]:
    """Turn a failed exchange into a RankError."""
    try:
        yield
    except (RuntimeError, TimeoutError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        said = said.rpartition("] ")[2]  # without the place in gloo's source
        raise RankError(
            f"Another rank has failed or cannot be reached, and the fit has ended here too "
            f"({said}). See the error of that rank; a fit with a Checkpoint goes on from its last "
            f"file."
        ) from error


class Group:
    """All ranks, in connections of their own, which wait `timeout` seconds at most."""

    def __init__(self, timeout: float) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.connected = partial(within, timeout, dist.new_group)
        self.groups = {"gloo": self.connected("gloo")}

    def close(self) -> None:
        for group in self.groups.values():
            with suppress(RuntimeError, ValueError):
                dist.destroy_process_group(group)
        self.groups = {}

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def plain(self) -> Any:
        """The connections of processors."""
        return self.groups["gloo"]

    def beside(self, tensor: Tensor) -> Any:
        """The connections of the tensor's device."""
        if tensor.device.type != "cuda" or not dist.is_nccl_available():
            return self.plain
        if "nccl" not in self.groups:
            self.groups["nccl"] = self.connected("nccl")
        return self.groups["nccl"]

    # Exchanges, which every rank makes in the same order ------------------------------------------

    def reduce(self, tensor: Tensor, kind: Any = dist.ReduceOp.SUM) -> Tensor:
        """The tensor, overwritten by its sum over all ranks, or by what `kind` says."""
        with lost(), torch.no_grad():
            dist.all_reduce(tensor, kind, group=self.beside(tensor))
        return tensor

    def arrays(self, values: Any, kind: Any) -> Any:
        """An array or a number, reduced over all ranks."""
        found = self.reduce(torch.from_numpy(np.array(values)), kind).numpy()
        return found if found.ndim else found[()]

    def extremes(self, values: Any, kind: Any) -> Any:
        """As `arrays`, for integers of any kind, of which gloo compares a few only."""
        values = np.asarray(values)
        if values.dtype.kind not in "iu":
            return self.arrays(values, kind)
        if values.dtype == np.uint64:  # in the order of signed integers
            return self.arrays((values ^ HALF).view(np.int64), kind).view(np.uint64) ^ HALF
        return self.arrays(values.astype(np.int64), kind).astype(values.dtype)

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order, on every one."""
        found: list[Any] = [None] * self.size
        with lost():
            dist.all_gather_object(found, value, group=self.plain)
        return found

    def gather_first(self, value: Any) -> list[Any] | None:
        """The values of all ranks, in their order, on the first; None on the others."""
        found: list[Any] | None = [None] * self.size if self.first else None
        with lost():
            dist.gather_object(value, found, dst=0, group=self.plain)
        return found

    def from_first(self, function: Callable[[], Any]) -> Any:
        """What a function returns on the first rank."""
        found = [function() if self.first else None]
        with lost():
            dist.broadcast_object_list(found, src=0, group=self.plain)
        return found[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block in which ranks exchange nothing: an error of one is raised on all."""
        error: Exception | None = None
        try:
            yield
        except Exception as own:
            error = own
        told = self.gather(None if error is None else str(error) or type(error).__name__)
        if error is not None:
            raise error
        for rank, message in enumerate(told):
            if message is not None:
                raise RankError(f"Rank {rank} has failed: {message}")


class Ranks(Alone):
    """Several ranks of a fit, which end their epochs together."""

    alone = False

    def __init__(self, group: Group) -> None:
        self.group, self.first = group, group.first

    def end(self, net: Any, end: Exception | None) -> Exception | None:
        """What one rank asks for is done by all."""
        asked = 0 if end is None else 1 if isinstance(end, StopStage) else 2
        most = self.most(asked)
        return end if asked == most else StopStage() if most == 1 else StopTraining()

    def summed(self, values: Any) -> Any:
        return self.group.arrays(values, dist.ReduceOp.SUM)

    def least(self, values: Any) -> Any:
        return self.group.extremes(values, dist.ReduceOp.MIN)

    def most(self, values: Any) -> Any:
        if isinstance(values, np.ndarray):
            return self.group.extremes(values, dist.ReduceOp.MAX)
        return max(self.group.gather(values))

    def from_first(self, function: Callable[[], Any]) -> Any:
        return self.group.from_first(function)

    def joined(self, value: Any) -> list[Any]:
        return self.group.gather(value)
