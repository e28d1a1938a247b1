"""Columns brought to one scale, from statistics of the training rows alone.

"standard" centres every column and divides it by its own standard deviation; "shared" centres every
column and divides all by one number, the root mean square of what is then left; "global"
centres and divides all columns by one mean and one deviation, as if they were one; None changes
nothing, except that values beyond 2^40, whose squares float32 could not sum, are divided by one
power of two for all columns; "sparse" leaves zeros as they are: columns of mostly zero entries are
divided by one number, the root mean square of what is not zero, so that rare words are not blown
up, and the others are scaled as by "standard". "auto" is "sparse" if at least nine tenths of all
entries are zero and no column of mostly zeros holds nine tenths of their sum of squares, "shared"
if at least half of the columns that vary span at least half of the widest column's range, as pixels
do, and "standard" otherwise; rows in a sparse container and the same rows dense are scaled alike.

Rows are centred and divided in double precision, whatever the network computes in, so that a column
that varies little around a large value keeps what it tells. A column is constant if its values are
equal up to a rounding of the last digit of their own dtype; those of integers must be equal.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse
from torch import nn

__all__ = ["Scaler", "largest", "scaler_for"]

# A row with a scaled value beyond this, far from all that was trained on, is shortened to it as a
# whole, so that its direction stays, and squares and their sums are finite in float32.
LIMIT = 1e6
# The same where columns are not scaled: what float32 can square, sum and weigh. If training rows
# go beyond it, all are divided by one power of two.
UNSCALED_LIMIT = 2.0**40
BLOCK_BYTES = 2**25


class Scaler(nn.Module):
    """(x − anchor − shift) / divisor, rows with a value beyond ±limit shortened to it.

    `anchor`, (2, columns), is a value of each column in two parts: together they hold what one
    float64 cannot, a large integer. `scaled` computes in float64, from numbers kept as they are;
    `forward` in the dtype of the network, whose buffers `shift` and `divisor` are rounded to it.
    """

    def __init__(self, shift, divisor, anchor=None, limit=LIMIT):
        super().__init__()
        anchor = np.zeros((2, len(shift))) if anchor is None else anchor
        self.exact, self.limit = (anchor, shift, divisor), float(limit)
        self.register_buffer("shift", torch.tensor(anchor.sum(0) + shift))
        self.register_buffer("divisor", torch.tensor(divisor))

    def state(self):
        """What makes an equal scaler: numpy arrays and plain values."""
        anchor, shift, divisor = self.exact
        return {"shift": shift, "divisor": divisor, "anchor": anchor, "limit": self.limit}

    def forward(self, x):
        """Tensors that are already in the dtype of the network, such as varied images."""
        most = torch.finfo(x.dtype).max
        z = x.sub(self.shift).div_(self.divisor).clamp_(-most, most)
        return z.mul_((self.limit / z.abs().amax(-1, keepdim=True)).clamp_(max=1))

    def scaled(self, rows):
        """Numpy or sparse rows of any numeric dtype, dense and in float64."""
        anchor, shift, divisor = self.exact
        z = deviations(rows.toarray() if issparse(rows) else rows, anchor)
        z -= shift
        with np.errstate(over="ignore"):
            z /= divisor
        if z.size and max(z.max(), -z.min()) > self.limit:
            shorten(z, self.limit)
        return z


def deviations(rows, anchor):
    """x − anchor in float64, exact where the two are close, whatever the dtype of the rows."""
    high, low = anchor
    if rows.dtype.kind in "iu" and rows.dtype.itemsize == 8:
        z = (rows >> 32) * 2.0**32
        z -= high
        z += (rows & 0xFFFFFFFF) - low
        return z
    z = rows.astype(np.float64)
    z -= high
    if low.any():
        z -= low
    return z


def anchored(values):
    """Numbers of any dtype in two parts, (2, columns), whose sum is exact."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        return np.stack([(values >> 32) * 2.0**32, (values & 0xFFFFFFFF).astype(np.float64)])
    high = values.astype(np.float64)
    return np.stack([high, np.zeros_like(high)])


def shorten(z, limit):
    """Bring rows with a value beyond ±limit back to it as a whole, in place."""
    most = np.finfo(z.dtype).max
    np.clip(z, -most, most, out=z)
    z *= np.minimum(1, limit / np.maximum(np.abs(z).max(1, keepdims=True), limit))


def scaler_for(X, weight, scaling):
    """The scaler for the rows X, its kind, and the root mean square of the scaled rows."""
    columns = column_statistics(X, weight)
    if scaling == "auto":
        scaling = suitable(columns)
    if scaling == "sparse":
        return _sparse(columns), scaling, 1.0
    if scaling is None:
        scaler, rms = _unscaled(columns)
        return scaler, scaling, rms
    if scaling == "global":
        return _global(columns), scaling, 1.0
    return _by_column(columns, scaling), scaling, 1.0


