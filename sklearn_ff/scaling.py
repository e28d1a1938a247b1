"""Columns brought to one scale, from statistics of the training rows alone.

"standard" centres every column and divides it by its own standard deviation; "shared" centres every
column and divides all by one number, the root mean square of what is then left; "global"
centres and divides all columns by one mean and one deviation, as if they were one; "none" changes
nothing. "auto" is "shared" if at least half of the columns that vary span at least half of the
widest column's range, as pixels do, and "standard" otherwise.
"""

import numpy as np
import torch
from scipy.sparse import issparse
from torch import nn

__all__ = ["Scaler", "largest", "scaler_for"]

# Scaled values beyond this, in rows far from all that was trained on, are cut to it, so that
# squares and their sums stay finite in float32.
LIMIT = 1e6
BLOCK_BYTES = 2**25


class Scaler(nn.Module):
    """(x − shift) / divisor, cut to ±LIMIT."""

    def __init__(self, shift, divisor):
        super().__init__()
        self.register_buffer("shift", torch.tensor(shift))
        self.register_buffer("divisor", torch.tensor(divisor))

    def forward(self, x):
        return x.sub(self.shift).div_(self.divisor).clamp_(-LIMIT, LIMIT)

    def scale_(self, x):
        """Scale in place."""
        return x.sub_(self.shift).div_(self.divisor).clamp_(-LIMIT, LIMIT)


def scaler_for(X, weight, scaling, dtype):
    """The scaler for the rows X, its kind, and the root mean square of the scaled rows."""
    mean, variance, low, high = column_statistics(X, weight)
    if scaling == "auto":
        scaling = "shared" if share_a_unit(low, high) else "standard"
    if scaling == "none":
        rms = np.sqrt(np.mean(variance + mean**2))
        return Scaler(*_cast(np.zeros_like(mean), np.ones_like(mean), dtype)), scaling, rms or 1.0
    if scaling == "global":
        shift = np.full_like(mean, mean.mean())
        divisor = np.full_like(mean, np.sqrt(np.mean(variance + (mean - shift) ** 2)) or 1.0)
        return Scaler(*_cast(shift, divisor, dtype)), scaling, 1.0
    # What float32 cannot tell from a constant is one.
    constant = np.sqrt(variance) <= 1e-6 * np.maximum(np.abs(low), np.abs(high))
    constant |= np.sqrt(variance) < np.finfo(np.float32).tiny
    variance = np.where(constant, 0.0, variance)
    common = np.sqrt(variance.mean()) or 1.0
    divisor = np.sqrt(variance) if scaling == "standard" else np.full_like(mean, common)
    # A constant one takes the common unit, so that values never seen weigh the same in any unit.
    least = common if scaling == "shared" else 1.0
    divisor = np.where(constant, np.maximum(least, np.abs(mean)), divisor)
    return Scaler(*_cast(mean, divisor, dtype)), scaling, 1.0


def _cast(shift, divisor, dtype):
    return shift.astype(dtype), divisor.astype(dtype)


def largest(scaler, X, weight):
    """The largest of the scaled values of the rows X."""
    high = column_statistics(X, weight)[3]
    return float(((high - scaler.shift.numpy()) / scaler.divisor.numpy()).max())


def share_a_unit(low, high):
    """Whether most columns that vary span a like range."""
    span = (high - low)[high > low]
    return span.size > 0 and np.mean(span >= span.max() / 2) >= 0.5


def column_statistics(X, weight):
    """Weighted mean and variance, minimum and maximum of every column, in float64."""
    total = weight.sum()
    mean = sum(w @ rows for rows, w in _blocks(X, weight)) / total
    variance = sum(w @ (rows - mean) ** 2 for rows, w in _blocks(X, weight)) / total
    low = np.min([rows.min(0) for rows, _ in _blocks(X, weight)], axis=0)
    high = np.max([rows.max(0) for rows, _ in _blocks(X, weight)], axis=0)
    return mean, variance, low, high


def _blocks(X, weight):
    """Dense float64 blocks of rows, so that no second copy of X is ever whole."""
    size = max(1, BLOCK_BYTES // (8 * max(1, X.shape[1])))
    for start in range(0, X.shape[0], size):
        rows = X[start : start + size]
        rows = rows.toarray() if issparse(rows) else rows
        yield rows.astype(np.float64), weight[start : start + size]
