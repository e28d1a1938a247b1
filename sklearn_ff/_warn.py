"""Warnings that refer to the user's line, also through other libraries."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

BETWEEN = {"sklearn_ff", "sklearn", "skorch", "torch", "joblib", "contextlib", "threading"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning for the nearest line outside this package and the libraries that it uses."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package(frame) in BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _package(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]
