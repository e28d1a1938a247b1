"""Scaling of columns by statistics of the training rows.

"standard" centres every column and divides it by its standard deviation; "shared" centres every
column and divides all by one number, the root mean square of the centred columns; "global" centres
and divides all columns by one mean and one deviation, as if they were a single column; None changes
nothing, except that all columns are divided by one power of two if values exceed 2^40, whose
squares float32 could not sum; "sparse" keeps zeros: columns of mostly zero entries are divided by
one number and multiplied by 1 - log p, p being the share of rows in which a column is not zero, so
that rare words count for more than frequent ones, but are not amplified by the deviation (if all
rows have about as many nonzero entries, as one-hot codes do, they are only divided); the other
columns are scaled as by "standard". "auto" is "sparse" if at least nine tenths of all entries are
zero and no column of mostly zeros holds nine tenths of their sum of squares, "shared" if at least
half of the columns that vary span at least half of the widest column's range, as pixels do, and
"standard" otherwise. Sparse rows and the same rows dense are scaled alike.

Rows are centred and divided in double precision, so that a column that varies little around a large
value keeps its information. A column is constant if its values are equal up to a rounding of the
last digit of their dtype; integers must be equal.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ._ranks import ALONE
from ._stored import dense
from ._threads import in_threads

__all__ = ["Scaler", "largest", "scaler_for"]


# A row with a scaled value beyond this limit, far from all training rows, is shortened as a whole,
# which keeps its direction, so that squares and their sums are finite in float32.
LIMIT = 1e6
# The limit without scaling: float32 can square, sum and weigh such values. If training rows exceed
# it, all rows are divided by one power of two.
UNSCALED_LIMIT = 2.0**40
# A block of rows in double precision: what a core has in its cache, but some rows at least.
BLOCK_BYTES, ROWS, MOST_BYTES = 2**20, 32, 2**25
SQUARED = 1e-100  # deviations that are smaller are divided by the span, so that squares exist
RAREST = 1e-6  # smaller shares of rows, which weights can cause, count as this one
# Rows whose numbers of nonzero entries deviate by less than this share of their mean are taken for
# one-hot codes, not for texts.
ALIKE = 0.1


class Scaler(nn.Module):
    """(x − anchor − shift) / divisor, rows with a value beyond ±limit shortened to it.

    `anchor`, (2, columns), is a value of each column in two parts, whose sum is exact also for
    large integers, which one float64 cannot hold. `scaled` computes in float64 from exact values;
    `forward` in the dtype of the network, with `shift` in two parts so that large ones lose little,
    and as `scaled` where x has a wide dtype.
    """

    WIDE = (torch.float64, torch.int64, torch.int32)

    def __init__(self, shift, divisor, anchor=None, limit=LIMIT):
        super().__init__()
        anchor = np.zeros((2, len(shift))) if anchor is None else anchor
        self.exact, self.limit = (anchor, shift, divisor), float(limit)
        # No buffers, whose precision changes with that of the weights.
        self.wide = [torch.tensor(part) for part in (*anchor, shift, divisor)]
        offset = anchor.sum(0) + shift
        high = offset.astype(np.float32).astype(np.float64)
        self.shift: torch.Tensor
        self.register_buffer("shift", torch.tensor(high))
        self.register_buffer("rest", torch.tensor(offset - high))
        self.register_buffer("divisor", torch.tensor(divisor))

    def _apply(self, fn, recurse=True):
        """As of any module, with `wide` on the device of the buffers, but in its precision."""
        super()._apply(fn, recurse)
        device: torch.device = self.shift.device
        if device.type != "mps":  # which has no double precision
            self.wide = [part.to(device) for part in self.wide]
        return self

    def state(self):
        """Arguments of an equal scaler: numpy arrays and plain values."""
        anchor, shift, divisor = self.exact
        return {"shift": shift, "divisor": divisor, "anchor": anchor, "limit": self.limit}

    def forward(self, x):
        """Scale tensors of any dtype, such as varied images, to the dtype of the network."""
        if x.dtype in self.WIDE:
            z = self._deviations(x)
        else:
            z = (x - self.shift).sub_(self.rest).div_(self.divisor)
        most = torch.finfo(z.dtype).max
        z = z.clamp(-most, most)
        longest = z.abs().amax(-1, keepdim=True).clamp_min(self.limit)
        return (z * (self.limit / longest)).to(self.shift.dtype)

    def _deviations(self, x):
        high, low, shift, divisor = (part.to(x.device) for part in self.wide)
        if x.dtype == torch.int64:
            z = (x >> 32).double() * 2.0**32 - high + ((x & 0xFFFFFFFF) - low)
        else:
            z = x - high - low
        return (z - shift) / divisor

    def scaled(self, rows):
        """Scale numpy or sparse rows of any numeric dtype; the result is dense and in float64."""
        anchor, shift, divisor = self.exact
        z = deviations(dense(rows), anchor)
        z -= shift
        with np.errstate(over="ignore"):
            z /= divisor
        if z.size and max(z.max(), -z.min()) > self.limit:
            shorten(z, self.limit)
        return z


def deviations(rows, anchor):
    """x − anchor in float64, exact where the two are close, for rows of any dtype."""
    high, low = anchor
    if rows.dtype.kind in "iu" and rows.dtype.itemsize == 8:
        z = (rows >> 32) * 2.0**32
        z -= high
        z += (rows & 0xFFFFFFFF) - low
        return z
    z = rows.astype(np.float64)
    for part in anchor:
        if part.any():
            z -= part
    return z


def anchored(values):
    """Numbers of any dtype in two parts, (2, columns), whose sum is exact."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        return np.stack([(values >> 32) * 2.0**32, (values & 0xFFFFFFFF).astype(np.float64)])
    high = values.astype(np.float64)
    return np.stack([high, np.zeros_like(high)])


