"""Callbacks for training, in addition to those of :mod:`skorch.callbacks`.

A callback may have a method ``on_layer_scores(net, layer, scores, labels, weight)``, which is
called after every step of a layer with its index, the detached scores of the candidates, (rows,
candidates), the positive one first, the codes of the rows' labels, (rows,), and the rows' weights,
(rows,).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

__all__ = ["LayerMetric"]


class LayerMetric(Callback):
    """A number that your function computes from the scores of every layer.

    Its mean over the rows of an epoch is recorded in the history of ``net_`` as ``metric_1`` for
    the first layer, and so on, so that other callbacks can log it or stop by it.

    Parameters
    ----------
    function : callable
        (scores, labels) -> number: scores of a batch, (rows, candidates), the positive one first,
        and codes of the rows' labels, (rows,).
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

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.sums_: dict[int, tuple[Any, int]] = {}

    def on_layer_scores(
        self, net: Any, layer: int, scores: Tensor, labels: Tensor, weight: Tensor
    ) -> None:
        total, n_rows = self.sums_.get(layer, (0.0, 0))
        value = as_number(self.function(scores, labels), scores)
        self.sums_[layer] = total + value * len(scores), n_rows + len(scores)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        for layer, (total, n_rows) in self.sums_.items():
            net.history.record(f"{self.name}_{layer + 1}", float(total / n_rows))


def as_number(value: Any, like: Tensor) -> Tensor:
    """The result of a metric as a number that stays on the device."""
    try:
        return torch.as_tensor(value, dtype=like.dtype, device=like.device).detach().reshape(())
    except (TypeError, ValueError, RuntimeError) as error:
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        raise ValueError(
            f"the function of LayerMetric must return a number, but it returned "
            f"{type(value).__name__}{shape}."
        ) from error
