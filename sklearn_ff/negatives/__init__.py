"""Which negative candidates a row competes with: other labels, or other rows.

The contract. `draw(y, n_classes, draws, belief)` takes the labels y of a batch (rows,), a source
of random numbers and the head's logits (rows, n_classes) or None, and returns negative labels,
shape (rows, n_negatives). `needs_head` says that the belief is required, `redraw` when the labels
are drawn: for every "batch", for all rows at the start of every "epoch", or "once" for a whole fit.
`candidates(x, draws)` says which rows compete: each with itself, shown with several labels, or,
where `of_rows` is true, each with another row. A callable `(y, n_classes, draws) -> negative
labels` serves too.

Negatives of rows, bases :class:`DataNegatives`, need no labels. `negative_rows(x, draws)` takes
scaled rows x, (rows, features), and returns negative rows of the same shape. Row i and negative row
i are the two candidates. Where rows weigh differently, `draws.weight` holds the weights of x, and
other rows are drawn by them. A callable (x, draws) -> negative rows serves too, as
`Corruption(function)`; so do rows of your own, as `OwnRows(rows)`.
"""

from ._base import Negatives, negatives
from ._labels import All, Hard, Permuted, Uniform
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
