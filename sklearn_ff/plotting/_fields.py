"""Receptive fields: what the units of a layer respond to."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Self

import numpy as np
import torch

from .._base import BaseFF, checked_rows
from .._machine import torch_threads
from .._scoring import parts_of
from ._base import (
    as_image_shape,
    as_pictures,
    dense,
    drop_frame,
    one_axes,
    prepared,
    pyplot,
    unwrapped,
)

MOST = 64  # units that are drawn if none are named
SMALL, GAP = 24, 0.1  # pixels of a tile at least, about; and a gap as a share of its shorter side


class ReceptiveFieldDisplay:
    """What the units of a layer respond to, as images.

    Create it by :meth:`from_estimator`.

    Parameters
    ----------
    fields : ndarray of shape (n_units, height, width) or (n_units, height, width, 3)
        An image for each unit.
    units : array-like of shape (n_units,)
        Indices of the units in the layer; of a convolution those of its channels.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    image_ : matplotlib AxesImage
        The drawn image.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    ReceptiveFieldDisplay.from_estimator : Receptive fields of a fitted estimator.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff import FFClassifier
    >>> from sklearn_ff.plotting import ReceptiveFieldDisplay
    >>> clf = FFClassifier(16, max_iter=3, random_state=0)
    >>> clf = clf.fit(*load_digits(return_X_y=True))
    >>> display = ReceptiveFieldDisplay.from_estimator(clf)
    >>> display.fields.shape
    (16, 8, 8)
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, fields: np.ndarray, units: Any) -> None:
        self.fields = fields
        self.units = units

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        layer: int = 0,
        units: Sequence[int] | None = None,
        image_shape: Sequence[int] | None = None,
        ax: Any = None,
        n_columns: int | None = None,
        cmap: Any = None,
    ) -> Self:
        """Compute the receptive fields of some units, and draw them.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator of the package, a pipeline that ends with one, or a search.
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or None, default=None
            None shows the weights of the first layer, for columns as they are scaled by the
            estimator; of a convolution its kernels. With rows, of any layer: by how much each
            column of X is higher, on average, where the activation of the unit is one deviation
            above its mean.
        layer : int, default=0
            Index of the layer. All but the first need X.
        units : sequence of int or None, default=None
            Indices of units: of layers that read images, numbers in the order (height, width,
            channel). None takes the first 64; of layers that read images, the channels at the
            centre of the image.
        image_shape : tuple of int or None, default=None
            (height, width) or (channels, height, width) of the image in a row. None is that of the
            estimator, or a square where the number of columns is one and names of columns, if any,
            begin alike; for other tables give ``(1, n_features)``.
        ax : matplotlib Axes or None, default=None
            As in :meth:`plot`.
        n_columns : int or None, default=None
            As in :meth:`plot`.
        cmap : str, Colormap or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : ReceptiveFieldDisplay
            The drawn object.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        before, found = unwrapped(estimator)
        index = checked_layer(found, layer)
        if X is None:
            fields, named = weights_of(found, index, units)
        else:
            fields, named = responses(found, prepared(before, X), dense(X), index, units)
        guess = found._fitted.plan.image_shape
        names = getattr(estimator, "feature_names_in_", None)
        shape = as_image_shape(fields.shape[1], image_shape, guess, names)
        if shape is None:
            raise ValueError(
                f"Rows of {fields.shape[1]} columns are no square images, or are named as a table; "
                f"give image_shape=(height, width), or (1, {fields.shape[1]}) for a table."
            )
        pictures = as_pictures(fields, shape)
        cut = X is None and units is None and found._fitted.plan.kinds[index].reads_images
        return cls(fields=cropped(pictures) if cut else pictures, units=named).plot(
            ax=ax, n_columns=n_columns, cmap=cmap
        )

    def plot(self, *, ax: Any = None, n_columns: int | None = None, cmap: Any = None) -> Self:
        """Draw the receptive fields as tiles of one image.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw. None makes a figure.
        n_columns : int or None, default=None
            Tiles beside each other; None makes the whole about a square.
        cmap : str, Colormap or None, default=None
            Colours of values below and above zero, which is in the middle; None is "RdBu_r". Every
            tile is divided by its largest absolute value. Three channels are red, green and blue
            around grey.

        Returns
        -------
        display : ReceptiveFieldDisplay
            This object.
        """
        caller = f"{type(self).__name__}.plot"
        pyplot(caller)
        tiles = enlarged(normalised(self.fields))
        n, height, width = tiles.shape[:3]
        n_columns = int(n_columns or np.ceil(np.sqrt(n * height / width)))
        n_columns = min(n, max(1, n_columns))
        n_rows = -(-n // n_columns)
        gap = max(1, round(GAP * min(height, width)))
        whole = mosaic(tiles, n_rows, n_columns, gap)
        size = 6.0 * np.array(whole.shape[1::-1]) / max(whole.shape[:2])
        self.ax_ = one_axes(caller, ax, (max(size[0], 2.0), max(size[1], 1.0)))
        options = {} if tiles.ndim == 4 else {"cmap": cmap or "RdBu_r", "vmin": -1, "vmax": 1}
        self.image_ = self.ax_.imshow(whole, interpolation="nearest", **options)
        self.ax_.set(xticks=[], yticks=[])
        drop_frame(self.ax_, "top", "right", "bottom", "left")
        self.figure_ = self.ax_.figure
        return self


def checked_layer(estimator: BaseFF, layer: int) -> int:
    depth = estimator._fitted.network.depth
    if not -depth <= layer < depth:
        raise ValueError(f"layer={layer} is not the index of one of {depth} layers.")
    return layer % depth


def chosen(units: Any, n_units: int, shape: Any) -> tuple[np.ndarray, np.ndarray]:
    """Indices of units in flat activations, and the numbers by which they are known."""
    if units is not None:
        flat = np.atleast_1d(units).astype(int)
        if flat.size == 0 or flat.min() < 0 or flat.max() >= n_units:
            raise ValueError(f"units={units!r}; give indices between 0 and {n_units - 1}.")
        return flat, flat
    if len(shape) != 3:
        first = np.arange(min(MOST, n_units))
        return first, first
    channels, height, width = shape
    first = np.arange(min(MOST, channels))
    return ((height // 2) * width + width // 2) * channels + first, first


def weights_of(estimator: BaseFF, index: int, units: Any) -> tuple[np.ndarray, np.ndarray]:
    """Weights of units of the first layer, as rows: gradients of its product, which is linear."""
    fitted = estimator._fitted
    affine = fitted.network.layers[index].affine
    if index or fitted.plan.kinds[index].composite:
        what = "A block" if fitted.plan.kinds[index].composite else f"Layer {index + 1}"
        raise ValueError(
            f"{what} is not linear in the columns, so that it has no weights to show as images; "
            f"give rows X, to show what its units respond to."
        )
    flat, named = chosen(units, affine.n_units, getattr(affine, "maps", affine.shape))
    weight = affine.bias
    with torch_threads(estimator.n_threads), torch.enable_grad():
        z = weight.new_zeros((len(flat), fitted.plan.n_features), requires_grad=True)
        product = affine.eval().product(z)
        own = product[torch.arange(len(flat)), torch.as_tensor(flat)].sum()
        (gradient,) = torch.autograd.grad(own, z)
    return gradient.double().cpu().numpy(), named


def responses(
    estimator: BaseFF, X: Any, columns: np.ndarray, index: int, units: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the columns, weighted by the standardised activations of units: (units, columns)."""
    with torch_threads(estimator.n_threads):
        fitted, rows = checked_rows(estimator, X)
        network, plan = fitted.network.eval(), fitted.plan
        affine = network.layers[index].affine
        flat, named = chosen(units, prod(affine.shape), affine.shape)

        def read(x: Any) -> Any:
            shown = network.encode(x)
            neutral = torch.full((len(shown), 1), network.n_classes, device=shown.device)
            for layer, _, _, h in network.activations(shown, neutral):
                if layer.index == index:
                    return h[:, 0, torch.as_tensor(flat, device=h.device)].double().cpu()

        found = [part.numpy() for _, part in parts_of(network, plan, rows, read, plan.width)]
    h = np.concatenate(found)
    h = (h - h.mean(0)) / np.maximum(h.std(0), np.finfo(float).tiny)
    return h.T @ (columns - columns.mean(0)) / len(h), named


