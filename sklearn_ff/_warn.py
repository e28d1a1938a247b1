"""Warnings that refer to the user's line, also through other libraries."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

BETWEEN = {"sklearn_ff", "sklearn", "skorch", "torch", "joblib", "contextlib", "threading"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning for the nearest line outside this package and the libraries that it uses."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package(frame) in BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def pointed(name: str = "X") -> Iterator[None]:
    """Warnings of other libraries inside are issued at the user's line, and are about `name`."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield
    for one in found:
        warn(re.sub(r"\bX\b", name, str(one.message)), one.category)


def _package(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]
