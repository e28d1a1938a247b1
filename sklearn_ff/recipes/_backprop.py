"""Backpropagation by the same code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._classifier import FFClassifier
from ..layers import Block
from ..objectives import Softmax
from ._settings import ready, refuse_sizes


def backpropagation(layers: Sequence[Any] = (500, 500), **overrides: Any) -> FFClassifier:
    """Plain backpropagation by the same code, to compare with: one block with a linear readout.

    Settings: all layers in one block, whose weights follow the gradient of the cross entropy of a
    linear readout of its last layer, as does the readout; no label is shown. ReLU; Adam at a rate
    of 0.001 that falls linearly to zero; batches of 128; no penalty on weights.

    Published: about 1.4 % test error on MNIST without knowledge of images, for networks of a few
    dense layers with backpropagation (Hinton, 2022).

    What differs: first weights are normal with variance 1 / inputs, biases and the readout zero,
    where torch's layers start uniform, as ``Dense(500, weight_init="uniform")`` does. Columns are
    scaled as elsewhere in the package, and the number of epochs is by the number of rows.

    Parameters
    ----------
    layers : sequence, default=(500, 500)
        Layers of the block, as in the parameter `layers` of :class:`FFClassifier`.
    **overrides : dict
        Parameters of :class:`FFClassifier` that replace those of the recipe.

    Returns
    -------
    clf : FFClassifier
        Not fitted.

    References
    ----------
    Hinton, G. (2022). The Forward-Forward Algorithm: Some Preliminary Investigations.
    arXiv:2212.13345.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff.recipes import backpropagation
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = backpropagation(layers=(100, 100), max_iter=20, random_state=0)
    >>> clf.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85
    True
    """
    refuse_sizes("backpropagation", overrides, "")
    settings = dict(
        layers=[Block(list(layers))],
        goodness="readout",
        objective=Softmax(sharpness=1.0),
        negatives="all",
        learning_rate_init=1e-3,
        alpha=0.0,
        batch_size=128,
    )
    return ready(settings, overrides)
