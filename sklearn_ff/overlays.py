"""Overlays: how a label is shown to the network.

The contract. Every overlay is affine in the label: row x shown with label c is

    encode(x, c) = base(x) + code[c],

so W·encode(x, c) = W·base(x) + W·code[c], and the large product W·base(x) is computed once per row
for all labels. `base(x, n_classes)` returns rows of the same shape as x. The code has one of two
forms, both scaled by the `strength` s:

* `label_layers = None`: `code(n_features, n_classes)` returns one row per class in the space of
  the features, which the first layer sees through its own weights;
* `label_layers = "first"` or "all": the label has additional input columns, one per class, in the
  first or in every layer. Their weights U are stored separately, and W·code[c] is s·U[c].

The neutral label is the mean code. A callable `(n_features, n_classes) -> code` is accepted too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from ._params import brief
from ._parts import Family, Part, check_flag, check_number, is_number
from ._typing import Shape

__all__ = [
    "Add",
    "Append",
    "Channel",
    "EveryLayer",
    "Overlay",
    "Replace",
    "Spatial",
    "overlays",
]


class Overlay(Part):
    """Base of an overlay; see the module's docstring for the contract."""

    label_layers: str | None = None
    overwrites = False
    local = False  # whether only some columns carry the label
    is_default = False  # whether it equals the default of the estimators
    plane = False  # whether the label has a separate weight for every unit of a map
    strength: float | str = 1.0

    def check(self) -> None:
        if self.label_layers is None and type(self).code is Overlay.code:
            raise self.undefined("code(n_features, n_classes), nor label_layers")
        if not (isinstance(self.strength, str) and self.strength in ("auto", "max")):
            check_number(self, "strength", above=0)

    def base(self, x: Tensor, n_classes: int) -> Tensor:
        return x

    def code(self, n_features: int, n_classes: int) -> Tensor | None:
        return None

    def check_room(self, n_features: int, n_classes: int) -> None:
        """Raise ValueError where this overlay cannot show so many classes in so many features."""

    def for_images(self, image_shape: Shape) -> Self:
        """A copy of this part that reads rows as images of this shape."""
        return self


overlays = Family(
    "overlay",
    Overlay,
    lambda f: Add(matrix=f),
    "(n_features, n_classes) -> code matrix",
    hint="; an array is given as Add(matrix=array)",
)


@overlays.register("append")
class Append(Overlay):
    """One additional column per class; no feature is lost.

    The additional columns have separate weights U, so rows are not padded: the first layer computes
    W x + s U[c], which is the product with the concatenated row.
    """

    label_layers = "first"
    local = True

    def __init__(self, strength: float | str = "auto") -> None:
        self.strength = strength

    @property
    def is_default(self) -> bool:
        return type(self) is Append and self.strength == "auto"


@overlays.register("channel")
class Channel(Overlay):
    """One additional plane per class over an image, so that every receptive field sees the label.

    By default every unit of the first layer has a weight for every class, which amounts to learned
    planes. With `learned=False` the plane of the shown class has the constant value `strength`, and
    the layer reads it through one weight per class and channel.
    """

    label_layers = "first"

    def __init__(self, learned: bool = True, strength: float | str = "auto") -> None:
        self.learned = learned
        self.strength = strength

    def check(self) -> None:
        super().check()
        check_flag(self, "learned")

    @property
    def plane(self) -> bool:
        return bool(self.learned)


@overlays.register("every_layer")
class EveryLayer(Overlay):
    """A learned code added to the pre-activation of every layer, the first included."""

    label_layers = "all"

    def __init__(self, strength: float | str = "auto") -> None:
        self.strength = strength


@overlays.register("replace")
class Replace(Overlay):
    """One-hot label written over features (Hinton, 2022): "first", "last", or a list of indices.

    The overwritten features are lost, which is harmless only where they carry no information, as on
    the border of MNIST. Their weights serve the label alone, and are stored with the label.
    """

    label_layers = "first"
    overwrites = local = True

    def __init__(
        self, features: str | Sequence[int] = "first", strength: float | str = "auto"
    ) -> None:
        self.features = features
        self.strength = strength

    def base(self, x: Tensor, n_classes: int) -> Tensor:
        base = x.clone()
        base[..., self._columns(n_classes)] = 0
        return base

    def _columns(self, n_classes: int) -> slice | list[int]:
        if isinstance(self.features, str):
            return slice(0, n_classes) if self.features == "first" else slice(-n_classes, None)
        return list(self.features)

    def check_room(self, n_features: int, n_classes: int) -> None:
        if isinstance(self.features, str):
            if self.features not in ("first", "last"):
                raise ValueError(
                    f"features={self.features!r}; Replace takes 'first', 'last' or column indices."
                )
            if n_classes > n_features:
                raise ValueError(
                    f"overlay='replace' needs one feature per class, but X has {n_features} "
                    f"features for {n_classes} classes; use overlay='append'."
                )
        elif not self._are_columns(n_features, n_classes):
            raise ValueError(
                f"features={brief(self.features)} must be a list of {n_classes} different column "
                f"indices below {n_features}, one per class."
            )

    def _are_columns(self, n_features: int, n_classes: int) -> bool:
        listed = isinstance(self.features, (list, tuple, range, np.ndarray))
        columns: list[Any] = list(self.features) if listed else []
        if not all(is_number(j, whole=True) and 0 <= j < n_features for j in columns):
            return False
        return len(columns) == len(set(columns)) == n_classes


