"""The programs of rmwkwok, which learn to separate some classes from others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._classifier import FFClassifier
from .._images import is_image_shape
from .._registry import register
from .._typing import Shape
from ..heads import SoftmaxHead
from ..layers import Conv2d, LayerKind
from ..negatives import HeldOutClasses
from ..objectives import Logistic, Routing
from ..overlays import Add, Replace
from ..schedules import Simultaneous
from ._settings import ready, refuse_sizes

VERSIONS = ["model_based", "layer_based"]  # of rmwkwok's program, in the order of their time


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
    supervised, by goodness, 76.4, 92.6 (with batches of 512 95.8) and 97.4.

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
    return ready(_rmwkwok(supervised, version) | settings, overrides)


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


@register("sklearn_ff.recipes.first_columns")
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
    refuse_sizes("rmwkwok_conv", overrides)
    settings = _rmwkwok(supervised) | dict(image_shape=image_shape)
    if "layers" not in overrides:
        settings["layers"] = _as_large_as(image_shape, n_channels)
    return ready(settings, overrides)


def _as_large_as(image_shape: Any, n_channels: int) -> list[LayerKind]:
    """A convolution that covers the image, and three with kernels of one pixel."""
    if not is_image_shape(image_shape) or image_shape[1] != image_shape[2]:
        raise ValueError(
            f"image_shape={image_shape!r} is not (channels, height, width) of a square image, "
            f"which one kernel can cover; give your own layers."
        )
    whole = Conv2d(n_channels, kernel_size=int(image_shape[1]), padding=0)
    return [whole, *(Conv2d(n_channels, kernel_size=1, padding=0) for _ in range(3))]


def rmwkwok_routed(n_units: int = 2000, *, split: str = "random", **overrides: Any) -> FFClassifier:
    """Class routing: half of a layer's units take half of the classes as positive.

    All digits are positive rows for one half of a layer, and negative rows for the other half.

    Settings: four layers of 2,000 units, rows normalised to length 1 between them; the logistic
    loss with threshold 0.1 of the sum of squares over the half that takes a row's class as
    positive, and over the other half; every layer draws its own five classes; no label is shown;
    Adam at a constant rate of 1e-4 for the layers and of 1e-3 for the softmax head, which reads the
    normalised activations of layers 2 to 4; 200 epochs of shuffled batches of 256.

    Published, the best accuracy of 200 epochs on all test digits, in per cent: 97.1 by the head,
    97.4 by heads of the first layer or of all four. With labels shown, and negative labels, 94.8
    by goodness, and 95.1 without routing.

    What differs: every batch trains both halves; the program passes over all positive rows and then
    over all negative ones. First weights are normal with variance 1 / inputs, and zero in the head;
    the program's are uniform by Glorot's rule. The form with labels, whose goodness is that of one
    half while it learns and of all units when it predicts, is left out.

    Parameters
    ----------
    n_units : int, default=2000
        Units of each of the four layers.
    split : {"random", "same"}, default="random"
        Whether every layer draws its own half of the classes, or all have the same.
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
    >>> from sklearn_ff.recipes import rmwkwok_routed
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = rmwkwok_routed(n_units=60, batch_size=50, max_iter=15, random_state=0)
    >>> clf.fit(X[:800] / 16, y[:800]).score(X[800:] / 16, y[800:]) > 0.5
    True
    """
    settings = dict(
        hidden_layer_sizes=(n_units,) * 4,
        goodness="class_groups",
        objective=Routing(threshold=0.1, sharpness=1.0, split=split),
        normalization="unit",
        input_normalization=None,
        scaling=None,
        prediction="head",
        prediction_layers="skip_first",
        optimizer="adam",
        learning_rate="constant",
        learning_rate_init=1e-4,
        head=SoftmaxHead(learning_rate_init=1e-3),
        batch_size=256,
        max_iter=200,
        tol=None,
    )
    return ready(settings, overrides)