def _unscaled(columns):
    """One power of two for all columns, 1 unless values are too large to be squared."""
    largest = np.maximum(np.abs(columns.low), np.abs(columns.high)).max()
    unit = 2.0 ** max(0, np.ceil(np.log2(max(largest, 1) / UNSCALED_LIMIT)))
    rms = root_mean_square(np.hypot(columns.low + columns.mean, columns.deviation)) / unit
    zero = np.zeros_like(columns.mean)
    return Scaler(zero, zero + unit, limit=UNSCALED_LIMIT), rms or 1.0


def _global(columns):
    """One mean and one deviation, from the lowest value of all on."""
    lowest = int(np.argmin(columns.low))
    anchor = np.repeat(columns.anchor[:, lowest, None], len(columns.mean), axis=1)
    offset = (columns.anchor - anchor).sum(0) + columns.mean
    mean = offset.mean()
    deviation = root_mean_square(np.hypot(offset - mean, columns.deviation))
    shift = np.full_like(offset, mean)
    return Scaler(shift, np.full_like(offset, deviation or 1.0), anchor)


def _by_column(columns, scaling):
    """Every column by its own mean, and by its own deviation or one for all."""
    deviation = np.where(columns.constant, 0.0, columns.deviation)
    common = root_mean_square(deviation) or 1.0
    divisor = deviation if scaling == "standard" else np.full_like(deviation, common)
    # A constant one takes the common unit, so that values never seen weigh the same in any unit.
    least = common if scaling == "shared" else 1.0
    divisor = np.where(columns.constant, np.maximum(least, np.abs(columns.low)), divisor)
    return Scaler(columns.mean, divisor, columns.anchor)


def _sparse(columns):
    """One number for columns of mostly zeros, which stay zero; own mean and deviation of others."""
    rare, square = columns.shown < 0.5, _mean_squares(columns)
    unit = np.sqrt(square[rare].sum() / (columns.shown[rare].sum() or 1.0)) or 1.0
    dense = _by_column(columns, "standard").exact
    anchor, shift, divisor = (
        np.where(rare, own, of_dense) for own, of_dense in zip((0.0, 0.0, unit), dense, strict=True)
    )
    scaled = np.where(rare, np.sqrt(square) / unit, ~columns.constant)
    return Scaler(shift, divisor * (root_mean_square(scaled) or 1.0), anchor)


def _mean_squares(columns):
    return (columns.low + columns.mean) ** 2 + columns.deviation**2


def root_mean_square(values):
    """√ mean v², also of numbers whose squares would be zero."""
    largest = np.abs(values).max()
    return float(largest * np.sqrt(np.mean((values / largest) ** 2))) if largest > 0 else 0.0


def largest(scaler, X):
    """The largest of the scaled values of the rows X."""
    return float(max(scaler.scaled(rows).max() for rows, _ in _blocks(X)))


def suitable(columns):
    """What "auto" comes to."""
    if mostly_zero(columns):
        return "sparse"
    return "shared" if share_a_unit(columns.span[~columns.constant]) else "standard"


def mostly_zero(columns):
    """Whether entries are rarely other than zero, in columns of which none outweighs the others."""
    squares = _mean_squares(columns)[columns.shown < 0.5]
    return columns.shown.mean() <= 0.1 and 0 < squares.max() < 0.9 * squares.sum()


def share_a_unit(span):
    """Whether most columns that vary span a like range."""
    return span.size > 0 and np.mean(span >= span.max() / 2) >= 0.5


class Columns(NamedTuple):
    """What is known of every column, in float64.

    `mean` counts from `anchor`, the lowest value; `shown` is the share of entries other than zero.
    """

    anchor: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray
    span: np.ndarray
    constant: np.ndarray
    shown: np.ndarray


def column_statistics(X, weight):
    """Weighted mean, standard deviation and share of zeros, minimum and maximum of columns."""
    total = weight.sum()
    low = np.min([rows.min(0) for rows, _ in _blocks(X)], axis=0)
    high = np.max([rows.max(0) for rows, _ in _blocks(X)], axis=0)
    anchor = anchored(low)
    span = deviations(high, anchor)
    unit = np.where(span > 0, span, 1.0)  # so that no square is lost or too large
    mean = sum(weight[part] @ (deviations(rows, anchor) / unit) for rows, part in _blocks(X))
    mean /= total
    variance = sum(
        weight[part] @ np.square(deviations(rows, anchor) / unit - mean)
        for rows, part in _blocks(X)
    )
    low, high = low.astype(np.float64), high.astype(np.float64)
    rounding = np.finfo(X.dtype).eps if X.dtype.kind == "f" else 0.0
    constant = span <= rounding * np.maximum(np.abs(low), np.abs(high))
    shown = sum(weight[part] @ (rows != 0) for rows, part in _blocks(X)) / total
    deviation = unit * np.sqrt(variance / total)
    return Columns(anchor, unit * mean, deviation, low, high, span, constant, shown)


def _blocks(X):
    """Dense blocks of rows, and where they lie, so that no second copy of X is ever whole."""
    size = max(1, BLOCK_BYTES // (8 * max(1, X.shape[1])))
    for start in range(0, X.shape[0], size):
        part = slice(start, start + size)
        rows = X[part].toarray() if issparse(X) else X[part]
        yield np.ascontiguousarray(rows), part  # sums depend on how rows lie
