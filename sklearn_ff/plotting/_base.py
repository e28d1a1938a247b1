"""What the displays share: the estimator inside of others, rows as images, axes."""

from __future__ import annotations

from math import isqrt, prod
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._base import BaseFF


def pyplot(caller: str) -> Any:
    """matplotlib.pyplot, imported when something is drawn."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which cannot be imported; install it by `pip install "
            f"matplotlib`."
        ) from error
    return plt


def unwrapped(estimator: Any) -> tuple[Any, BaseFF]:
    """The steps before a fitted Forward-Forward estimator, or None, and this estimator.

    It may be the last step of a pipeline, the best estimator of a search, or the transformer of a
    detector of outliers.
    """
    check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        return unwrapped(estimator.best_estimator_)
    if isinstance(getattr(estimator, "transformer_", None), BaseFF):
        return unwrapped(estimator.transformer_)
    if isinstance(estimator, Pipeline):
        before, last = estimator[:-1], estimator[-1]
        inner, found = unwrapped(last)
        if inner is not None:
            before = Pipeline([*before.steps, *inner.steps])
        return (before if len(before) else None), found
    if not isinstance(estimator, BaseFF):
        raise TypeError(
            f"{type(estimator).__name__} is not an estimator of sklearn_ff, nor a pipeline that "
            f"ends with one; give one of these."
        )
    return None, estimator


def prepared(before: Any, X: Any) -> Any:
    """Rows as the estimator gets them, after the steps before it."""
    return X if before is None else before.transform(X)


def dense(X: Any) -> np.ndarray:
    """Rows as an array of floats."""
    return np.asarray(X.toarray() if issparse(X) else X, dtype=float)


def as_image_shape(
    n_features: int, image_shape: Any, guess: Any = None, names: Any = None
) -> tuple[int, ...] | None:
    """(channels, height, width) of rows: as given, as `guess`, of a square; None if there is none.

    `guess` counts only where it has as many pixels as rows have columns. Columns whose `names` do
    not begin alike, as pixel1 and pixel2 do, are those of a table.
    """
    if image_shape is not None:
        shape = tuple(int(n) for n in image_shape)
        shape = (1, *shape) if len(shape) == 2 else shape
        if len(shape) != 3 or prod(shape) != n_features:
            raise ValueError(
                f"image_shape={image_shape!r} does not describe rows of {n_features} columns; give "
                f"(height, width) or (channels, height, width) with this product."
            )
        return shape
    if guess is not None and prod(guess) == n_features:
        return tuple(guess)
    if names is not None and len({str(name)[:1] for name in names}) > 1:
        return None
    side = isqrt(n_features)
    return (1, side, side) if side > 1 and side**2 == n_features else None


def as_pictures(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Rows as (rows, height, width), or (rows, height, width, 3) if there are three channels.

    Any other number of channels stands side by side.
    """
    channels, height, width = shape
    images = rows.reshape(-1, channels, height, width)
    if channels == 3:
        return images.transpose(0, 2, 3, 1)
    return images.transpose(0, 2, 1, 3).reshape(-1, height, channels * width)


def many_axes(caller: str, ax: Any, n: int, size: tuple[float, float], n_columns: int) -> Any:
    """An array of `n` axes: those given, or those of a new figure with cells of this size."""
    if ax is not None:
        axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(axes) != n:
            raise ValueError(
                f"{caller} draws {n} panels, but ax holds {len(axes)} axes; give as many axes, or "
                f"leave ax out."
            )
        return axes
    n_columns = min(n, n_columns)
    n_rows = -(-n // n_columns)
    _, axes = pyplot(caller).subplots(
        n_rows,
        n_columns,
        figsize=(size[0] * n_columns, size[1] * n_rows),
        squeeze=False,
        layout="constrained",
    )
    for unused in axes.ravel()[n:]:
        unused.remove()
    return axes.ravel()[:n]


def one_axes(caller: str, ax: Any, size: tuple[float, float]) -> Any:
    """The axes that are given, or those of a new figure."""
    if ax is None:
        _, ax = pyplot(caller).subplots(figsize=size, layout="constrained")
    return ax


def drop_frame(ax: Any, *sides: str) -> None:
    """Without the lines around axes that carry no information."""
    ax.spines[[*(sides or ("top", "right"))]].set_visible(False)


def whole_numbers(axis: Any) -> None:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))
