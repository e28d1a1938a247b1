"""The base of negatives and their family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from .._draws import Draws
from .._parts import Family, Part, check_choice, check_device, checked_shape
from .._typing import Shape


class Negatives(Part):
    """Base of label negatives; see the module's docstring for the contract."""

    of_rows = False
    labelled = True
    needs_head = False
    never_true = True
    redraw = "batch"
    shows_strange = False  # whether the user gives negative rows as examples of strange ones
    varied = True  # whether an augmentation varies negative rows as it does positive ones
    own_rows = None  # negative rows that the user has given
    held_out = None  # labels of the rows that serve as negative ones
    mixes_rows = False  # whether a row's negatives are made of the other rows of a batch
    selects = False  # whether each layer learns from candidates that it selects by its scores
    n_views = 1  # number of views of a row that an augmentation makes

    def check(self) -> None:
        check_choice(self, "redraw", ("batch", "epoch", "once"))

    def draw(self, y: Tensor, n_classes: int, draws: Draws, belief: Tensor | None = None) -> Tensor:
        raise self.undefined("draw")

    def n_candidates(self, n_classes: int) -> int:
        """Number of candidates of a row, the positive one included; it bounds memory."""
        return min(1 + getattr(self, "n_negatives", 1), n_classes)

    def select(self, scores: Tensor, layer: Any, draws: Draws) -> Tensor:
        """The scores that a layer learns from, of those of all candidates."""
        return scores

    def candidates(self, x: Tensor, draws: Draws) -> Tensor:
        """The rows of the candidates: (rows, features), or (rows, candidates, features)."""
        return x

    def bind(self, pool: Any) -> Self:
        """This part with the rows that a fit has set aside for it, if any."""
        return self

    def for_images(self, image_shape: Shape) -> Self:
        """A copy of this part that reads rows as images of this shape."""
        return self


class FunctionNegatives(Negatives):
    """A user's callable as label negatives."""

    never_true = False

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function

    def draw(self, y: Tensor, n_classes: int, draws: Draws, belief: Tensor | None = None) -> Tensor:
        drawn = self.function(y, n_classes, draws)
        n_negatives = drawn.shape[1] if getattr(drawn, "ndim", 0) == 2 else 1
        meaning = "negative labels of shape (rows, n_negatives)"
        checked_shape(drawn, (len(y), max(1, n_negatives)), "negatives", meaning)
        if drawn.dtype != y.dtype:
            raise ValueError(
                f"the callable given as negatives returned labels of {drawn.dtype}; they must be "
                f"of {y.dtype}, as the given labels are."
            )
        check_device(drawn, y, "negatives")
        lowest, highest = torch.stack(drawn.aminmax()).tolist()  # one look at the device
        if lowest < 0 or highest >= n_classes:
            raise ValueError(
                f"the callable given as negatives returned labels from {lowest} to {highest}; they "
                f"must be 0 to {n_classes - 1}."
            )
        return drawn


negatives = Family(
    "negatives",
    Negatives,
    FunctionNegatives,
    "(y, n_classes, draws) -> negative labels",
    hint="; for negative rows, give Corruption(function), OwnRows(rows) or HeldOutClasses(classes)",
)