def shorten(z, limit):
    """Shorten rows with a value beyond ±limit, in place."""
    most = np.finfo(z.dtype).max
    np.clip(z, -most, most, out=z)
    z *= np.minimum(1, limit / np.maximum(np.abs(z).max(1, keepdims=True), limit))


def scaler_for(X, weight, scaling):
    """The scaler for the rows X, the kind of scaling, and the root mean square of scaled rows."""
    return scaler_of(column_statistics(X, weight), scaling)


def scaler_of(columns, scaling):
    """As `scaler_for`, from the statistics of columns."""
    if scaling == "auto":
        scaling = suitable(columns)
    if scaling == "sparse":
        return _sparse(columns), scaling, 1.0
    if scaling is None:
        scaler, rms = _unscaled(columns)
        return scaler, scaling, rms
    if scaling == "global":
        return _global(columns), scaling, 1.0
    own = "standard" if scaling == "running" else scaling
    return _by_column(columns, own), scaling, 1.0


def _unscaled(columns):
    """One power of two for all columns, 1 unless values are too large to be squared."""
    largest = np.maximum(np.abs(columns.low), np.abs(columns.high)).max()
    unit = 2.0 ** max(0, np.ceil(np.log2(max(largest, 1) / UNSCALED_LIMIT)))
    rms = root_mean_square(np.hypot(columns.low + columns.mean, columns.deviation)) / unit
    zero = np.zeros_like(columns.mean)
    return Scaler(zero, zero + unit, limit=UNSCALED_LIMIT), rms or 1.0


def _global(columns):
    """One mean and one deviation for all columns, with the lowest value as anchor."""
    lowest = int(np.argmin(columns.low))
    anchor = np.repeat(columns.anchor[:, lowest, None], len(columns.mean), axis=1)
    offset = (columns.anchor - anchor).sum(0) + columns.mean
    mean = offset.mean()
    deviation = root_mean_square(np.hypot(offset - mean, columns.deviation))
    shift = np.full_like(offset, mean)
    return Scaler(shift, np.full_like(offset, deviation or 1.0), anchor)


def _by_column(columns, scaling):
    """Centre every column, and divide it by its deviation or by a common one."""
    deviation = np.where(columns.constant, 0.0, columns.deviation)
    common = root_mean_square(deviation) or 1.0
    divisor = deviation if scaling == "standard" else np.full_like(deviation, common)
    # Constant columns have the common divisor, so that other values later have a comparable size.
    least = common if scaling == "shared" else 1.0
    divisor = np.where(columns.constant, np.maximum(least, np.abs(columns.low)), divisor)
    return Scaler(columns.mean, divisor, columns.anchor)