def cropped(pictures: np.ndarray) -> np.ndarray:
    """Without the margin in which all of them are zero."""
    seen = np.abs(pictures).max(0)
    seen = seen.max(-1) if seen.ndim == 3 else seen
    rows, columns = np.flatnonzero(seen.max(1)), np.flatnonzero(seen.max(0))
    if not len(rows):
        return pictures
    return pictures[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def normalised(fields: np.ndarray) -> np.ndarray:
    """Every field divided by its largest absolute value; colours between 0 and 1 around grey."""
    most = np.abs(fields).max(axis=tuple(range(1, fields.ndim)), keepdims=True)
    fields = fields / np.where(most > 0, most, 1)
    return (fields + 1) / 2 if fields.ndim == 4 else fields


def enlarged(tiles: np.ndarray) -> np.ndarray:
    """With every pixel repeated, so that small tiles can have narrow gaps between them."""
    times = max(1, round(SMALL / min(tiles.shape[1:3])))
    return tiles.repeat(times, axis=1).repeat(times, axis=2)


def mosaic(tiles: np.ndarray, n_rows: int, n_columns: int, gap: int) -> np.ndarray:
    """Tiles as one image, with empty lines between them, which are not a number or white."""
    height, width = tiles.shape[1] + gap, tiles.shape[2] + gap
    size = (n_rows * height - gap, n_columns * width - gap)
    whole = np.full((*size, *tiles.shape[3:]), 1.0 if tiles.ndim == 4 else np.nan)
    for number, tile in enumerate(tiles):
        y, x = divmod(number, n_columns)
        whole[y * height : y * height + tile.shape[0], x * width : x * width + tile.shape[1]] = tile
    return whole
