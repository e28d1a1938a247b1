"""Published set-ups by name: functions that return an estimator ready to be fitted.

A recipe takes any parameter of its estimator, which overrides that of the recipe. Labels have the
strength of a white pixel; the recipes after rmwkwok, which do not scale rows, need pixels between 0
and 1. Faults of the programs that lie outside the method are not repeated; the docstrings name
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._classifier import FFClassifier
from ._images import is_image_shape
from ._typing import Shape
from .goodness import goodness
from .heads import SoftmaxHead
from .layers import Block, Conv2d, Dense, LayerKind
from .negatives import HeldOutClasses, Permuted, negatives
from .objectives import Logistic, Softmax
from .overlays import Add, Replace
from .predictions import checked_rule
from .schedules import Simultaneous, checked_schedule

__all__ = [
    "backpropagation",
    "hinton_supervised",
    "loewe",
    "mpezeshki",
    "rmwkwok_conv",
    "rmwkwok_dense",
]

VERSIONS = ["model_based", "layer_based"]  # of rmwkwok's program, in the order of their time


def _ready(settings: dict[str, Any], overrides: dict[str, Any]) -> FFClassifier:
    """The estimator, without settings that have no effect beside an override."""
    unused = _replaced_by(overrides) | _without_place({**settings, **overrides})
    kept = {name: value for name, value in settings.items() if name not in unused}
    return FFClassifier(**{**kept, **overrides})


def _replaced_by(overrides: dict[str, Any]) -> set[str]:
    """Names of the settings that an override replaces."""
    unused = set()
    if _holds_epochs(overrides.get("schedule", "greedy")):
        unused.add("max_iter")
    if overrides.get("layers") is not None:
        unused.add("hidden_layer_sizes")
    if not _shows_labels(overrides):
        unused.add("overlay")
    return unused


def _holds_epochs(schedule: Any) -> bool:
    """Whether a schedule states its epochs, as a list does."""
    try:
        return checked_schedule(schedule).holds_epochs
    except ValueError:  # fit raises the error
        return False


def _without_place(settings: dict[str, Any]) -> set[str]:
    """Names of settings of a head, or of several layers, where these do not exist."""
    unused, layers = set(), settings.get("layers") or settings["hidden_layer_sizes"]
    if isinstance(layers, int) or len(layers) == 1:
        unused.add("prediction_layers")
    try:
        needs_head = negatives.get(settings.get("negatives", "hard")).needs_head
        needs_head |= checked_rule(settings.get("prediction", "goodness")).needs_head
    except ValueError:  # fit says what is not known
        return unused
    if not needs_head:
        unused.add("head")
    return unused


def _shows_labels(overrides: dict[str, Any]) -> bool:
    """Whether layers are shown labels with these overrides."""
    try:
        scores = goodness.get(overrides.get("goodness", "mean_square")).scores_classes
        rows = negatives.get(overrides.get("negatives", "hard"))
    except ValueError:  # fit raises the error
        return True
    return not scores and (rows.labelled or not rows.of_rows)


def _after_hinton() -> dict[str, Any]:
    """Common settings of the programs of Hinton and Löwe."""
    return dict(
        hidden_layer_sizes=(1000, 1000, 1000),
        overlay=Replace(strength="max"),
        goodness="sum_square",
        objective=Logistic(threshold="width", sharpness=1.0),
        normalization="rms",
        input_normalization="rms",
        scaling=None,
        prediction_layers="skip_first",
        optimizer="sgd",
        learning_rate="cooldown",
        batch_size=100,
        max_iter=100,
        tol=None,
    )


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
    if "hidden_layer_sizes" in overrides:
        raise TypeError("backpropagation has no hidden_layer_sizes; give layers.")
    settings = dict(
        layers=[Block(list(layers))],
        goodness="readout",
        objective=Softmax(sharpness=1.0),
        negatives="all",
        learning_rate_init=1e-3,
        alpha=0.0,
        batch_size=128,
    )
    return _ready(settings, overrides)


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
            Dense(n, weight_init="uniform") for n in np.atleast_1d(hidden_layer_sizes).tolist()
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
    return _ready(settings, overrides)


def rmwkwok_dense(
    supervised: bool = False, *, n_units: int = 100, version: str = "model_based", **overrides: Any
) -> FFClassifier:
    """Four dense layers that separate some classes from others, and a softmax head.

    The classifier learns digits 0 to 4; digits 5 to 9 are the negative rows. ``fit`` takes both,
    and `classes_` are the former. For other classes override ``negatives``. Settings: four layers
    of 100 units, rows normalised to length 1 between them; the label, if layers are shown one,
    written over the first pixels; logistic loss with threshold 0.1 on the sum of squares; Adam at a
    constant rate of 1e-4 for every layer and the head, which reads the normalised activations of
    layers 2 to 4; 200 epochs, each a pass of batches of 128 over positive rows and then one over
    negative ones, not shuffled.

    Published, the best accuracy of 200 epochs on test digits 0 to 4, in per cent: without labels
    96.2 by the head and 22.7 by goodness; supervised 96.1 and 76.7 in the program's figure, 96.4
    and 78.1 in its notebook; its backpropagation 99.2. For the version "layer_based": without
    labels 96.6 by the head with 100 units, 98.4 with 500, and 99.1 with 2,000 and batches of 512;
    supervised, by goodness, 76.4, 92.6 and 97.4.

    What differs: negative rows are drawn at random, not in a pass over all, and their labels are
    drawn anew every time. The head learns under the neutral label, as it predicts; the program's
    head learns from images with the true label. First weights are normal with variance 1 / inputs,
    and zero in the head; the program's are uniform by Glorot's rule. Layers that are not shown
    labels cannot predict by goodness, so without supervision only the head predicts. With
    supervision, positive and negative rows differ as images, so layers need not read the label, and
    goodness predicts it poorly.

    Parameters
    ----------
    supervised : bool, default=False
        Whether layers are shown labels, with random ones on negative rows. The head predicts in
        both cases; ``prediction="goodness"`` needs supervision.
    n_units : int, default=100
        Units of each of the four layers; 500 and 2,000 belong to ``version="layer_based"``.
    version : {"model_based", "layer_based"}, default="model_based"
        Which of the two forms of the program to follow: the first one, in which a model trains its
        layers, or the later one, in which every layer trains itself. In the later form rows are
        shuffled, the head's rate is 1e-3, and the label is added to the first pixels, which keep
        their values. Some of its runs train the head further:
        ``schedule=[("all", 200), ("head", 50)]``.
    **overrides : dict
        Parameters of :class:`FFClassifier` that replace those of the recipe.

    Returns
    -------
    clf : FFClassifier
        Not fitted.

    References
    ----------
    rmwkwok (2023). forward_forward_algorithm, a program.
    https://github.com/rmwkwok/forward_forward_algorithm.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff.recipes import rmwkwok_dense
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = rmwkwok_dense(max_iter=3, random_state=0).fit(X / 16, y)
    >>> clf.classes_.tolist()
    [0, 1, 2, 3, 4]
    """
    settings = dict(hidden_layer_sizes=(n_units,) * 4)
    return _ready(_rmwkwok(supervised, version) | settings, overrides)


def _rmwkwok(supervised: bool, version: str = "model_based") -> dict[str, Any]:
    """Common settings of the dense and the convolutional form."""
    if not (isinstance(version, str) and version in VERSIONS):
        raise ValueError(f"version={version!r} is not known; version must be one of {VERSIONS}.")
    later = version == "layer_based"
    shown = Add(first_columns, strength=1.0) if later else Replace(strength=1.0)
    return dict(
        overlay=shown if supervised else "append",
        negatives=HeldOutClasses([5, 6, 7, 8, 9], labelled=supervised),
        goodness="sum_square",
        objective=Logistic(threshold=0.1, sharpness=1.0),
        normalization="unit",
        input_normalization=None,
        scaling=None,
        schedule=Simultaneous(phases="by_epoch"),
        prediction="head",
        prediction_layers="skip_first",
        optimizer="adam",
        learning_rate="constant",
        learning_rate_init=1e-4,
        head=SoftmaxHead(learning_rate_init=1e-3 if later else 1e-4),
        batch_size=128,
        max_iter=200,
        shuffle=later,
        tol=None,
    )


def first_columns(n_features: int, n_classes: int) -> Tensor:
    """One-hot labels in the first columns, for the overlay `Add`."""
    return torch.eye(n_classes, n_features, dtype=torch.float64)


def rmwkwok_conv(
    supervised: bool = False,
    *,
    image_shape: Shape = (1, 28, 28),
    n_channels: int = 100,
    **overrides: Any,
) -> FFClassifier:
    """As :func:`rmwkwok_dense`, with convolutions, the first of which covers the whole image.

    Settings: a convolution of 100 channels with a kernel as large as the image, whose output is one
    pixel, then three of 1 x 1; all else as in the dense form, to which this network is equivalent.
    Every unit reads a label that is written over the first pixels.

    Published, the best accuracy of 200 epochs on test digits 0 to 4, in per cent: without labels
    95.1 by the head and 41.5 by goodness; supervised 94.6 and 68.6 in the program's figure, 94.0
    and 71.7 in its notebook; its backpropagation 99.2.

    What differs: as for :func:`rmwkwok_dense`. The 41.5 is not learned: it is 41.1 after one epoch,
    and falls to 29.8. The first weights of the program's convolutions differ from those of its
    dense layers; here they are the same.

    Parameters
    ----------
    supervised : bool, default=False
        Whether layers are shown labels, with random ones on negative rows.
    image_shape : tuple of int, default=(1, 28, 28)
        Channels, height and width of the images, which are square.
    n_channels : int, default=100
        Channels of each of the four layers.
    **overrides : dict
        Parameters of :class:`FFClassifier` that replace those of the recipe.

    Returns
    -------
    clf : FFClassifier
        Not fitted.

    References
    ----------
    rmwkwok (2023). forward_forward_algorithm, a program.
    https://github.com/rmwkwok/forward_forward_algorithm.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff.recipes import rmwkwok_conv
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = rmwkwok_conv(image_shape=(1, 8, 8), max_iter=3, random_state=0).fit(X / 16, y)
    >>> clf.classes_.tolist()
    [0, 1, 2, 3, 4]
    """
    if "hidden_layer_sizes" in overrides:
        raise TypeError("rmwkwok_conv has no hidden_layer_sizes; give n_channels, or layers.")
    settings = _rmwkwok(supervised) | dict(image_shape=image_shape)
    if "layers" not in overrides:
        settings["layers"] = _as_large_as(image_shape, n_channels)
    return _ready(settings, overrides)


def _as_large_as(image_shape: Any, n_channels: int) -> list[LayerKind]:
    """A convolution that covers the image, and three with kernels of one pixel."""
    if not is_image_shape(image_shape) or image_shape[1] != image_shape[2]:
        raise ValueError(
            f"image_shape={image_shape!r} is not (channels, height, width) of a square image, "
            f"which one kernel can cover; give your own layers."
        )
    whole = Conv2d(n_channels, kernel_size=int(image_shape[1]), padding=0)
    return [whole, *(Conv2d(n_channels, kernel_size=1, padding=0) for _ in range(3))]


def hinton_supervised(**overrides: Any) -> FFClassifier:
    """Hinton's program: hard negatives, peer normalisation, a rate that cools down.

    Settings: three layers of 1,000 units; the label written over the first pixels at the strength
    of the largest, then rows normalised to mean square 1 before every layer; negative labels in
    proportion to the head's belief; logistic loss with the layer's width as threshold, on the sum
    of squares; peer normalisation at 0.03; batches of 100 for 100 epochs, running averages of
    gradients (decay 0.9), a rate of 0.01 that stays for half of the epochs and then falls linearly
    to zero; head at 0.1; weight decay 0.001, head 0.003. Head and goodness leave out the first
    layer.

    Published: 1.44 % test error on MNIST by goodness (this recipe's prediction), 1.47 % by the head
    (override ``prediction="head"``; training is the same).

    What differs: the program averages gradients where momentum adds them up, so its rates are ten
    times those here; it follows half the gradient of the loss, so the layers' rate is halved again,
    to 0.0005, and weight decay and peer normalisation are twice its numbers. Weight decay is part
    of the sum of gradients, and acts on biases too; the head has a bias.

    Parameters
    ----------
    **overrides : dict
        Parameters of :class:`FFClassifier` that replace those of the recipe; another
        `optimizer` needs other `optimizer_params` and `head`.

    Returns
    -------
    clf : FFClassifier
        Not fitted.

    References
    ----------
    Hinton, G. (2022). The Forward-Forward Algorithm: Some Preliminary Investigations.
    arXiv:2212.13345. Program: https://www.cs.toronto.edu/~hinton/ffcode.zip.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff.recipes import hinton_supervised
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = hinton_supervised(hidden_layer_sizes=(100, 100), max_iter=20, random_state=0)
    >>> clf.fit(X / 16, y).score(X / 16, y) > 0.6
    True
    """
    settings = dict(
        **_after_hinton(),
        negatives="hard",
        peer_normalization=0.06,
        optimizer_params={"momentum": 0.9, "weight_decay": 0.002},
        learning_rate_init=5e-4,
        head=SoftmaxHead(learning_rate_init=0.01, optimizer_params={"weight_decay": 0.003}),
    )
    return _ready(settings, overrides)


def loewe(**overrides: Any) -> FFClassifier:
    """A program in PyTorch after Hinton's, with uniform negative labels and prediction by the head.

    Settings: as :func:`hinton_supervised`, but negative labels are drawn with equal chances; plain
    gradient descent with momentum 0.9 at rate 0.001, head at 0.01, and weight decay 0.0003, head
    0.003; peer normalisation is a penalty on the variance of the units' mean activations with
    weight 0.03. The head predicts.

    Published: 1.45 % test error on MNIST, from 50,000 training images.

    What differs: the program's loss is the mean over positive and negative rows, ours the sum, so
    its rate is 0.0005 here and its decay 0.0006. By its definition peer normalisation is 0.03 · 0.1
    · 2 / 1000 of ours for layers of 1,000 units, and twice that at our rate. The first weights of
    its first layer have variance 1 / 1000, ours 1 / 794, and its head has no bias.

    Parameters
    ----------
    **overrides : dict
        Parameters of :class:`FFClassifier` that replace those of the recipe; another
        `optimizer` needs other `optimizer_params` and `head`.

    Returns
    -------
    clf : FFClassifier
        Not fitted.

    References
    ----------
    Löwe, S. (2023). Forward-Forward, a program. https://github.com/loeweX/Forward-Forward.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff.recipes import loewe
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = loewe(hidden_layer_sizes=(100, 100), max_iter=20, random_state=0)
    >>> clf.fit(X / 16, y).score(X / 16, y) > 0.6
    True
    """
    settings = dict(
        **_after_hinton(),
        negatives="uniform",
        prediction="head",
        peer_normalization=1.2e-5,
        optimizer_params={"momentum": 0.9, "weight_decay": 6e-4},
        learning_rate_init=5e-4,
        head=SoftmaxHead(learning_rate_init=0.01, optimizer_params={"weight_decay": 0.003}),
    )
    return _ready(settings, overrides)
