"""Random variations of training images, drawn anew in every batch; prediction uses none.

The contract. An augmentation is called as (images, draws) -> images: raw images of shape (rows,
channels, height, width), in the units of X, and a source of random numbers; it returns images of
the same shape. The images are a copy, which may be overwritten. A callable on one image, such as a
transform of torchvision.transforms.v2, serves too: it is applied to each image separately. The
entries of a list act in turn, each on what the one before returned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ._draws import Draws, global_draws
from ._parts import (
    Family,
    Part,
    check_number,
    checked_finite,
    checked_like,
    checked_shape,
)
from ._typing import Function

__all__ = ["Augmentation", "Flips", "PerImage", "Rotations", "Shifts", "Views", "augmentations"]


class Augmentation(Part):
    """Base of an augmentation; see the module's docstring for the contract."""

    keeps_finite = False  # whether its images are finite as those given are; not inherited

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        raise self.undefined("__call__")


class PerImage(Augmentation):
    """A user's `transform` of one image, (channels, height, width) -> the same shape.

    torchvision's transforms draw from torch's global generator. For the time of a batch it is
    seeded from the fit's generator, then restored; other threads that use it wait.
    """

    def __init__(self, transform: Function) -> None:
        self.transform = transform

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        with global_draws(seed_of(draws), images.device):
            varied = [self.transform(image.clone()) for image in images]
        for image in varied:
            checked_shape(image, images.shape[1:], "augmentation", "an image of the shape given")
        return torch.stack(varied).to(images.dtype)


def seed_of(draws: Draws) -> int:
    """A seed for another generator."""
    return int(draws.uniform(1).item() * 2**24)


class InTurn(Augmentation):
    """What a list means: its `parts`, one after another, each of which is looked at."""

    keeps_finite = True

    def __init__(self, parts: Sequence[Augmentation]) -> None:
        self.parts = parts

    def check(self) -> None:
        if not self.parts:
            raise ValueError(
                "augmentation=[] names no variation of images; name one or more, or set None."
            )
        for part in self.parts:
            part.check()

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        for index, part in enumerate(self.parts):
            try:
                images = varied(part, images, draws)
            except ValueError as error:
                raise ValueError(f"augmentation[{index}] cannot be used: {error}") from error
        return images


def varied(augmentation: Augmentation, images: Tensor, draws: Draws) -> Tensor:
    """What an augmentation returns; ValueError unless it is images of the shape given."""
    view = augmentation(images, draws)
    checked_like(view, images, images.shape, "augmentation", "images of the shape given")
    if vars(type(augmentation)).get("keeps_finite", False):
        return view  # to look at its values would wait for the device
    return checked_finite(view, "augmentation", "images")


augmentations = Family("augmentation", Augmentation, PerImage, "(image) -> image", in_turn=InTurn)


@augmentations.register("shifts")
class Shifts(Augmentation):
    """Images moved by up to `max_pixels` along both axes, with equal chances (Hinton, 2022).

    An axis with fewer pixels moves by at most one less than it has, so part of the image stays in
    sight. Pixels from outside have the value `fill`. A batch is moved at once; torchvision's
    RandomCrop, image by image, takes 15 times as long for images of 28 x 28 pixels.
    """

    keeps_finite = True

    def __init__(self, max_pixels: int = 2, fill: float = 0.0) -> None:
        self.max_pixels = max_pixels
        self.fill = fill

    def check(self) -> None:
        check_number(self, "max_pixels", at_least=1, whole=True)
        check_number(self, "fill")

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        n, _, height, width = images.shape
        if self.max_pixels >= max(height, width):
            raise ValueError(
                f"{self!r} moves images of {height} x {width} pixels out of sight; give fewer "
                f"pixels."
            )
        down, across = (min(self.max_pixels, size - 1) for size in (height, width))
        padded = F.pad(images, (across, across, down, down), value=float(self.fill))
        top, left = (
            (u * (2 * most + 1)).long().clamp_max(2 * most)
            for u, most in zip(draws.uniform(2, n), (down, across), strict=True)
        )
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view of all shifts
        return windows[torch.arange(n, device=top.device), :, top, left]


@augmentations.register("flips")
class Flips(Augmentation):
    """Each image mirrored left to right with a `probability`, the whole batch at once.

    It suits images whose mirror images have the same label, such as photographs, but not digits or
    letters.
    """

    keeps_finite = True

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probability

    def check(self) -> None:
        check_number(self, "probability", above=0, at_most=1)

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        mirrored = draws.uniform(len(images), 1, 1, 1) < self.probability
        return torch.where(mirrored, images.flip(-1), images)


@augmentations.register("rotations")
class Rotations(Augmentation):
    """Images turned about their centre by up to `max_degrees` either way, with equal chances.

    Pixels are interpolated between the nearest four; those from outside have the value `fill`. The
    whole batch is turned at once.
    """

    keeps_finite = True

    def __init__(self, max_degrees: float = 15.0, fill: float = 0.0) -> None:
        self.max_degrees = max_degrees
        self.fill = fill

    def check(self) -> None:
        check_number(self, "max_degrees", above=0, at_most=180)
        check_number(self, "fill")

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        n, _, height, width = images.shape
        turn = (2 * draws.uniform(n).to(images.dtype) - 1) * math.radians(self.max_degrees)
        cos, sin, none = turn.cos(), turn.sin(), torch.zeros_like(turn)
        aspect = height / width  # both axes of the grid are of length 2
        rows = [cos, -sin * aspect, none], [sin / aspect, cos, none]
        matrix = torch.stack([torch.stack(row, 1) for row in rows], 1)
        places = F.affine_grid(matrix, list(images.shape), align_corners=False)
        return F.grid_sample(images - self.fill, places, align_corners=False) + self.fill


class Views:
    """Raw rows -> varied rows: one view of each row, or `n` views, (rows, n, features)."""

    def __init__(
        self, augmentation: Augmentation, image_shape: Any, draws: Draws, n: int = 1
    ) -> None:
        self.augmentation, self.image_shape, self.draws, self.n = (
            augmentation,
            image_shape,
            draws,
            n,
        )

    def __call__(self, x: Tensor) -> Tensor:
        images = x.view(len(x), *self.image_shape)
        # Of a copy, since `images` may be the training rows themselves.
        views = [varied(self.augmentation, images.clone(), self.draws) for _ in range(self.n)]
        views = [view.flatten(1) for view in views]
        return views[0] if self.n == 1 else torch.stack(views, 1)
