"""Local error signals: a classifier and a similarity of rows in every layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .._classifier import FFClassifier
from .._images import is_image_shape
from .._typing import Shape
from ..goodness import Readout
from ..layers import Conv2d, Dense
from ..objectives import Objective, Similarity, Softmax
from ..schedules import Drops
from ._settings import checked_sizes, ready, refuse_sizes

LOSSES: dict[str, Objective] = {
    "pred": Softmax(sharpness=1.0),
    "sim": Similarity(weight=1.0, sharpness=1.0),
    "predsim": Similarity(weight=0.99, sharpness=1.0),
}
POOLED = (1, 3, 4, 5)  # the convolutions of vgg8b that are followed by pooling
READ = 1024  # inputs of a convolution's classifier, at most


def local_loss(
    loss: str = "predsim",
    *,
    convolutional: bool = False,
    image_shape: Shape = (1, 28, 28),
    n_units: Sequence[int] | None = None,
    n_channels: Sequence[int] = (128, 256, 256, 512, 512, 512),
    **overrides: Any,
) -> FFClassifier:
    """Nøkland and Eidnes' networks with a local classifier, a similarity of rows, or both.

    Settings: three layers of 1,024 units with batch normalisation, leaky ReLU (ReLU for "pred") and
    dropout of 0.1, no other normalisation; images shifted by up to two pixels; Adam at a rate of
    5e-4 that drops to a quarter after 50, 75, 89 and 94 % of 100 epochs, batches of 128. "pred" is
    the cross-entropy of a local classifier, "sim" similarity matching, and "predsim" 0.01 of the
    former and 0.99 of the latter. With ``convolutional=True`` the network vgg8b: convolutions of 3
    x 3 pixels with 128, 256, 256, 512, 512 and 512 channels, of which the second, fourth, fifth and
    sixth are pooled, then a layer of 1,024 units, dropout of 0.2; classifiers read means over
    squares of pixels, of at most 1,024 numbers. Fashion-MNIST has 200 epochs, flips besides shifts,
    and dropout of 0.025 (vgg8b: 0.1).

    Published test error on MNIST, in per cent: "pred" 0.68, "sim" 0.80, "predsim" 0.62,
    backpropagation on the same layers 0.75; vgg8b 0.40, 0.65, 0.31 and 0.26. On Fashion-MNIST 8.60,
    9.70, 8.54 and 8.37; vgg8b 5.66, 5.12, 4.65 and 4.53. The authors do not call it
    Forward-Forward.

    What differs: the last layer's own classifier predicts, where the program has an output layer of
    its own above it; for "sim", which has no classifiers, the softmax head on the last layer is
    that output layer. A layer's loss reads its activations after dropout, and in vgg8b after
    pooling; dropout there is of single numbers, not of whole channels. Squares of pixels are
    squares, where the program's may be rectangles. First weights of the layers are those of torch.

    Parameters
    ----------
    loss : {"pred", "sim", "predsim"}, default="predsim"
        The loss of every layer.
    convolutional : bool, default=False
        Whether the network is vgg8b.
    image_shape : tuple of int, default=(1, 28, 28)
        Channels, height and width of the images; dense layers without augmentation need none.
    n_units : sequence of int or None, default=None
        Units of the dense layers; None is three of 1,024, or one above convolutions.
    n_channels : sequence of int, default=(128, 256, 256, 512, 512, 512)
        Channels of the six convolutions.
    **overrides : dict
        Parameters of :class:`FFClassifier` that replace those of the recipe.

    Returns
    -------
    clf : FFClassifier
        Not fitted.

    References
    ----------
    Nøkland, A. and Eidnes, L. H. (2019). Training Neural Networks with Local Error Signals. ICML;
    arXiv:1901.06656. Program: https://github.com/anokland/local-loss.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff.recipes import local_loss
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = local_loss(n_units=(100, 100), augmentation=None, max_iter=20, random_state=0)
    >>> clf.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85
    True
    """
    if not (isinstance(loss, str) and loss in LOSSES):
        raise ValueError(f"loss={loss!r} is not known; loss must be one of {[*LOSSES]}.")
    refuse_sizes("local_loss", overrides, "n_units")
    usual = (1024,) * (1 if convolutional else 3)
    units = checked_sizes("n_units", usual if n_units is None else n_units)
    layers: list[Any] = [Dense(n, norm="batch", weight_init="uniform") for n in units]
    goodness: Any = "readout"
    if convolutional:
        convolutions = _vgg8b(checked_sizes("n_channels", n_channels, 6))
        goodness = _read_in_squares(convolutions, image_shape) + [Readout() for _ in units]
        layers = convolutions + layers
    settings: dict[str, Any] = dict(
        layers=layers,
        image_shape=image_shape,
        augmentation="shifts",
        activation="relu" if loss == "pred" else "leaky_relu",
        goodness=goodness,
        objective=LOSSES[loss].changed(),
        normalization=None,
        scaling="global",
        dropout=0.2 if convolutional else 0.1,
        prediction="head" if loss == "sim" else "last",
        prediction_layers=[-1] if loss == "sim" else "all",
        learning_rate=Drops(),
        learning_rate_init=5e-4,
        batch_size=128,
        max_iter=100,
    )
    if "layers" in overrides:
        settings["goodness"] = "readout"
    elif not convolutional and overrides.get("augmentation", "shifts") is None:
        del settings["image_shape"]  # nothing reads images
    return ready(settings, overrides)


def _vgg8b(n_channels: Sequence[int]) -> list[Conv2d]:
    """The convolutions, each with batch normalisation."""
    pools = ["max" if index in POOLED else None for index in range(6)]
    return [
        Conv2d(n, norm="batch", pool=pool, weight_init="uniform")
        for n, pool in zip(n_channels, pools, strict=True)
    ]


def _read_in_squares(layers: Sequence[Conv2d], image_shape: Any) -> list[Readout]:
    """Classifiers of the means over squares so large that there are at most `READ` of them."""
    if not is_image_shape(image_shape):
        raise ValueError(f"image_shape={image_shape!r} must be (channels, height, width).")
    side, found = min(image_shape[1:]), []
    for layer in layers:
        side = side if layer.pool is None else side // layer.pool_size
        across = max(1, math.isqrt(READ // layer.n_channels))
        found.append(Readout(patch=max(1, -(-side // across)), of="activation"))
    return found
