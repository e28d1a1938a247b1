"""Which wrong labels a row competes with.

The contract. `draw(y, n_classes, draws, belief)` takes the labels y of a batch (rows,), a source
of random numbers and the head's logits (rows, n_classes) or None, and returns wrong labels,
shape (rows, n_wrong). `needs_head` says that the belief is required, `redraw` when the labels are
drawn: for every "batch", for all rows at the start of every "epoch", or "once" for a whole fit.
`candidates(x, draws)` says which rows compete: each with itself, shown with several labels, unless
`of_rows` says that they are a row and another one, as in `data_negatives`. A callable
`(y, n_classes, draws) -> wrong labels` serves too.
"""

import torch

from .parts import Family, Part, check_choice, check_number, checked_shape

__all__ = ["All", "Hard", "Negatives", "Permuted", "Uniform", "negatives"]


class Negatives(Part):
    """Base of label negatives; see the module's docstring for the contract."""

    of_rows = False
    labelled = True
    needs_head = False
    never_true = True
    redraw = "batch"
    shows_strange = False  # whether wrong rows are what the user wants to be told as strange
    varied = True  # whether an augmentation varies wrong rows as it does right ones
    n_views = 1  # how many views of a row an augmentation is to give

    def check(self):
        check_choice(self, "redraw", ("batch", "epoch", "once"))

    def draw(self, y, n_classes, draws, belief=None):
        raise NotImplementedError

    def n_candidates(self, n_classes):
        """How many candidates a row has, the right one counted; bounds memory."""
        return min(1 + getattr(self, "n_negatives", 1), n_classes)

    def candidates(self, x, draws):
        """The rows of the candidates: (rows, features), or (rows, candidates, features)."""
        return x

    def bind(self, pool):
        """This part, with the rows that a fit has set aside for it, if any."""
        return self

    def for_images(self, image_shape):
        """This part, told how the rows are to be read."""
        return self


class FunctionNegatives(Negatives):
    """A user's callable as label negatives."""

    never_true = False

    def __init__(self, function):
        self.function = function

    def draw(self, y, n_classes, draws, belief=None):
        wrong = self.function(y, n_classes, draws)
        n_wrong = wrong.shape[1] if getattr(wrong, "ndim", 0) == 2 else 1
        meaning = "wrong labels of shape (rows, n_wrong)"
        checked_shape(wrong, (len(y), max(1, n_wrong)), "negatives", meaning)
        if wrong.dtype != y.dtype:
            raise ValueError(
                f"the callable given as negatives returned labels of {wrong.dtype}; they must be "
                f"of {y.dtype}, as those it was given."
            )
        if wrong.min() < 0 or wrong.max() >= n_classes:
            raise ValueError(
                f"the callable given as negatives returned labels from {wrong.min()} to "
                f"{wrong.max()}; they must be 0 to {n_classes - 1}."
            )
        return wrong


negatives = Family(
    "negatives",
    Negatives,
    FunctionNegatives,
    "(y, n_classes, draws) -> wrong labels",
    hint="; for wrong rows, give Corruption(function), OwnRows(rows) or HeldOutClasses(classes)",
)


def _sample_wrong(logits, y, n, draws):
    """`n` different labels per row, in proportion to softmax(logits), never the true one.

    Adding standard Gumbel noise to logits and taking the largest draws from their softmax.
    """
    u = draws.uniform(*logits.shape).clamp(1e-12, 1 - 1e-7)
    noisy = logits.clamp(-1e30, 1e30) - (-u.log()).log()
    noisy.scatter_(1, y[:, None], -torch.inf)
    return noisy.topk(min(n, logits.shape[1] - 1), dim=1).indices


@negatives.register("uniform")
class Uniform(Negatives):
    """Wrong labels with equal chances (Hinton, 2022); `n_negatives` different ones per row."""

    def __init__(self, n_negatives=1, redraw="batch"):
        self.n_negatives = n_negatives
        self.redraw = redraw

    def check(self):
        super().check()
        check_number(self, "n_negatives", at_least=1, whole=True)

    def draw(self, y, n_classes, draws, belief=None):
        level = y.new_zeros(len(y), n_classes, dtype=draws.dtype)
        return _sample_wrong(level, y, self.n_negatives, draws)


@negatives.register("hard")
class Hard(Negatives):
    """Wrong labels in proportion to the head's belief in them (Hinton's code, 2022).

    softmax(logits / `temperature`) with the true label masked: what the network confuses most it
    practises most.
    """

    needs_head = True

    def __init__(self, n_negatives=1, temperature=1.0):
        self.n_negatives = n_negatives
        self.temperature = temperature

    def check(self):
        super().check()
        check_number(self, "n_negatives", at_least=1, whole=True)
        check_number(self, "temperature", above=0)

    def draw(self, y, n_classes, draws, belief=None):
        return _sample_wrong(belief / self.temperature, y, self.n_negatives, draws)


@negatives.register("all")
class All(Negatives):
    """Every wrong label, for every row: no chance at all, at a cost of n_classes candidates."""

    def n_candidates(self, n_classes):
        return n_classes

    def draw(self, y, n_classes, draws, belief=None):
        others = torch.arange(1, n_classes, device=y.device)
        return (y[:, None] + others) % n_classes


@negatives.register("permuted")
class Permuted(Negatives):
    """The labels shuffled among the rows, as several published programs do.

    Flawed, and here for comparison: one "wrong" label in n_classes is the true one, for which the
    layer is asked to raise and to lower the same score.
    """

    never_true = False

    def __init__(self, redraw="epoch"):
        self.redraw = redraw

    def draw(self, y, n_classes, draws, belief=None):
        return y[draws.permutation(len(y))][:, None]
