"""Learning curves: what `history_` holds, for every layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from ._base import drop_frame, many_axes, pyplot, unwrapped, whole_numbers

TITLES = {
    "loss": "Loss",
    "goodness": "Goodness (dotted: negative)",
    "ranking_accuracy": "Positive candidate scores higher",
    "validation": "Accuracy on held-out rows",
}
UNITS = {
    "loss": "loss",
    "goodness": "goodness",
    "ranking_accuracy": "share of rows",
}


class HistoryDisplay:
    """Learning curves of every layer.

    Create it by :meth:`from_estimator`.

    Parameters
    ----------
    history : dict of str to ndarray of shape (n_epochs, n_layers)
        As `history_` of an estimator.
    validation_scores : sequence of float or None, default=None
        The score of held-out rows after every epoch, as `validation_scores_`.
    score_name : str, default="accuracy"
        What that score is called.
    validation_losses : sequence of float or None, default=None
        Loss of held-out rows after every epoch, as `validation_loss_curve_`.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        One for each statistic.
    lines_ : dict of str to list of matplotlib Line2D
        The curves of each statistic.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    HistoryDisplay.from_estimator : Learning curves of a fitted estimator.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ff import FFClassifier
    >>> from sklearn_ff.plotting import HistoryDisplay
    >>> clf = FFClassifier((16, 16), max_iter=5, random_state=0)
    >>> clf = clf.fit(*load_iris(return_X_y=True))
    >>> display = HistoryDisplay.from_estimator(clf)
    >>> [*display.lines_]
    ['loss', 'goodness', 'ranking_accuracy']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        history: Mapping[str, Any],
        validation_scores: Sequence[float] | None = None,
        score_name: str = "accuracy",
        validation_losses: Sequence[float] | None = None,
    ) -> None:
        self.history = history
        self.validation_scores = validation_scores
        self.score_name = score_name
        self.validation_losses = validation_losses

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, statistics: Sequence[str] | None = None, ax: Any = None
    ) -> Self:
        """Draw the learning curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator of the package, a pipeline that ends with one, or a search.
        statistics : list of str or None, default=None
            What to draw, as in :meth:`plot`.
        ax : matplotlib Axes, array of them or None, default=None
            Where to draw, as in :meth:`plot`.

        Returns
        -------
        display : HistoryDisplay
            The drawn object.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        _, found = unwrapped(estimator)
        display = cls(
            history=found.history_,
            validation_scores=found.validation_scores_,
            score_name=name_of_score(found),
            validation_losses=getattr(found, "validation_loss_curve_", None),
        )
        return display.plot(statistics=statistics, ax=ax)

    def plot(self, *, statistics: Sequence[str] | None = None, ax: Any = None) -> Self:
        """Draw the learning curves.

        Parameters
        ----------
        statistics : list of str or None, default=None
            Some of "loss" (dashed that of held-out rows, averaged over the layers), "goodness" (of
            positive candidates, and dotted that of negative ones),
            "ranking_accuracy" and "validation", in the order of the panels. None draws all that
            there are.
        ax : matplotlib Axes, array of them or None, default=None
            Axes, one for each statistic. None makes a figure.

        Returns
        -------
        display : HistoryDisplay
            This object.
        """
        caller = f"{type(self).__name__}.plot"
        pyplot(caller)
        shown = self._checked(statistics)
        axes = many_axes(caller, ax, len(shown), (4.2, 3.4), 4)
        self.lines_ = {
            name: self._panel(axis, name) for axis, name in zip(axes, shown, strict=True)
        }
        self.ax_, self.figure_ = axes, axes[0].figure
        return self

    def _checked(self, statistics: Sequence[str] | None) -> list[str]:
        there = [name for name in TITLES if name != "validation"]
        there += ["validation"] * (self.validation_scores is not None)
        asked = there if statistics is None else np.atleast_1d(statistics).tolist()
        unknown = [name for name in asked if name not in TITLES]
        if unknown or not asked:
            raise ValueError(f"statistics={statistics!r}; give some of {', '.join(TITLES)}.")
        if "validation" in asked and self.validation_scores is None:
            raise ValueError(
                "There are no scores of held-out rows to draw; fit with early_stopping=True, or "
                "with X_val and y_val."
            )
        return asked

    def _panel(self, axis: Any, name: str) -> list[Any]:
        lines = []
        for label, style, values in self._curves(name):
            # A curve of one epoch, or one between epochs in which the layer rests, is a point.
            marker = "o" if has_lone_points(values) else None
            epochs = np.arange(1, len(values) + 1)
            lines += axis.plot(epochs, values, label=label, marker=marker, ms=4, lw=2, **style)
        axis.set(title=TITLES[name], xlabel="epoch", ylabel=UNITS.get(name, self.score_name))
        whole_numbers(axis.xaxis)
        axis.grid(axis="y", alpha=0.3)
        drop_frame(axis)
        if len(axis.get_legend_handles_labels()[0]) > 1:
            axis.legend(frameon=False, fontsize="small")
        return lines

    def _curves(self, name: str) -> list[tuple[str, dict[str, Any], np.ndarray]]:
        """Label, style and values of the curves of a statistic."""
        if name == "validation":
            return [("held-out rows", {"color": "0.25"}, np.asarray(self.validation_scores, float))]
        if name == "loss" and self.validation_losses is not None:
            style = {"color": "0.25", "linestyle": "--"}
            held_out = "held-out rows", style, np.asarray(self.validation_losses, float)
            return [*self._by_layer(name, "", "-"), held_out]
        if name != "goodness":
            return self._by_layer(name, "", "-")
        positive = self._by_layer("goodness_positive", "", "-")
        return positive + self._by_layer("goodness_negative", "_", ":")  # without a legend

    def _by_layer(self, key: str, beginning: str, line: str) -> list[Any]:
        return [
            (f"{beginning}layer {layer + 1}", {"color": f"C{layer}", "linestyle": line}, values)
            for layer, values in enumerate(np.asarray(self.history[key], float).T)
        ]


def name_of_score(estimator: Any) -> str:
    """What an estimator scores held-out rows by."""
    scoring = getattr(estimator, "scoring", None)
    if scoring is None:
        return "accuracy"
    return scoring.replace("_", " ") if isinstance(scoring, str) else "score"


def has_lone_points(values: np.ndarray) -> bool:
    """Whether a number has none beside it, so that no line shows it."""
    there = np.isfinite(values)
    beside = np.r_[False, there[:-1]] | np.r_[there[1:], False]
    return bool((there & ~beside).any())
