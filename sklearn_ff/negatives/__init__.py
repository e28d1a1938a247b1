"""Negative candidates of a row: other labels, or other rows.

The contract. `draw(y, n_classes, draws, belief)` takes the labels y of a batch (rows,), a source
of random numbers and the head's logits (rows, n_classes) or None, and returns negative labels,
shape (rows, n_negatives). `needs_head` states that the belief is required, `redraw` when labels are
drawn: for every "batch", for all rows at the start of every "epoch", or "once" for a whole fit.
`select(scores, layer, draws)` returns those of the candidates' scores that a layer learns from, the
positive one first; by default all. `selects` states that it makes a choice.
`candidates(x, draws)` returns the rows of the candidates: the row itself, which is shown with
several labels, or, where `of_rows` is true, the row and a negative row. A callable
`(y, n_classes, draws) -> negative labels` is accepted too.

Negatives of rows, with the base :class:`DataNegatives`, need no labels. `negative_rows(x, draws)`
takes scaled rows x, (rows, features), and returns negative rows of the same shape. Row i and
negative row i are the two candidates. Where rows have different weights, `draws.weight` holds those
of x, and other rows are drawn in proportion to them. `Corruption(function)` makes negatives of a
callable (x, draws) -> negative rows, and `OwnRows(rows)` of given rows.
"""

from .._parts import name_publicly
from ._base import Negatives, negatives
from ._labels import All, ByGoodness, Hard, Permuted, Uniform
from ._rows import (
    Corruption,
    DataNegatives,
    HeldOutClasses,
    HybridMask,
    Noise,
    OwnRows,
    PairSum,
    Pool,
    Shuffle,
)

__all__ = [
    "All",
    "ByGoodness",
    "Corruption",
    "DataNegatives",
    "Hard",
    "HeldOutClasses",
    "HybridMask",
    "Negatives",
    "Noise",
    "OwnRows",
    "PairSum",
    "Permuted",
    "Pool",
    "Shuffle",
    "Uniform",
    "negatives",
]

name_publicly(globals())
