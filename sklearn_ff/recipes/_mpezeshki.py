"""The program of mpezeshki."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._classifier import FFClassifier
from ..layers import Dense
from ..negatives import Permuted
from ..objectives import Logistic
from ..overlays import Replace
from ._settings import checked_sizes, ready


def mpezeshki(
    hidden_layer_sizes: int | Sequence[int] = (500, 500), **overrides: Any
) -> FFClassifier:
    """The most copied demonstration: two greedy layers, full batches, permuted labels.

    Settings: two layers of 500 units with first weights as of torch's layers, rows normalised to
    length 1 before every layer, the label written over the first pixels at the strength of the
    largest pixel; negative labels are the true ones, permuted once, so that one in ten is true;
    logistic loss with threshold 2 on the mean of squares; Adam at a constant rate of 0.03, 1,000
    steps of all rows for one layer and then for the next; prediction by the goodness of all layers.

    Published: 6.84 % test error and 6.75 % training error on MNIST, from 50,000 of the 60,000
    training images.

    What differs: the program takes the largest pixel of each batch, the recipe that of the training
    rows, so a prediction does not depend on the rest of the batch. The first weights of the first
    layer are within 1 / √794 instead of 1 / √784, since the inputs of the label count too. Far
    fewer steps are not enough: during about the first hundred, the scores of all labels are equal.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(500, 500)
        Number of units of every layer.
    **overrides : dict
        Parameters of :class:`FFClassifier` that replace those of the recipe.

    Returns
    -------
    clf : FFClassifier
        Not fitted.

    References
    ----------
    Pezeshki, M. (2023). pytorch_forward_forward, a program.
    https://github.com/mpezeshki/pytorch_forward_forward.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff.recipes import mpezeshki
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = mpezeshki(hidden_layer_sizes=(100, 100), max_iter=200, random_state=0)
    >>> clf.fit(X, y).score(X, y) > 0.6
    True
    """
    settings = dict(
        layers=[
            Dense(n, weight_init="uniform")
            for n in checked_sizes("hidden_layer_sizes", hidden_layer_sizes, alone=True)
        ],
        overlay=Replace(strength="max"),
        negatives=Permuted(redraw="once"),
        goodness="mean_square",
        objective=Logistic(threshold=2.0, sharpness=1.0),
        normalization="unit",
        input_normalization="unit",
        scaling="global",
        schedule="greedy",
        optimizer="adam",
        learning_rate="constant",
        learning_rate_init=0.03,
        batch_size="all",
        max_iter=1000,
        tol=None,
    )
    return ready(settings, overrides)
