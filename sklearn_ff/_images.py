"""How a row is read as an image."""

import numpy as np

from ._parts import is_number


def is_image_shape(shape):
    """Whether this is (channels, height, width)."""
    three = isinstance(shape, (tuple, list, np.ndarray)) and len(shape) == 3
    return three and all(is_number(n, whole=True) and n > 0 for n in shape)
