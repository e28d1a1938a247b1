"""The source of the random numbers of a fit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

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

    def copy(self) -> Draws:
        """A source with the same state, which does not advance this one."""
        generator = torch.Generator(self.device).set_state(self.generator.get_state())
        return Draws(generator, self.device, self.dtype)

    def seed(self) -> int:
        """A seed for another generator."""
        return int(torch.randint(2**31, (1,), generator=self.generator, device=self.device).item())

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device, dtype=self.dtype)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device, dtype=self.dtype)

    def permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator, device=self.device)