def _sparse(columns):
    """Columns of mostly zeros times their rarity over one number; "standard" for the others."""
    rare, square, weight = columns.shown < 0.5, _mean_squares(columns), rarity(columns)
    square = np.where(rare, weight**2, 1.0) * square
    unit = np.sqrt(square[rare].sum() / (columns.shown[rare].sum() or 1.0)) or 1.0
    dense = _by_column(columns, "standard").exact
    anchor, shift, divisor = (
        np.where(rare, own, of_dense)
        for own, of_dense in zip((0.0, 0.0, unit / weight), dense, strict=True)
    )
    scaled = np.where(rare, np.sqrt(square) / unit, ~columns.constant)
    return Scaler(shift, divisor * (root_mean_square(scaled) or 1.0), anchor)


def rarity(columns):
    """1 - log p (cf. the idf of TfidfVectorizer), unseen columns as the rarest; 1 for one-hot."""
    shown = columns.shown
    seen = shown[shown > 0]
    rarest = max(seen.min(), RAREST) if len(seen) else 1.0
    return np.where(columns.alike, 1.0, 1 - np.log(np.maximum(shown, rarest)))


def _mean_squares(columns):
    return (columns.low + columns.mean) ** 2 + columns.deviation**2


def root_mean_square(values):
    """√ mean v², also for numbers whose squares underflow."""
    largest = np.abs(values).max()
    return float(largest * np.sqrt(np.mean((values / largest) ** 2))) if largest > 0 else 0.0


def largest(scaler, X):
    """The largest of the scaled values of the rows X."""
    highest = in_threads(lambda part: scaler.scaled(block(X, part)).max(), X, _parts(X))
    return float(max(highest))


def suitable(columns):
    """The kind of scaling that "auto" means."""
    if mostly_zero(columns):
        return "sparse"
    return "shared" if share_a_unit(columns.span[~columns.constant]) else "standard"


def mostly_zero(columns):
    """Whether most entries are zero, in columns none of which dominates the sum of squares."""
    squares = _mean_squares(columns)[columns.shown < 0.5]
    return columns.shown.mean() <= 0.1 and 0 < squares.max() < 0.9 * squares.sum()


def share_a_unit(span):
    """Whether most columns that vary span a similar range."""
    return span.size > 0 and np.mean(span >= span.max() / 2) >= 0.5


class Columns(NamedTuple):
    """Statistics of every column, in float64.

    `mean` is relative to `anchor`, the lowest value; `shown` is the share of nonzero entries,
    `n_rows` and `weight` count the rows of each column, in a dtype of the precision `rounding`;
    `alike`, the same for all columns, is whether rows have about as many nonzero entries.
    """

    anchor: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray
    span: np.ndarray
    constant: np.ndarray
    shown: np.ndarray
    n_rows: np.ndarray
    weight: np.ndarray
    rounding: np.ndarray
    alike: np.ndarray

    def take(self, index):
        """Some of the columns."""
        return Columns(*(values[..., index] for values in self))


def column_statistics(X, weight, ranks=ALONE):
    """Weighted mean, standard deviation and share of zeros, minimum and maximum of columns.

    Of the rows of all ranks; X and `weight` are those of this one.
    """
    total = ranks.weight_of(weight)
    rounding = np.finfo(X.dtype).eps if X.dtype.kind == "f" else 0.0
    low, high, shown, alike = extremes(X, weight, ranks)
    anchor = anchored(low)
    span = deviations(high, anchor)
    unit = np.where((span > 0) & (span < SQUARED), span, 1.0)
    mean, variance = moments(X, weight, anchor, unit, ranks)
    low, high = low.astype(np.float64), high.astype(np.float64)
    seen = ranks.n_rows(X.shape[0]), total, rounding
    n_rows, weighed, rounding = (np.full(len(mean), float(number)) for number in seen)
    return Columns(
        anchor,
        unit * mean,
        unit * np.sqrt(variance),
        low,
        high,
        span,
        equal(span, low, high, rounding),
        shown,
        n_rows,
        weighed,
        rounding,
        np.full(len(mean), alike),
    )


