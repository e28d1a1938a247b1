"""How training images are varied, anew in every batch; what is predicted is never varied.

The contract. An augmentation is called as (images, draws) -> images: raw images of shape (rows,
channels, height, width), in the units of X, and a source of random numbers; it returns images of
the same shape. A callable on one image, such as a transform of torchvision.transforms.v2, serves
too: it is applied to every image by itself.
"""

import threading

import torch
from torch.nn import functional as F

from ._parts import (
    Family,
    Part,
    check_number,
    checked_finite,
    checked_like,
    checked_shape,
)

__all__ = ["Augmentation", "PerImage", "Shifts", "Views", "augmentations"]


class Augmentation(Part):
    """Base of an augmentation; see the module's docstring for the contract."""

    def __call__(self, images, draws):
        raise NotImplementedError


class PerImage(Augmentation):
    """A user's `transform` of one image, (channels, height, width) -> the same shape.

    torchvision's transforms draw from torch's global generator. It is seeded from the fit's own for
    the time of a batch, and restored; a lock keeps other threads' transforms out meanwhile.
    """

    _lock = threading.Lock()

    def __init__(self, transform):
        self.transform = transform

    def __call__(self, images, draws):
        devices = [images.device] if images.is_cuda else []
        with self._lock, torch.random.fork_rng(devices):
            torch.manual_seed(seed_of(draws))
            varied = [self.transform(image.clone()) for image in images]
        for image in varied:
            checked_shape(image, images.shape[1:], "augmentation", "an image of the shape given")
        return torch.stack(varied).to(images.dtype)


def seed_of(draws):
    """A whole number for another generator."""
    return int(draws.uniform(1).item() * 2**24)


augmentations = Family("augmentation", Augmentation, PerImage, "(image) -> image")


@augmentations.register("shifts")
class Shifts(Augmentation):
    """Images moved by up to `max_pixels` along both axes, by chance (Hinton, 2022).

    An axis of fewer pixels moves by one less than it has, and one of a single pixel not at all, so
    that something stays in sight. What moves in from outside has the value `fill`. A batch is moved
    at once; image by image, torchvision's RandomCrop takes about a hundred times as long.
    """

    def __init__(self, max_pixels=2, fill=0.0):
        self.max_pixels = max_pixels
        self.fill = fill

    def check(self):
        check_number(self, "max_pixels", at_least=1, whole=True)
        check_number(self, "fill")

    def __call__(self, images, draws):
        n, _, height, width = images.shape
        if self.max_pixels >= max(height, width):
            raise ValueError(
                f"{self!r} moves images of {height} x {width} pixels out of sight; give fewer "
                f"pixels."
            )
        down, across = (min(self.max_pixels, size - 1) for size in (height, width))
        padded = F.pad(images, (across, across, down, down), value=float(self.fill))
        most = torch.tensor([[2 * down], [2 * across]], device=images.device)
        top, left = torch.minimum((draws.uniform(2, n) * (most + 1)).long(), most)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view, of all shifts
        return windows[torch.arange(n, device=top.device), :, top, left]


class Views:
    """Raw rows -> what is learned from: one varied view of each, or `n`, (rows, n, features)."""

    def __init__(self, augmentation, image_shape, draws, n=1):
        self.augmentation, self.image_shape, self.draws, self.n = (
            augmentation,
            image_shape,
            draws,
            n,
        )

    def __call__(self, x):
        images = x.view(len(x), *self.image_shape)
        views = [self._view(images).flatten(1) for _ in range(self.n)]
        return views[0] if self.n == 1 else torch.stack(views, 1)

    def _view(self, images):
        view = self.augmentation(images, self.draws)
        checked_like(view, images, images.shape, "augmentation", "images of the shape given")
        return checked_finite(view, "augmentation", "images")
