"""Rows as images: checks of shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._parts import is_number
from ._typing import Shape
from ._warn import warn


def is_image_shape(shape: Any) -> bool:
    """Whether this is (channels, height, width)."""
    three = isinstance(shape, (tuple, list, np.ndarray)) and len(shape) == 3
    return three and all(is_number(n, whole=True) and n > 0 for n in shape)


def checked_image_shape(shape: Any, n_features: int) -> Shape | None:
    """(channels, height, width), if that is what `shape` is and the rows have so many columns."""
    if shape is None:
        return None
    if not is_image_shape(shape):
        raise ValueError(
            f"image_shape={shape!r} is no shape of an image; give (channels, height, width), such "
            f"as (1, 28, 28)."
        )
    channels, height, width = (int(n) for n in shape)
    if channels * height * width != n_features:
        raise ValueError(
            f"image_shape={tuple(shape)!r} means {channels * height * width} pixels, but X has "
            f"{n_features} features; give (channels, height, width) of the images in X."
        )
    if min(channels, height) > 4 >= width:
        warn(
            f"image_shape={tuple(shape)!r} means {channels} channels of {height} x {width} pixels; "
            f"channels come first, so give ({width}, {channels}, {height}) if X holds images of "
            f"{channels} x {height}."
        )
    return channels, height, width


def told_shape(part: Any, shape: Any, n_features: int) -> Any:
    """A part that reads rows as images of the estimator's `shape`, or of its own shape, if any."""
    own = checked_image_shape(getattr(part, "image_shape", None), n_features)
    if own is not None and own != (shape or own):
        raise ValueError(
            f"{part!r} reads rows as other images than image_shape={shape!r}; give the shape once, "
            f"to the estimator."
        )
    return part if own is not None or shape is None else part.for_images(shape)