@overlays.register("add")
class Add(Overlay):
    """A code added to the features: the user's `matrix`, shape (n_classes, n_features).

    `matrix` may be a callable (n_features, n_classes) -> matrix. By default class c adds the cosine
    wave √2 cos(π (c + 1) (j + ½) / n_features) over the features j; waves of classes are
    orthogonal.
    """

    data = ("matrix",)

    def __init__(self, matrix: Any = None, strength: float | str = "auto") -> None:
        self.matrix = matrix
        self.strength = strength

    def code(self, n_features: int, n_classes: int) -> Tensor:
        if self.matrix is None:
            return _waves(n_features, n_classes)
        matrix = self.matrix(n_features, n_classes) if callable(self.matrix) else self.matrix
        return as_code(matrix, self)

    def check_room(self, n_features: int, n_classes: int) -> None:
        shape = tuple(self.code(n_features, n_classes).shape)
        if shape != (n_classes, n_features):
            raise ValueError(
                f"the overlay's code has shape {shape}; it must be (n_classes, n_features) = "
                f"({n_classes}, {n_features})."
            )


@overlays.register("spatial")
class Spatial(Overlay):
    """A wave over the whole image, whose direction is the class (Scodellaro et al., 2023).

    Class c adds √2 cos(2π r·e_c / `wavelength`) at place r of every channel, with unit vectors e_c
    spread over half a turn, so every receptive field sees the label. With a list of m wavelengths,
    classes have these in turn, and m of them share a direction.
    """

    needs_image = True

    def __init__(
        self,
        wavelength: float | Sequence[float] = 5.0,
        image_shape: Shape | None = None,
        strength: float | str = "auto",
    ) -> None:
        self.wavelength = wavelength
        self.image_shape = image_shape
        self.strength = strength

    def check(self) -> None:
        super().check()
        if not isinstance(self.wavelength, (list, tuple)):
            return check_number(self, "wavelength", above=0)
        lengths = self.wavelength
        if not (lengths and all(is_number(one) and 1e-3 <= one <= 1e6 for one in lengths)):
            raise ValueError(
                f"Spatial(wavelength={lengths!r}) cannot be used: wavelength must be a number, or "
                f"a list of numbers, of pixels from 0.001 to 1e6."
            )

    def for_images(self, image_shape: Shape) -> Self:
        return self.changed(image_shape=image_shape)

    def check_room(self, n_features: int, n_classes: int) -> None:
        if self.image_shape is None:
            raise ValueError(
                "overlay='spatial' adds a wave to images, but the shape of the images is not "
                "known; set image_shape=(channels, height, width)."
            )

    def code(self, n_features: int, n_classes: int) -> Tensor:
        assert self.image_shape is not None  # see `check_room`
        channels, height, width = self.image_shape
        lengths = torch.tensor(self.wavelength, dtype=torch.float64).reshape(-1)
        c = torch.arange(n_classes)
        place, n_places = c // len(lengths), -(-n_classes // len(lengths))
        turn = math.pi * place.double() / n_places
        y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
        x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
        along = turn.cos()[:, None, None] * x + turn.sin()[:, None, None] * y
        number = 2 * math.pi / lengths[c % len(lengths)]
        wave = math.sqrt(2) * (number[:, None, None] * along).cos()
        return wave.repeat(1, channels, 1).reshape(n_classes, n_features)


def is_real(tensor: Tensor) -> bool:
    """Whether it holds real numbers; a tensor on the device meta has only a shape."""
    return not (tensor.is_meta or tensor.is_complex())


def as_code(matrix: Any, overlay: Overlay) -> Tensor:
    """A user's matrix in double precision; ValueError where it holds no real numbers."""
    if isinstance(matrix, torch.Tensor) and is_real(matrix):
        return matrix.detach().to_dense().to("cpu", torch.float64, copy=True)
    if issparse(matrix):
        matrix = matrix.toarray()
    kind = f"a {type(matrix).__name__} on the device 'meta', without values"
    if not isinstance(matrix, torch.Tensor) or not matrix.is_meta:
        try:
            values = np.asarray(matrix)
        except (TypeError, ValueError, RuntimeError):
            kind = f"a {type(matrix).__name__} that numpy cannot make an array of numbers"
        else:
            if values.dtype.kind in "biuf":
                return torch.from_numpy(values.astype(np.float64))
            kind = f"a {type(matrix).__name__} of dtype {values.dtype}"
    raise ValueError(
        f"overlay={overlay!r} needs a matrix of real numbers, an array or a tensor of shape "
        f"(n_classes, n_features), but it is {kind}."
    )


def _waves(n_features: int, n_classes: int) -> Tensor:
    j = torch.arange(n_features, dtype=torch.float64) + 0.5
    c = torch.arange(n_classes, dtype=torch.float64)[:, None] + 1
    return math.sqrt(2) * (math.pi * c * j / n_features).cos()


def with_neutral(codes: Tensor) -> Tensor:
    """The codes (n_classes, ...) with the neutral label, their mean, as one more row."""
    return torch.cat([codes, codes.mean(0, keepdim=True)])
