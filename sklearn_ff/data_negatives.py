"""Which other row a row competes with: negatives that need no labels.

The contract. `wrong_rows(x, draws, pool)` takes scaled rows x, (rows, features), a source of random
numbers and the `pool` of rows of another kind (None unless the part has such), and returns wrong
rows of the same shape. Row i and wrong row i are the two candidates. A callable (x, draws) -> wrong
rows serves too, as `Corruption(function)`; so do rows of your own, as `OwnRows(rows)`.
"""

import torch

from .negatives import Negatives, negatives
from .parts import check_number, checked_shape

__all__ = [
    "Corruption",
    "DataNegatives",
    "HeldOutClasses",
    "HybridMask",
    "Noise",
    "OwnRows",
    "PairSum",
    "Shuffle",
]


class DataNegatives(Negatives):
    """Base of data negatives; see the module's docstring for the contract."""

    of_rows = True
    labelled = False  # whether candidates carry a label too, in a classifier

    def wrong_rows(self, x, draws, pool=None):
        raise NotImplementedError

    def candidates(self, x, draws, pool=None):
        return torch.stack([x, self.wrong_rows(x, draws, pool)], 1)

    def draw(self, y, n_classes, draws, belief=None):
        return y[:, None]  # both rows are shown with the same label, or with none


def others(n, draws):
    """For each of n rows the index of another one, all on one random cycle."""
    order = draws.permutation(n)
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return other


@negatives.register("pair_sum")
class PairSum(DataNegatives):
    """x + x against x + x', x' another row (Chen et al., 2025); halved, so that x stays x."""

    def wrong_rows(self, x, draws, pool=None):
        return (x + x[others(len(x), draws)]) / 2


@negatives.register("hybrid_mask")
class HybridMask(DataNegatives):
    """Large patches of two rows, m x + (1 − m) x' (Hinton, 2022).

    The mask m is random bits, blurred by (1/4, 1/2, 1/4) `n_blurs` times along every axis of
    `image_shape` (channels, height, width), and cut at 1/2. Without a shape, columns are taken as
    a line, neighbours next to each other.
    """

    def __init__(self, image_shape=None, n_blurs=6):
        self.image_shape = image_shape
        self.n_blurs = n_blurs

    def check(self):
        super().check()
        check_number(self, "n_blurs", at_least=0, whole=True)

    def wrong_rows(self, x, draws, pool=None):
        mask = self._mask(x, draws)
        return torch.where(mask, x, x[others(len(x), draws)])

    def _mask(self, x, draws):
        if self.image_shape is None:
            return blurred_bits(draws.uniform(len(x), 1, x.shape[1]), self.n_blurs).flatten(1)
        channels, height, width = self.image_shape
        if channels * height * width != x.shape[1]:
            raise ValueError(
                f"HybridMask(image_shape={self.image_shape!r}) means "
                f"{channels * height * width} pixels, but X has {x.shape[1]} columns; give "
                f"(channels, height, width) of the images in X, or None for rows without a shape."
            )
        mask = blurred_bits(draws.uniform(len(x), 1, height, width), self.n_blurs)
        return mask.expand(-1, channels, -1, -1).flatten(1)


def blurred_bits(u, n_blurs):
    """Random bits u > 1/2, blurred along every axis but the first two, and cut at 1/2."""
    bits = (u > 0.5).to(u.dtype)
    for _ in range(n_blurs):
        for axis in range(2, bits.dim()):
            lower = bits.narrow(axis, 0, 1), bits.narrow(axis, 0, bits.shape[axis] - 1)
            upper = bits.narrow(axis, 1, bits.shape[axis] - 1), bits.narrow(axis, -1, 1)
            bits = bits / 2 + (torch.cat(lower, axis) + torch.cat(upper, axis)) / 4
    return bits > 0.5


@negatives.register("shuffle")
class Shuffle(DataNegatives):
    """Every column permuted across rows by itself: each value is real, their company is not.

    A `share` of the columns takes part, drawn anew for every row.
    """

    def __init__(self, share=1.0):
        self.share = share

    def check(self):
        super().check()
        check_number(self, "share", above=0)
        if self.share > 1:
            raise ValueError(f"Shuffle(share={self.share!r}) must be a share of at most 1.")

    def wrong_rows(self, x, draws, pool=None):
        shuffled = x.gather(0, draws.uniform(*x.shape).argsort(0))
        if self.share >= 1:
            return shuffled
        return torch.where(draws.uniform(*x.shape) < self.share, shuffled, x)


@negatives.register("noise")
class Noise(DataNegatives):
    """x + `scale`·standard normal noise, in units of the scaled columns; weak, for comparison."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def check(self):
        super().check()
        check_number(self, "scale", above=0)

    def wrong_rows(self, x, draws, pool=None):
        return x + self.scale * draws.normal(*x.shape)


class Pool(DataNegatives):
    """Wrong rows drawn from a pool that the fit supplies."""

    def wrong_rows(self, x, draws, pool=None):
        picked = (draws.uniform(len(x)) * len(pool)).long().clamp_(max=len(pool) - 1)
        return pool[picked]


class OwnRows(Pool):
    """The user's own `rows`, in the units of X, drawn with equal chances."""

    def __init__(self, rows):
        self.rows = rows


class HeldOutClasses(Pool):
    """Rows of the given `classes`: what is to be told from all else (rmwkwok, 2023).

    FFTransformer learns from the other rows, and sees these as wrong ones. FFClassifier shows them
    with a random label of the other classes, and does not know the held-out ones. Since right and
    wrong rows differ by more than their labels, layers need not read the label, so that predicting
    by goodness can be little better than chance: use prediction="head".
    """

    labelled = True

    def __init__(self, classes):
        self.classes = classes

    def draw(self, y, n_classes, draws, belief=None):
        return (draws.uniform(len(y), 1) * n_classes).long().clamp_(max=n_classes - 1)


class Corruption(DataNegatives):
    """A user's `function`, (x, draws) -> wrong rows, as data negatives."""

    def __init__(self, function):
        self.function = function

    def wrong_rows(self, x, draws, pool=None):
        return checked_shape(
            self.function(x.clone(), draws), x.shape, "negatives", "one wrong row per row"
        )
