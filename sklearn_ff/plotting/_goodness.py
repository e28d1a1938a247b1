"""The goodness of every label, for some rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils import check_consistent_length

from .._base import BaseFF
from ..core.prediction import reached
from ._base import (
    as_image_shape,
    as_pictures,
    dense,
    drop_frame,
    many_axes,
    one_axes,
    prepared,
    pyplot,
    unwrapped,
    whole_numbers,
)

MOST = 24  # rows that are drawn as panels
TRUE, MISTAKEN, OTHER = "#2563a8", "#d1493f", "#c3cad2"


class GoodnessDisplay:
    """The goodness of every label, for some rows.

    Create it by :meth:`from_estimator`.

    Parameters
    ----------
    goodness : ndarray of shape (n_samples, n_classes)
        Goodness of the rows with every label.
    classes : array-like of shape (n_classes,)
        The labels.
    y : array-like of shape (n_samples,) or None, default=None
        True labels.
    images : ndarray of shape (n_samples, height, width, ...) or None, default=None
        The rows as images.

    Attributes
    ----------
    ax_ : matplotlib Axes or ndarray of them
        The axes: one for each row, or a single one for "heatmap".
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    GoodnessDisplay.from_estimator : Goodness of the labels by a fitted estimator.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ff import FFClassifier
    >>> from sklearn_ff.plotting import GoodnessDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FFClassifier(16, max_iter=5, random_state=0).fit(X, y)
    >>> display = GoodnessDisplay.from_estimator(clf, X[::50], y[::50])
    >>> display.goodness.shape
    (3, 3)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        goodness: np.ndarray,
        classes: Any,
        y: Any = None,
        images: np.ndarray | None = None,
    ) -> None:
        self.goodness = goodness
        self.classes = classes
        self.y = y
        self.images = images

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        layer: int | None = None,
        image_shape: Sequence[int] | None = None,
        kind: str = "bars",
        ax: Any = None,
        n_columns: int = 4,
    ) -> Self:
        """Compute the goodness of every label, and draw it.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator that has learned labels, a pipeline that ends with one, or a search.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; a few, such as ``X_test[:8]``.
        y : array-like of shape (n_samples,) or None, default=None
            Their labels, if they are known.
        layer : int or None, default=None
            Index of a layer. None is the sum over the layers that count for the prediction.
        image_shape : tuple of int or None, default=None
            (height, width) or (channels, height, width) of the image in a row. None is that of the
            estimator, or a square where the number of columns is one; rows of other tables, and of
            columns with names that do not begin alike, are not drawn.
        kind : {"bars", "heatmap"}, default="bars"
            As in :meth:`plot`.
        ax : matplotlib Axes, array of them or None, default=None
            As in :meth:`plot`.
        n_columns : int, default=4
            As in :meth:`plot`.

        Returns
        -------
        display : GoodnessDisplay
            The drawn object.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        before, found = unwrapped(estimator)
        check_consistent_length(X, y)
        goodness = goodness_of(found, prepared(before, X), layer)
        rows = pixels(X, image_shape)
        guess = None if rows is None else found._fitted.plan.image_shape
        names = getattr(estimator, "feature_names_in_", None)
        shape = None if rows is None else as_image_shape(rows.shape[1], image_shape, guess, names)
        display = cls(
            goodness=goodness,
            classes=found.classes_,
            y=None if y is None else np.asarray(y),
            images=None if rows is None or shape is None else as_pictures(rows, shape),
        )
        return display.plot(kind=kind, ax=ax, n_columns=n_columns)

    def plot(self, *, kind: str = "bars", ax: Any = None, n_columns: int = 4) -> Self:
        """Draw the goodness of every label.

        Parameters
        ----------
        kind : {"bars", "heatmap"}, default="bars"
            A panel with bars for each row, beside its image if it has one; or all rows as lines of
            one table of colours. Both show by how much the goodness of a label is above that of the
            lowest one of the row.
        ax : matplotlib Axes, array of them or None, default=None
            Axes, one for each row, or a single one for "heatmap". None makes a figure.
        n_columns : int, default=4
            Panels beside each other in a new figure.

        Returns
        -------
        display : GoodnessDisplay
            This object.
        """
        caller = f"{type(self).__name__}.plot"
        pyplot(caller)
        if kind not in ("bars", "heatmap"):
            raise ValueError(f"kind={kind!r} is not known; give 'bars' or 'heatmap'.")
        above = self.goodness - self.goodness.min(1, keepdims=True)
        if kind == "heatmap":
            self.ax_ = self._heatmap(one_axes(caller, ax, (6, 1 + 0.3 * len(above))), above)
            self.figure_ = self.ax_.figure
            return self
        if ax is None and len(above) > MOST:
            raise ValueError(
                f"X has {len(above)} rows, and bars are drawn for at most {MOST}; give fewer rows, "
                f"or kind='heatmap'."
            )
        width = 2.6 if self.images is None else 3.6
        height = max(1.8, 0.6 + 0.17 * len(self.classes))
        axes = many_axes(caller, ax, len(above), (width, height), n_columns)
        for row, axis in enumerate(axes):
            self._bars(axis, row, above[row], above.max())
        self.ax_, self.figure_ = axes, axes[0].figure
        return self

    @property
    def _predicted(self) -> np.ndarray:
        return self.goodness.argmax(1)

    def _truth(self, row: int) -> int | None:
        """The place of a row's true label among the classes, if it is known and one of them."""
        if self.y is None:
            return None
        found = np.flatnonzero(np.asarray(self.classes) == self.y[row])
        return int(found[0]) if len(found) else None

    def _bars(self, axis: Any, row: int, above: np.ndarray, most: float) -> None:
        guess, truth = self._predicted[row], self._truth(row)
        colors = [OTHER] * len(above)
        colors[guess] = TRUE if self.y is None else MISTAKEN
        if truth is not None:
            colors[truth] = TRUE
        axis.barh(range(len(above)), above, color=colors, height=0.75)
        axis.set_yticks(range(len(above)), [str(label) for label in self.classes])
        axis.set_xlim(0, 1.05 * most or 1)
        axis.invert_yaxis()
        axis.tick_params(axis="y", length=0, labelsize="small")
        axis.tick_params(axis="x", labelsize="small")
        axis.set_xlabel("goodness above the lowest", fontsize="small", loc="right")
        drop_frame(axis)
        self._title(axis, row, guess == truth)
        if self.images is not None:
            draw_image(beside(axis), self.images[row])

    def _title(self, axis: Any, row: int, agrees: bool) -> None:
        seen = f"seen as {self.classes[self._predicted[row]]}"
        if self.y is None:
            axis.set_title(seen, fontsize="medium", loc="left")
        else:
            color = "black" if agrees else MISTAKEN
            axis.set_title(f"{self.y[row]}, {seen}", color=color, fontsize="medium", loc="left")

    def _heatmap(self, axis: Any, above: np.ndarray) -> Any:
        drawn = axis.imshow(above, cmap="Blues", aspect="auto")
        axis.figure.colorbar(drawn, ax=axis, label="goodness above the lowest")
        axis.set_xticks(range(len(self.classes)), [str(label) for label in self.classes])
        if max(len(str(label)) for label in self.classes) > 4:
            axis.tick_params(axis="x", rotation=45)
        truths = [self._truth(row) for row in range(len(above))]
        marked = [(truth, row) for row, truth in enumerate(truths) if truth is not None]
        if marked:
            axis.scatter(*np.transpose(marked), s=18, color="white", edgecolor=MISTAKEN, lw=1.5)
        axis.set(xlabel="label" + " (circle: true label)" * bool(marked), ylabel="row")
        whole_numbers(axis.yaxis)
        return axis


