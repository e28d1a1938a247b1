"""Callbacks for training, in addition to those of :mod:`skorch.callbacks`.

A callback may have a method ``on_layer_scores(net, layer, scores, labels, weight)``, which is
called after every step of a layer with its index, the detached scores of the candidates, (rows,
candidates), the positive one first, the codes of the rows' labels, (rows,), and the rows' weights,
(rows,).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from ._parts import is_number

__all__ = ["Checkpoint", "LayerMetric"]


class Checkpoint(Callback):
    """Files from which a fit goes on in another process, to the same bits.

    A fit with the same parameters and rows finds its file in the folder and goes on after the last
    epoch that it holds; without a file it begins. A file stays when its fit has ended, and the same
    fit then returns at once; delete the folder to begin again. Several fits may share a folder.
    See docs/saving.md.

    Parameters
    ----------
    folder : str or path-like
        Folder of the files; it is made if it is not there.
    every_epochs : int or None, default=1
        Number of epochs of a stage after which a file is written. It is written at the end of a
        stage in any case.
    every_minutes : float or None, default=None
        Minutes after which a file is written, at the end of the epoch.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ff import FFClassifier
    >>> from sklearn_ff.callbacks import Checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clf = FFClassifier(16, callbacks=[Checkpoint(folder)], max_iter=3, random_state=0)
    ...     again = clf.fit(*load_iris(return_X_y=True)).fit(*load_iris(return_X_y=True))
    >>> again.n_iter_
    3
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        every_epochs: int | None = 1,
        every_minutes: float | None = None,
    ) -> None:
        self.folder = folder
        self.every_epochs = every_epochs
        self.every_minutes = every_minutes

    def check(self) -> None:
        """Raise ValueError where a parameter is not valid."""
        if not isinstance(self.folder, (str, os.PathLike)):
            raise ValueError(f"Checkpoint(folder={self.folder!r}) must be given a path.")
        epochs, minutes = self.every_epochs, self.every_minutes
        if not (epochs is None or (is_number(epochs, whole=True) and epochs >= 1)):
            raise ValueError(
                f"Checkpoint(every_epochs={epochs!r}) must be a positive whole number, or None."
            )
        if not (minutes is None or (is_number(minutes) and minutes >= 0)):
            raise ValueError(
                f"Checkpoint(every_minutes={minutes!r}) must be a number from 0, or None."
            )


class LayerMetric(Callback):
    """A number that your function computes from the scores of every layer.

    Its mean over the rows of an epoch is recorded in the history of ``net_`` as ``metric_1`` for
    the first layer, and so on, so that other callbacks can log it or stop by it.

    Parameters
    ----------
    function : callable
        (scores, labels) -> number, or one number per row: of the scores of a batch,
        (rows, candidates), the positive one first, and of the numbers of the rows' labels, (rows,).
        Numbers per row are averaged by the weights of the rows, one number by their sum.
    name : str, default="metric"
        Beginning of the keys of the history.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ff import FFClassifier
    >>> from sklearn_ff.callbacks import LayerMetric
    >>> def spread(scores, labels):
    ...     return scores.std()
    >>> clf = FFClassifier(16, max_iter=3, callbacks=[LayerMetric(spread)], random_state=0)
    >>> len(clf.fit(*load_iris(return_X_y=True)).net_.history[:, "metric_1"])
    3
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Any], name: str = "metric") -> None:
        self.function = function
        self.name = name

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        if not callable(self.function):
            raise ValueError(
                f"LayerMetric({self.function!r}) cannot be called; give a function (scores, "
                f"labels) -> number."
            )
        others = [one for _, one in net.callbacks_ if getattr(one, "sums_name", None) == self.name]
        if len(others) > 1:
            raise ValueError(
                f"callbacks holds {len(others)} metrics named {self.name!r}, of which the history "
                f"would keep one; give each a name, as in LayerMetric(function, name='spread')."
            )

    @property
    def sums_name(self) -> str:
        """What tells metrics of the same name."""
        return self.name

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.sums_: dict[int, tuple[Any, Any]] = {}

    def on_layer_scores(
        self, net: Any, layer: int, scores: Tensor, labels: Tensor, weight: Tensor
    ) -> None:
        total, rows = self.sums_.get(layer, (0.0, 0.0))
        value = as_numbers(self.function(scores, labels), scores)
        self.sums_[layer] = total + (weight * value).sum(), rows + weight.sum()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        for layer, (total, rows) in self.sums_.items():
            net.history.record(f"{self.name}_{layer + 1}", float(total / rows))
        self.sums_ = {}  # nothing of the device stays in a pickle


def as_numbers(value: Any, like: Tensor) -> Tensor:
    """The result of a metric as a number per row of `like`, on its device."""
    try:
        value = torch.as_tensor(value, dtype=like.dtype, device=like.device).detach()
        return value.expand(len(like)) if value.ndim == 0 else value.reshape(len(like))
    except (TypeError, ValueError, RuntimeError) as error:
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        raise ValueError(
            f"the function of LayerMetric must return a number, or one per row, but it returned "
            f"{type(value).__name__}{shape}."
        ) from error
