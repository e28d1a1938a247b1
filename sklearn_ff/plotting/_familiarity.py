"""A map of familiarity: `score_samples` over a plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from ._base import dense, one_axes, pyplot

LINES = "#d1493f"


class FamiliarityDisplay:
    """A map of familiarity, `score_samples`, over a plane through the rows.

    Create it by :meth:`from_estimator`.

    Parameters
    ----------
    xx0, xx1 : ndarray of shape (grid_resolution, grid_resolution)
        Coordinates of the points of the plane.
    familiarity : ndarray of shape (grid_resolution, grid_resolution)
        Familiarity of these points.
    points : ndarray of shape (n_samples, 2)
        Coordinates of the rows.
    scores : ndarray of shape (n_samples,)
        Familiarity of the rows.
    labels : tuple of two str
        Names of the coordinates.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    surface_ : matplotlib QuadContourSet
        The map.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    FamiliarityDisplay.from_estimator : A map of the familiarity of a fitted estimator.
    sklearn.inspection.DecisionBoundaryDisplay : The same for decisions.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import make_moons
    >>> from sklearn_ff import FFTransformer
    >>> from sklearn_ff.plotting import FamiliarityDisplay
    >>> X, _ = make_moons(100, noise=0.05, random_state=0)
    >>> ff = FFTransformer(32, max_iter=10, random_state=0).fit(X)
    >>> display = FamiliarityDisplay.from_estimator(ff, X, grid_resolution=20)
    >>> display.familiarity.shape
    (20, 20)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        xx0: np.ndarray,
        xx1: np.ndarray,
        familiarity: np.ndarray,
        points: np.ndarray,
        scores: np.ndarray,
        labels: Sequence[str] = ("", ""),
    ) -> None:
        self.xx0, self.xx1 = xx0, xx1
        self.familiarity = familiarity
        self.points = points
        self.scores = scores
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        grid_resolution: int = 100,
        margin: float = 0.4,
        cmap: Any = None,
        ax: Any = None,
    ) -> Self:
        """Compute the familiarity of the points of a plane, and draw it.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator with `score_samples`, such as :class:`FFTransformer`, a pipeline that
            ends with one, or a detector of outliers of scikit-learn.
        X : array-like of shape (n_samples, n_features)
            Rows, which are drawn as points. Two columns are the plane; with more columns it is
            that of their first two principal components, through the mean row.
        grid_resolution : int, default=100
            Points of the plane in each direction.
        margin : float, default=0.4
            How far the plane reaches beyond the rows, as a share of their range; where they do not
            vary, of 1, or of their value if it is larger.
        cmap : str, Colormap or None, default=None
            As in :meth:`plot`.
        ax : matplotlib Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : FamiliarityDisplay
            The drawn object.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        score = getattr(estimator, "score_samples", None)
        if score is None:
            raise TypeError(
                f"{type(estimator).__name__} has no score_samples, of which a map could be drawn; "
                f"give an FFTransformer, or a detector of outliers."
            )
        rows = dense(X)
        if rows.ndim != 2 or rows.shape[1] < 2 or len(rows) < 2:
            raise ValueError(
                f"X has shape {rows.shape}, and a map needs two rows and two columns or more."
            )
        plane = Plane(rows, X if hasattr(X, "columns") else None)
        grid = [np.linspace(*plane.range(axis, margin), grid_resolution) for axis in (0, 1)]
        xx0, xx1 = np.meshgrid(*grid)
        there = plane.rows(np.stack([xx0.ravel(), xx1.ravel()], 1))
        display = cls(
            xx0=xx0,
            xx1=xx1,
            familiarity=np.asarray(score(plane.like_given(there))).reshape(xx0.shape),
            points=plane.points,
            scores=np.asarray(score(X)),
            labels=plane.labels,
        )
        return display.plot(cmap=cmap, ax=ax)

    def plot(self, *, cmap: Any = None, ax: Any = None) -> Self:
        """Draw the map, with lines that enclose the most familiar shares of the rows.

        Parameters
        ----------
        cmap : str, Colormap or None, default=None
            Colours from strange to familiar; None is "Blues". They are equally spaced in the root
            of the distance from the most familiar point.
        ax : matplotlib Axes or None, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        display : FamiliarityDisplay
            This object.
        """
        caller = f"{type(self).__name__}.plot"
        pyplot(caller)
        self.ax_ = ax = one_axes(caller, ax, (5.6, 4.4))
        best = max(self.familiarity.max(), self.scores.max())
        depth = np.sqrt(best - self.familiarity)  # scores are squared distances below zero
        self.surface_ = ax.contourf(self.xx0, self.xx1, -depth, levels=24, cmap=cmap or "Blues")
        ax.scatter(*self.points.T, s=8, color="#24292f", alpha=0.5, lw=0)
        for share, line in ((0.5, "solid"), (0.95, "dashed")):
            level = -np.sqrt(max(0.0, best - np.quantile(self.scores, 1 - share)))
            style = {"colors": LINES, "linewidths": 1.4, "linestyles": line}
            if -depth.max() < level < -depth.min():
                ax.contour(self.xx0, self.xx1, -depth, levels=[level], **style)
                ax.plot([], [], color=LINES, ls=line, label=f"{share:.0%} of the rows")
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="upper right", fontsize="small", framealpha=0.9)
        ax.set(xlabel=self.labels[0], ylabel=self.labels[1])
        self.figure_ = ax.figure
        return self


class Plane:
    """The plane of two columns, or of the first two principal components of more."""

    def __init__(self, rows: np.ndarray, frame: Any) -> None:
        self.frame, self.pca = frame, None
        if rows.shape[1] == 2:
            self.points = rows
            names = ("column 1", "column 2") if frame is None else frame.columns
            self.labels = tuple(map(str, names))
        else:
            with np.errstate(invalid="ignore"):  # the shares of no variance
                self.pca = PCA(2, svd_solver="covariance_eigh").fit(rows)
            self.points = self.pca.transform(rows)
            self.labels = ("first principal component", "second principal component")

    def range(self, axis: int, margin: float) -> tuple[float, float]:
        """Where the plane begins and ends."""
        low, high = self.points[:, axis].min(), self.points[:, axis].max()
        beyond = margin * (high - low or max(1.0, abs(low)))
        return low - beyond, high + beyond

    def rows(self, points: np.ndarray) -> np.ndarray:
        """The rows at points of the plane."""
        return points if self.pca is None else self.pca.inverse_transform(points)

    def like_given(self, rows: np.ndarray) -> Any:
        """As a data frame with the same names of columns, if one was given."""
        if self.frame is None:
            return rows
        return type(self.frame)(dict(zip(self.frame.columns, rows.T, strict=True)))