def goodness_of(estimator: BaseFF, X: Any, layer: int | None) -> np.ndarray:
    """The goodness of the rows with every label, of a layer or summed over those that count."""
    plan, network = estimator._fitted.plan, estimator._fitted.network
    if plan.n_classes < 2:
        raise ValueError(
            f"{type(estimator).__name__} has not learned labels, so that there is no goodness of "
            f"labels; see FamiliarityDisplay for the familiarity of rows."
        )
    if not plan.shows_labels and not any(part.scores_classes for part in goodness_parts(plan)):
        raise ValueError(
            "No layer is shown a label or scores classes, so that the goodness of all labels is "
            "the same; draw predict_proba instead."
        )
    if layer is not None and not -network.depth <= layer < network.depth:
        raise ValueError(f"layer={layer} is not the index of one of {network.depth} layers.")
    scores = estimator.layer_scores(X)
    if layer is not None:
        return scores[:, layer]
    counted = reached(network, plan.counted) or [network.depth - 1]
    return scores[:, list(counted)].sum(1)


def goodness_parts(plan: Any) -> list[Any]:
    return [plan.goodness.for_layer(index) for index in range(len(plan.kinds))]


def pixels(X: Any, image_shape: Any) -> np.ndarray | None:
    """Rows as numbers; None for a table whose columns are no numbers, and so no pixels."""
    try:
        return dense(X)
    except (TypeError, ValueError):
        if image_shape is not None:
            raise
        return None


def beside(axis: Any) -> Any:
    """New axes in the left half of the place of others."""
    place = axis.get_subplotspec()
    if place is None:  # of axes at a place of their own, part of which cannot be given away
        return axis.inset_axes((0.62, 0.55, 0.36, 0.42))
    left, right = place.subgridspec(1, 2, width_ratios=[1, 1.2], wspace=0.02)
    axis.set_subplotspec(right)
    return axis.figure.add_subplot(left)


def draw_image(axis: Any, image: np.ndarray) -> None:
    if image.ndim == 3:
        low, high = image.min(), image.max()
        image = (image - low) / ((high - low) or 1)
    axis.imshow(image, cmap="gray_r")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_color("0.8")
