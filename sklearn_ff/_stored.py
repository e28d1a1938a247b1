"""Rows that stay in their file, a memory map, and are read block by block where they are needed."""

import mmap
import sys
from itertools import pairwise

import numpy as np
from scipy.sparse import issparse

# Numbers that training holds in memory at once: 64 MiB in single precision. A file that has no more
# is one block.
BLOCK_NUMBERS = 2**24
RUN_BYTES = 2**18  # of neighbouring rows in the file, which are read together
READ_BYTES = 2**23  # of the file, where all of it is read
FAR_BYTES = 2**24  # resident at once, where rows or columns are far apart
AROUND = 2**21  # bytes that Linux makes resident where one of them is read, at most
SHARED = ("r", "r+", "w+")  # modes of a map whose pages hold what the file holds


class StoredRows:
    """Some rows of a memory map, in any order.

    It is used as a sparse matrix is: an index gives rows of the same kind, and `toarray` reads
    their numbers. Pages that have been read are given back to the system, so that resident memory
    does not grow with the file. `pages` is the map, or None where its pages may differ from the
    file.
    """

    ndim = 2

    def __init__(self, table, pages=None, index=None):
        self.table, self.pages, self.index = table, pages, index

    def __len__(self):
        return len(self.table if self.index is None else self.index)

    @property
    def shape(self):
        return len(self), self.table.shape[1]

    @property
    def dtype(self):
        return self.table.dtype

    @property
    def one_block(self):
        """Whether there are so few numbers that one block of training holds them."""
        return len(self) * self.table.shape[1] <= BLOCK_NUMBERS

    @property
    def row_bytes(self):
        """Bytes of the file that reading one row more makes resident.

        They reach to the next row, where a view leaves out columns or rows.
        """
        step, apart = map(abs, self.table.strides)
        width, size = self.table.shape[1], self.table.itemsize
        return max(1, width * size, min(step, width * apart + AROUND))

    def _columns_at_once(self):
        """How many columns to read before the next ones, where a row lies all over the file."""
        step, apart = map(abs, self.table.strides)
        if apart <= step:
            return self.table.shape[1]
        n = len(self)
        span = n if self.index is None or not n else self.index[-1] + 1 - self.index[0]
        return max(1, int(FAR_BYTES // max(1, min(apart, int(span) * step + AROUND))))

    @property
    def run(self):
        """The number of neighbouring rows that are read together."""
        return max(1, RUN_BYTES // self.row_bytes)

    def __getitem__(self, which):
        """The rows of a slice, a mask or an array of indices; numbers in memory for what is less,
        such as one row or a column.
        """
        if isinstance(which, (int, np.integer)):
            return self[[which]].toarray()[0]
        if isinstance(which, tuple):
            return np.asarray(self[which[0]])[(..., *which[1:])]
        if self.index is not None:
            return StoredRows(self.table, self.pages, self.index[which])
        if isinstance(which, slice):
            return StoredRows(self.table[which], self.pages)
        which = np.asarray(which)
        which = np.flatnonzero(which) if which.dtype == bool else which
        return StoredRows(self.table, self.pages, which)

    def toarray(self):
        """The rows in memory, read from the beginning of the file to its end."""
        index = self.index
        if index is not None and (index[1:] < index[:-1]).any():
            order = np.argsort(index, kind="stable")
            found = np.empty(self.shape, self.dtype)
            found[order] = StoredRows(self.table, self.pages, index[order]).toarray()
            return found
        size = self._columns_at_once()
        if size < self.table.shape[1]:
            found = np.empty(self.shape, self.dtype)
            for start in range(0, self.table.shape[1], size):
                some = self.table[:, start : start + size]
                found[:, start : start + size] = StoredRows(some, self.pages, index).toarray()
            return found
        cuts = self._cuts()
        if len(cuts):
            found = np.empty(self.shape, self.dtype)
            for start, end in pairwise([0, *cuts, len(self)]):
                found[start:end] = self[start:end]._read()
            return found
        return self._read()

    def _read(self):
        """The rows in memory, read at once."""
        index = self.index
        if index is None:
            found = np.array(self.table)
            self._give_back(self.table)
            return found
        found = self.table[index]
        if len(index):
            self._give_back(self.table[index[0] : index[-1] + 1])
        return found

    def _cuts(self):
        """Where to cut the rows, in the order of the file, into parts that are read at once."""
        if self.index is None:
            size = max(1, READ_BYTES // self.row_bytes)
            return range(size, len(self), size)
        index = self.index.astype(np.int64, copy=False)
        gaps = np.diff(index, prepend=index[:1])
        read = np.minimum(gaps * self.row_bytes, self.row_bytes + AROUND).cumsum()
        return 1 + np.flatnonzero(np.diff(read // FAR_BYTES))

    def __array__(self, dtype=None, copy=None):
        return self.toarray().astype(dtype or self.dtype, copy=False)

    def blocks(self):
        """All rows in memory, block after block."""
        size = max(1, READ_BYTES // self.row_bytes)
        for start in range(0, len(self), size):
            yield self[start : start + size].toarray()

    def outline(self):
        """An array of this shape and dtype that takes no memory."""
        return np.broadcast_to(np.zeros((1, 1), self.dtype), self.shape)

    def _give_back(self, table):
        """Let the system have the pages of rows that were read; the file keeps what they hold."""
        if self.pages is None or not table.size:
            return
        start = np.frombuffer(self.pages, np.uint8, 1).ctypes.data
        low, high = (address - start for address in ends(table))
        low -= low % mmap.PAGESIZE
        self.pages.madvise(mmap.MADV_DONTNEED, low, high - low)


def ends(table):
    """The addresses of the first byte of an array, and after its last."""
    low = high = table.ctypes.data
    for size, stride in zip(table.shape, table.strides, strict=True):
        low, high = low + min(0, stride) * (size - 1), high + max(0, stride) * (size - 1)
    return low, high + table.itemsize


def stored(X):
    """A memory map of numbers, or a view of one, as rows that stay in their file; else X itself."""
    plain = isinstance(X, np.ndarray) and X.ndim == 2
    if not plain or X.dtype.kind not in "biuf" or X.dtype.itemsize > 8:
        return X
    base, mode = X, None
    while isinstance(base, np.ndarray):
        mode = getattr(base, "mode", mode)
        base = base.base
    if mode is None or not isinstance(base, mmap.mmap):
        return X
    shared = mode in SHARED and sys.platform.startswith("linux")  # the others have no such advice
    return StoredRows(np.asarray(X), base if shared else None)


def dense(rows):
    """Rows of any kind as an array in memory."""
    lazy = issparse(rows) or isinstance(rows, StoredRows)
    return rows.toarray() if lazy else rows