def extremes(X, weight, ranks):
    """Minimum, maximum and share of nonzero entries of columns, and whether rows are alike."""

    def look(part):
        rows = block(X, part)
        there = (rows != 0).astype(np.float64)
        seen = np.einsum("i,ij->j", weight[part], there)
        return rows.min(0), rows.max(0), seen, np.einsum("ij->i", there)

    looks = in_threads(look, X, _parts(X))
    low, high, seen, filled = next(looks)
    every = [filled]
    for lowest, highest, more, filled in looks:
        low, high, seen = np.minimum(low, lowest), np.maximum(high, highest), seen + more
        every.append(filled)
    shown = ranks.summed(seen) / ranks.weight_of(weight)
    alike = rows_alike(np.concatenate(every), weight, ranks)
    return ranks.least(low), ranks.most(high), shown, alike


def rows_alike(filled, weight, ranks):
    """Whether all rows have about as many nonzero entries, which are `filled`."""
    share = weight / ranks.weight_of(weight)
    mean = ranks.summed(share @ filled)
    variance = ranks.summed(share @ np.square(filled - mean))
    return np.sqrt(variance) <= ALIKE * mean


def moments(X, weight, anchor, unit, ranks):
    """Mean and variance of the columns of (X - anchor) / unit, merged from those of blocks.

    (T. F. Chan, G. H. Golub and R. J. LeVeque, 1983: no difference of large sums is taken.)
    """

    def look(part):
        z, own = deviations(block(X, part), anchor), weight[part]
        if (unit != 1).any():
            z /= unit
        mean = np.einsum("i,ij->j", own, z) / own.sum()
        z -= mean
        return own.sum(), mean, np.einsum("i,ij->j", own, np.square(z, out=z)) / own.sum()

    total, mean, variance = 0.0, 0.0, 0.0
    for more, own_mean, own_variance in in_threads(look, X, _parts(X)):
        total += more
        share, gap = more / total, own_mean - mean
        mean = mean + share * gap
        variance = (1 - share) * (variance + share * np.square(gap)) + share * own_variance
    if ranks.alone:
        return mean, variance
    share, own_mean = total / ranks.weight_of(weight), mean
    mean = ranks.summed(share * own_mean)
    return mean, ranks.summed(share * (variance + np.square(own_mean - mean)))


def equal(span, low, high, rounding):
    """Whether values differ by no more than a rounding of the last digit."""
    return span <= rounding * np.maximum(np.abs(low), np.abs(high))


def merged(before, new):
    """Statistics of all rows; of those before, a column that was constant counts as one."""
    n_rows = np.where(before.constant, 1.0, before.n_rows)
    weight = before.weight * (n_rows / before.n_rows)
    total = weight + new.weight
    share = new.weight / total
    offset = (new.anchor - before.anchor).sum(0)
    lower, higher = np.minimum(offset, 0), np.maximum(offset, 0)
    gap = (new.mean + higher) - (before.mean - lower)
    within = np.hypot(np.sqrt(1 - share) * before.deviation, np.sqrt(share) * new.deviation)
    span = np.maximum(before.span - lower, new.span + higher)
    rounding = np.maximum(before.rounding, new.rounding)
    low, high = np.minimum(before.low, new.low), np.maximum(before.high, new.high)
    return Columns(
        np.where(offset < 0, new.anchor, before.anchor),
        before.mean - lower + share * gap,
        np.hypot(within, np.sqrt(share * (1 - share)) * gap),
        low,
        high,
        span,
        equal(span, low, high, rounding),
        (1 - share) * before.shown + share * new.shown,
        n_rows + new.n_rows,
        total,
        rounding,
        before.alike & new.alike,
    )


def _parts(X):
    """Slices of rows, so that X is never copied as a whole, and a block stays in a cache."""
    width = 8 * max(1, X.shape[1])
    size = max(1, BLOCK_BYTES // width, min(ROWS, MOST_BYTES // width))
    return [slice(start, start + size) for start in range(0, X.shape[0], size)]


def block(X, part):
    """Some of the rows, dense."""
    return np.ascontiguousarray(dense(X[part]))  # sums depend on the memory layout
