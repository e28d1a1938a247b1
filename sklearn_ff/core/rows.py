"""Training rows and their batches."""

from itertools import chain, pairwise

import numpy as np
import torch

from .._stored import BLOCK_NUMBERS, StoredRows, dense
from .._threads import in_threads

BLOCK_BYTES = 2**20  # rows in float64 that are converted at once


class Rows:
    """Training rows as a skorch dataset: x, labels and weights, the columns scaled by `scaler`.

    x is a tensor of scaled rows, or numpy, sparse or stored rows, which are scaled when they are
    read. With `views`, x is a tensor of raw rows, which are varied in every batch and then scaled.
    `drawn` holds negative labels that were drawn for a whole epoch or fit. `n_rows`, if given,
    counts those of other processes too.
    """

    def __init__(self, x, y, weight, scaler, dtype, views=None, n_rows=None):
        self.x, self.y, self.weight = x, y, weight
        self.scaler, self.dtype, self.views = scaler, dtype, views
        self.weighted = weight is not None and bool((weight != weight[0]).any())
        self.drawn, self.n_rows = None, n_rows

    def __len__(self):
        return len(self.y) if self.n_rows is None else self.n_rows

    @property
    def on_device(self):
        return isinstance(self.x, torch.Tensor)

    def batch(self, index=slice(None), numbers=None):
        """A batch; `numbers` is the index as a numpy array, for rows that are not on the device."""
        if not self.on_device and numbers is None:
            numbers = index.cpu().numpy() if isinstance(index, torch.Tensor) else index
        drawn = None if self.drawn is None else picked(self.drawn, index)
        rows = self.rows(index if self.on_device else numbers)
        return rows, picked(self.y, index), picked(self.weight, index), drawn

    def rows(self, index):
        if self.views is not None:
            return self.scaler(self.views(self._read(index, dense)))
        return self._read(index, self.scaler.scaled)

    def __getitem__(self, index):
        """Rows by an index on the device."""
        return self.rows(index if self.on_device else index.cpu().numpy())

    def block(self, numbers):
        """The rows of these numbers on the device, as rows of their own."""
        x = self._read(numbers, self.scaler.scaled if self.views is None else dense)
        index = torch.from_numpy(numbers).to(self.y.device)
        some = Rows(x, self.y[index], self.weight[index], self.scaler, self.dtype, self.views)
        some.drawn = None if self.drawn is None else self.drawn[index]
        return some

    def _read(self, index, convert):
        if self.on_device:
            return picked(self.x, index)
        return as_tensor(self.x[index], self.dtype, self.scaler.shift.device, convert)


def raw_rows(X):
    """Rows of any kind as a dense tensor, in their own dtype."""
    if isinstance(X, torch.Tensor):
        return X
    return torch.from_numpy(np.require(dense(X), requirements=["C", "W"]))


def as_tensor(X, dtype, device, convert=dense):
    """Rows as one dense tensor, converted in blocks, without a copy of all in float64."""
    x = torch.empty(X.shape, dtype=dtype, device=device)
    size = max(1, BLOCK_BYTES // (8 * X.shape[1]))
    some = [slice(start, start + size) for start in range(0, X.shape[0], size)]
    if x.device.type == "cpu":
        fill(x.numpy(), X, some, convert)
        return x
    for part in some:
        rows = torch.from_numpy(np.require(convert(X[part]), np.float64, "W"))  # not read-only
        # The host does not wait for the device, which has its own copy when this returns.
        x[part].copy_(rows.to(dtype), non_blocking=True)
    return x


def fill(x, X, some, convert):
    """Write converted rows into x, by numpy: torch gains nothing on blocks that fit a cache."""

    def write(part):
        x[part] = convert(X[part])

    for _ in in_threads(write, X, some):
        pass


def picked(x, index):
    """x[index]; `index_select` for tensors, which takes a quarter of the time."""
    return x.index_select(0, index) if isinstance(index, torch.Tensor) else x[index]


def piece(x, part):
    """x[part]; x itself where the part is the whole, as in most batches, or x is None."""
    return x if x is None or (part.start == 0 and part.stop == len(x)) else x[part]


def n_parts(n, size):
    """Number of parts of `size` in n rows; a single remaining row belongs to the last part."""
    return max(1, -(-n // size) - (size > 1 and n % size == 1))


def parts(n, size):
    """Slices of n rows; none holds a single row, which would have no other to compete with."""
    ends = [i * size for i in range(1, n_parts(n, size))]
    return [slice(start, end) for start, end in pairwise([0, *ends, n])]


class Batches:
    """Batches of the rows by a permuted index, or all rows in order if one batch holds them.

    Rows in a file are brought to the device block by block. A block is of runs of neighbouring
    rows, drawn from the whole file, and is permuted as all rows are elsewhere.
    """

    def __init__(self, rows, batch_size, shuffle, draws):
        self.rows, self.batch_size, self.shuffle, self.draws = rows, batch_size, shuffle, draws

    def __len__(self):
        return n_parts(len(self.rows), self.batch_size)

    def __iter__(self):
        # Not a generator: an interrupt while a generator is closed would be lost.
        if len(self) == 1:
            return map(self.rows.batch, [slice(None)])
        if isinstance(self.rows.x, StoredRows):
            blocks = map(self.rows.block, self._numbers_by_block())
            return chain.from_iterable(map(self._of, blocks))
        return self._of(self.rows)

    def _of(self, rows):
        """The batches of some rows."""
        order = self.draws.permutation(len(rows)) if self.shuffle else None
        some = parts(len(rows), self.batch_size)
        if order is None:
            return map(rows.batch, some)
        indices = [order[part] for part in some]
        if rows.on_device:
            return map(rows.batch, indices)
        numbers = order.cpu().numpy()  # read from the device once, not batch by batch
        return map(rows.batch, indices, [numbers[part] for part in some])

    def _numbers_by_block(self):
        """An iterator of the numbers of the rows of each block, in the order of the file."""
        n, run = len(self.rows), self.rows.x.run
        n_runs = -(-n // run)
        runs = self.draws.permutation(n_runs).cpu().numpy() if self.shuffle else np.arange(n_runs)
        sizes = np.minimum(run, n - runs * run)
        ends = sizes.cumsum()

        def numbers(block):
            places = np.arange(block.start, block.stop)
            which = np.searchsorted(ends, places, side="right")
            return np.sort((runs * run + sizes - ends)[which] + places)

        return map(numbers, blocks(n, self.batch_size, self.rows.x.shape[1]))


def blocks(n, size, width):
    """Slices of n rows: whole batches of at most BLOCK_NUMBERS numbers, about equally many."""
    batches = parts(n, size)
    most = max(1, BLOCK_NUMBERS // (size * width))
    n_blocks = -(-len(batches) // most)
    some = np.array_split(np.arange(len(batches)), n_blocks)
    return [slice(batches[part[0]].start, batches[part[-1]].stop) for part in some]
