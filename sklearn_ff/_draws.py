"""The source of the random numbers of a fit."""

import torch

__all__ = ["Draws"]


class Draws:
    """Random numbers of a fit, from a local generator.

    `weight` holds the weights of the rows of a batch, or None where all weigh the same.
    """

    def __init__(self, generator, device, dtype=torch.float32, weight=None):
        self.generator, self.device, self.dtype = generator, device, dtype
        self.weight = weight

    def by(self, weight):
        """The same source, for a batch whose rows have these weights."""
        return Draws(self.generator, self.device, self.dtype, weight)

    def copy(self):
        """A source with the same state, which does not advance this one."""
        generator = torch.Generator(self.device).set_state(self.generator.get_state())
        return Draws(generator, self.device, self.dtype)

    def uniform(self, *shape):
        return torch.rand(shape, generator=self.generator, device=self.device, dtype=self.dtype)

    def normal(self, *shape):
        return torch.randn(shape, generator=self.generator, device=self.device, dtype=self.dtype)

    def permutation(self, n):
        return torch.randperm(n, generator=self.generator, device=self.device)
