"""The strangeness of a row: its distance from the nearest of some rows, by the spacing of these."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

MOST_ROWS = 5000  # that distances are measured from
NEIGHBOURS = 5  # whose mean distance is the spacing of a row
MEBIBYTES = 64  # for distances at once
LEAST_SPACING = 1e-3  # of the mean spacing, for rows that are repeated
# Of the size of the rows: a distance below it is rounding. The last digits of activations depend on
# the rest of a batch, and whitening amplifies this, to up to 2e-4 of the size.
ALIKE = 1e-3


def some_of(X: Any, random: RandomState) -> Any:
    """The rows X, or as many of them as distances are measured from."""
    if X.shape[0] <= MOST_ROWS:
        return X
    return X[np.sort(random.permutation(X.shape[0])[:MOST_ROWS])]


def with_spacing(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows in single precision, and the distance of each from others around it."""
    rows = rows.astype(np.float32)
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(rows) - 1)).fit(rows)
    spacing = nearest.kneighbors()[0].mean(1)
    return rows, np.maximum(spacing, max(LEAST_SPACING * spacing.mean(), rounding(rows)))


def rounding(rows: np.ndarray) -> float:
    """The distance below which rows count as equal."""
    size = np.sqrt(np.square(rows, dtype=float).sum(1).mean())
    return ALIKE * float(size or 1.0)


def strangeness(neighbours: np.ndarray, spacing: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The least of d · (d / s) over the neighbours, for distance d and spacing s.

    It is the product of the distance and of the distance relative to others there.
    """
    alike = rounding(neighbours)

    def least(distances: np.ndarray, start: int) -> np.ndarray:
        distances[distances < alike] = 0
        return (distances**2 / spacing).min(1)

    chunks: Any = pairwise_distances_chunked(
        rows, neighbours, reduce_func=least, working_memory=MEBIBYTES
    )
    return np.concatenate([*chunks])
