"""Columns whose scale further calls of `partial_fit` fix or move.

The rows of the first fit, or of the first call of `partial_fit`, fix the scale. It stays open while
these rows are not enough: while fewer than ten rows have come, or no column has varied, every
further call fixes it anew from all rows so far; after that, a column that has been constant takes
its scale from the first call in which it varies. Its rows before that count as one row.

"running" is "standard" whose scale never settles: every further call moves it to the statistics of
all rows so far. There the rows of earlier calls count as at most nine times as many as those of the
call, or as 1,000 where these are more, so that the scale follows columns that drift.
"""

from typing import NamedTuple

import numpy as np

from ._scaling import Columns, Scaler, column_statistics, merged, rarity, scaler_of

__all__ = ["OpenColumns", "open_columns"]

RECENT = 9, 1_000  # as many rows as in a call, or rows, that earlier ones count as at most
SETTLED = 10  # rows of a column that varies, after which its scale is fixed


def recent(before, new):
    """Statistics of earlier rows, which count as no more than makes them recent beside new ones."""
    times, rows = RECENT
    most = new.weight * np.maximum(times, rows / new.n_rows)
    share = np.minimum(1, most / before.weight)
    return before._replace(n_rows=before.n_rows * share, weight=before.weight * share)


class OpenColumns(NamedTuple):
    """Columns whose scale is not fixed yet, and what is known of them.

    `whole` is whether these are all, the kind of scaling included. If not, `unit` is what the
    deviation of a column is multiplied by, or, if `shared`, what takes its place, and `rare`
    the product of divisor and rarity in columns of mostly zeros, if there are such.
    """

    index: np.ndarray  # type: ignore[assignment]  # hides a method of tuple, which has no use here
    columns: Columns
    whole: bool
    unit: float = 1.0
    shared: bool = False
    rare: float | None = None

    def settled(self, X, weight, scaler, kind, scaling):
        """The scaler with these columns as further rows show them, its kind, and what stays open.

        Also the root mean square of the scaled rows where everything is new, else None.
        """
        new = column_statistics(X, weight).take(self.index)
        columns = merged(recent(self.columns, new) if kind == "running" else self.columns, new)
        if self.whole:
            scaler, kind, rms = scaler_of(columns, scaling)
            anew = None if kind == "running" else rms  # what follows from the first scale stays
            return scaler, kind, anew, open_columns(scaler, kind, columns)
        state = {name: np.array(value) for name, value in scaler.items()}
        varies = ~columns.constant
        state["anchor"][:, self.index] = columns.anchor
        state["shift"][self.index] = columns.mean
        divisor = columns.deviation * (not self.shared) + self.shared
        state["divisor"][self.index[varies]] = (self.unit * divisor)[varies]
        if self.rare is not None:
            columns = columns._replace(alike=self.columns.alike)  # as for the other columns
            rare = self.index[columns.shown < 0.5]
            state["anchor"][:, rare], state["shift"][rare] = 0.0, 0.0
            state["divisor"][rare] = self.rare / rarity(columns)[columns.shown < 0.5]
        rest = columns.constant | (columns.n_rows < SETTLED)
        left = self._replace(index=self.index[rest], columns=columns.take(rest))
        return Scaler(**state), kind, None, left if rest.any() else None


def open_columns(scaler, kind, columns):
    """The columns that the rows so far leave open, or None."""
    varies = ~columns.constant
    every = np.arange(len(varies))
    if kind == "running" or not varies.any() or columns.n_rows[varies].max() < SETTLED:
        return OpenColumns(every, columns, True)
    if kind in (None, "global"):
        return None
    _, _, divisor = scaler.exact
    rare = (columns.shown < 0.5) & (kind == "sparse")
    index = every[columns.constant & ~rare]
    if not len(index):
        return None
    shared, known = kind == "shared", varies & ~rare
    own = divisor[known] / (1.0 if shared else columns.deviation[known])
    return OpenColumns(
        index,
        columns.take(index),
        False,
        float(own[0]) if len(own) else 1.0,
        shared,
        float((divisor * rarity(columns))[rare][0]) if rare.any() else None,
    )
