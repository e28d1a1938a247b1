"""Training rows, and the slices of them that are learned from at once."""

from itertools import pairwise

import numpy as np
import torch
from scipy.sparse import issparse


class Rows:
    """Training rows as a skorch dataset: x, labels and weights, the columns scaled by `scaler`.

    x is a tensor, and then scaled in place once, or numpy or sparse rows, scaled as they are read.
    With `views`, raw rows are varied by it in every batch, and scaled after that.
    """

    def __init__(self, x, y, weight, scaler, dtype, views=None):
        self.x, self.y, self.weight = x, y, weight
        self.scaler, self.dtype, self.views = scaler, dtype, views
        self.wrong = None
        if isinstance(x, torch.Tensor) and views is None:
            scaler.scale_(x)

    def __len__(self):
        return len(self.y)

    def batch(self, index=slice(None)):
        wrong = None if self.wrong is None else picked(self.wrong, index)
        return self.rows(index), picked(self.y, index), picked(self.weight, index), wrong

    def rows(self, index):
        if self.views is not None:
            return self.scaler(self.views(self._raw(index)))
        return self._raw(index) if self._scaled() else self.scaler(self._raw(index))

    def _scaled(self):
        return isinstance(self.x, torch.Tensor)

    def _raw(self, index):
        if isinstance(self.x, torch.Tensor):
            return picked(self.x, index)
        index = index.cpu().numpy() if isinstance(index, torch.Tensor) else index
        rows = self.x[index].toarray() if issparse(self.x) else self.x[index]
        shared = torch.from_numpy(np.require(rows, requirements="W"))
        return shared.to(self.scaler.shift.device, self.dtype)


def picked(x, index):
    """x[index], by `index_select` where index is a tensor: a quarter of the time."""
    return x.index_select(0, index) if isinstance(index, torch.Tensor) else x[index]


def n_parts(n, size):
    """How many parts of `size` make n rows; a single row left over joins the last of them."""
    return max(1, -(-n // size) - (size > 1 and n % size == 1))


def parts(n, size):
    """Slices of n rows. None holds one row alone, which would have no other to compete with."""
    ends = [i * size for i in range(1, n_parts(n, size))]
    return [slice(start, end) for start, end in pairwise([0, *ends, n])]


class Batches:
    """Slices of the rows by a permuted index; all rows as they lie if one batch holds them."""

    def __init__(self, rows, batch_size, shuffle, draws):
        self.rows, self.batch_size, self.shuffle, self.draws = rows, batch_size, shuffle, draws

    def __len__(self):
        return n_parts(len(self.rows), self.batch_size)

    def __iter__(self):
        n = len(self.rows)
        if len(self) == 1:
            yield self.rows.batch()
            return
        order = self.draws.permutation(n) if self.shuffle else None
        for part in parts(n, self.batch_size):
            yield self.rows.batch(part if order is None else order[part])
