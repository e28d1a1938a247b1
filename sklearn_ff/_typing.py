"""Names of types that signatures share."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from torch import Tensor

__all__ = ["Function", "MatrixLike", "OneOrEach", "OneOrMore", "Shape"]

T = TypeVar("T")

Function = Callable[[Tensor], Tensor]
MatrixLike = Any  # array-like, sparse or data frame, for which there is no common type
OneOrEach: TypeAlias = T | Sequence[T]  # one for all layers, or one for each
OneOrMore: TypeAlias = T | Sequence[T]  # one, or several that act in turn
Shape = tuple[int, ...]
