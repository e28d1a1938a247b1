"""DeeperForward: mean goodness, residual convolutions, layers chosen on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._classifier import FFClassifier
from .._typing import Shape
from ..goodness import ClassGroups
from ..layers import Block, Conv2d
from ..objectives import Softmax
from ..predictions import Goodness
from ..schedules import Cosine
from ._settings import checked_sizes, ready, refuse_sizes


def deeper_forward(
    residual: bool = True,
    *,
    image_shape: Shape = (3, 32, 32),
    n_channels: Sequence[int] | None = None,
    **overrides: Any,
) -> FFClassifier:
    """Seventeen residual convolutions whose goodness of a class is a mean activation.

    Settings: a convolution and four groups of four with 100, 200, 400 and 800 channels of 3 x 3
    pixels, of which the first of the later groups halve the image; images and activations
    normalised to mean 0 and mean square 1; the goodness of a class is the mean activation of its
    channels, and every layer learns by cross-entropy; AdamW with decay 5e-4 at a rate of 0.08 that
    falls to a tenth by a cosine, dropout of 0.2, batches of 128, 150 epochs. The layers that
    predict are a range chosen on a sixth of the rows, which are held out. With ``residual=False``
    the network has four convolutions, of 100, 200 (both of 5 x 5 pixels, and pooled), 400 and 400
    channels, and a rate of 0.03.

    Published test accuracy, in per cent: 86.22 on CIFAR-10, 99.63 on MNIST and 93.13 on
    Fashion-MNIST; four convolutions 79.49, 99.50 and 91.83. Backpropagation in a ResNet-18: 94.03
    with augmentation, 99.58 and 93.78.

    What differs: in the program the input of a pair of layers is added to its normalised output,
    and beside more channels concatenated to them; here every layer of a group but the first adds
    its input to its pre-activations, so that its goodness counts it. The program normalises the
    channels of every class separately, draws first weights with variance 2 / outputs, has no
    biases, enlarges digits to 32 x 32 pixels, and pools before a convolution instead of after the
    one below it; the weights of its four convolutions decay by 0.01.

    Parameters
    ----------
    residual : bool, default=True
        Whether there are seventeen residual convolutions; otherwise there are four plain ones.
    image_shape : tuple of int, default=(3, 32, 32)
        Channels, height and width of the images.
    n_channels : sequence of int or None, default=None
        Channels of each group, or of each of the plain convolutions; None are those above.
    **overrides : dict
        Parameters of :class:`FFClassifier` that replace those of the recipe.

    Returns
    -------
    clf : FFClassifier
        Not fitted; after the fit, `prediction_` shows the layers that it has chosen.

    References
    ----------
    Sun, L., Zhang, Y., Wen, J., Shen, L., Xie, W. and He, W. (2025). DeeperForward: Enhanced
    Forward-Forward Training for Deeper and Better Performance. ICLR. A copy of the program:
    https://github.com/BasitHussain5/project_1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff.recipes import deeper_forward
    >>> X, y = load_digits(return_X_y=True)
    >>> small = dict(image_shape=(1, 8, 8), n_channels=(20,), max_iter=6, random_state=0)
    >>> clf = deeper_forward(**small).fit(X[:600], y[:600])
    >>> clf.score(X[600:], y[600:]) > 0.7 and len(clf.prediction_.layers) <= 5
    True
    """
    refuse_sizes("deeper_forward", overrides)
    usual = (100, 200, 400, 800 if residual else 400)
    sizes = checked_sizes("n_channels", usual if n_channels is None else n_channels)
    settings: dict[str, Any] = dict(
        layers=_residual(sizes) if residual else _plain(sizes),
        image_shape=image_shape,
        goodness=ClassGroups(of="activation"),
        objective=Softmax(sharpness=1.0),
        normalization="layer_norm",
        input_normalization="layer_norm",
        scaling="global",
        prediction=Goodness(layers="best"),
        validation_fraction=1 / 6,
        dropout=0.2,
        optimizer="adamw",
        optimizer_params={"weight_decay": 5e-4},
        learning_rate=Cosine(end=0.1),
        learning_rate_init=0.08 if residual else 0.03,
        batch_size=128,
        max_iter=150,
    )
    return ready(settings, overrides)


def _residual(n_channels: Sequence[int]) -> list[Any]:
    """A convolution and groups of four, all but the first of a later group residual."""
    layers: list[Any] = [Conv2d(n_channels[0])]
    for group, n in enumerate(n_channels):
        layers += [Conv2d(n, stride=2)] if group else []
        layers += [Block([Conv2d(n)], residual=True) for _ in range(3 if group else 4)]
    return layers


def _plain(n_channels: Sequence[int]) -> list[Conv2d]:
    """Convolutions, of which the first two are larger, and pooled."""
    return [
        Conv2d(n, 5 if index < 2 else 3, pool="mean" if index < 2 else None)
        for index, n in enumerate(n_channels)
    ]
