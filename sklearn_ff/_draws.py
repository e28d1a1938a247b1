"""The source of the random numbers of a fit."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

__all__ = ["Draws", "global_draws"]

_alone = threading.RLock()


@contextmanager
def global_draws(seed: int, device: str | torch.device = "cpu") -> Iterator[None]:
    """torch's global generators seeded for a block, and afterwards as before it.

    It is for code that draws from no other source. Other threads that use it wait.
    """
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with _alone, torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed reaches every device
        for one in devices:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        yield


def generator_of(state: Tensor, device: str | torch.device) -> torch.Generator:
    """A generator with this state, or seeded by the state of one on a device of another kind."""
    generator = torch.Generator(device)
    if len(state) == len(generator.get_state()):
        return generator.set_state(state)
    return generator.manual_seed(zlib.crc32(state.numpy().tobytes()))


class Draws:
    """Random numbers of a fit, from a local generator.

    `weight` holds the weights of the rows of a batch, or None where all weigh the same.
    """

    def __init__(
        self,
        generator: torch.Generator,
        device: str | torch.device,
        dtype: torch.dtype = torch.float32,
        weight: Tensor | None = None,
    ) -> None:
        self.generator, self.device, self.dtype = generator, device, dtype
        self.weight = weight

    def by(self, weight: Tensor | None) -> Draws:
        """The same source, for a batch whose rows have these weights."""
        return Draws(self.generator, self.device, self.dtype, weight)

    def copy(self, device: str | torch.device | None = None) -> Draws:
        """A source with the same state, which does not advance this one.

        On a `device` of another kind, whose generators have other states, it is seeded by this one.
        """
        device = self.device if device is None else device
        return Draws(generator_of(self.generator.get_state(), device), device, self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        """Plain values, so that pickles cross devices."""
        return {**vars(self), "generator": self.generator.get_state().numpy(), "weight": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        known = torch.from_numpy(state["generator"].copy())
        try:
            torch.empty(0, device=self.device)
            self.generator = generator_of(known, self.device)
        except (RuntimeError, AssertionError):  # this machine lacks the device
            self.device, self.generator = "cpu", generator_of(known, "cpu")

    def seed(self) -> int:
        """A seed for another generator."""
        return int(torch.randint(2**31, (1,), generator=self.generator, device=self.device).item())

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device, dtype=self.dtype)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device, dtype=self.dtype)

    def permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator, device=self.device)
