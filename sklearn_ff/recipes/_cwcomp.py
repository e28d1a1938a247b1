"""Channel-wise competitive learning."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .._classifier import FFClassifier
from .._parts import is_number
from .._typing import Shape
from ..goodness import ClassGroups
from ..layers import Conv2d
from ..objectives import Softmax
from ._settings import checked_sizes, ready, refuse_sizes, stages


def cwcomp(
    *,
    image_shape: Shape = (1, 28, 28),
    n_channels: Sequence[int] = (20, 80, 240, 480),
    n_classes: int = 10,
    ends: Sequence[int] = (2, 3, 4, 5),
    **overrides: Any,
) -> FFClassifier:
    """Channels of a class compete with those of the others, in every convolution.

    Settings: four convolutions of 3 x 3 pixels with 20, 80, 240 and 480 channels, ReLU, the second
    and the fourth in one group per class and pooled, each normalised over the batch at its end; the
    goodness of a class is the mean square of its channels, and every layer learns by cross-entropy
    with Adam at a constant rate of 0.01, in batches of 128. A layer stops learning after a number
    of epochs of its own: 2, 3, 4 and 5 for MNIST, 10, 15, 19 and 23 for Fashion-MNIST, and 11, 16,
    21 and 25 for CIFAR-10. The goodness of the last layer predicts.

    Published test error, in per cent: 0.58 on MNIST, 7.69 on Fashion-MNIST, 21.89 on CIFAR-10. The
    publication predicts by this goodness, or by a softmax head that learns for 20 to 50 epochs;
    which one a figure is of is not known here.

    What differs: pixels are scaled by one mean and one deviation, which may not be the program's
    way. A head, by ``prediction="head"``, learns as long as layers do.

    Parameters
    ----------
    image_shape : tuple of int, default=(1, 28, 28)
        Channels, height and width of the images.
    n_channels : sequence of int, default=(20, 80, 240, 480)
        Channels of every convolution.
    n_classes : int, default=10
        The number of classes, by which grouped convolutions are divided.
    ends : sequence of int, default=(2, 3, 4, 5)
        The epoch in which each layer stops learning; another `schedule` or `max_iter` replaces it.
    **overrides : dict
        Parameters of :class:`FFClassifier` that replace those of the recipe.

    Returns
    -------
    clf : FFClassifier
        Not fitted.

    References
    ----------
    Papachristodoulou, A., Kyrkou, C., Timotheou, S. and Theocharides, T. (2024). Convolutional
    Channel-wise Competitive Learning for the Forward-Forward Algorithm. AAAI; arXiv:2312.12668.
    Program: https://github.com/andreaspapac/CwComp.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff.recipes import cwcomp
    >>> X, y = load_digits(return_X_y=True)
    >>> small = dict(image_shape=(1, 8, 8), n_channels=(20, 40), ends=(4, 8), batch_size=32)
    >>> clf = cwcomp(**small, random_state=0).fit(X[:800], y[:800])
    >>> clf.score(X[800:], y[800:]) > 0.7
    True
    """
    refuse_sizes("cwcomp", overrides)
    layers = [
        Conv2d(
            n,
            groups=n_classes if index % 2 else 1,
            pool="max" if index % 2 else None,
            norm="batch",
            norm_last=True,
            weight_init="uniform",
        )
        for index, n in enumerate(checked_sizes("n_channels", n_channels))
    ]
    replaced = overrides.keys() & {"max_iter", "layers", "schedule"}
    pairs = [] if replaced else stopping(ends, len(layers))
    settings: dict[str, Any] = dict(
        layers=layers,
        image_shape=image_shape,
        goodness=ClassGroups(of="square"),
        objective=Softmax(sharpness=1.0),
        normalization=None,
        scaling="global",
        schedule=stages(pairs, overrides, "simultaneous"),
        prediction="last",
        learning_rate="constant",
        learning_rate_init=0.01,
        batch_size=128,
        tol=None,
    )
    return ready(settings, overrides)


def stopping(ends: Sequence[int], n_layers: int) -> list[tuple[list[int], int]]:
    """Stages in which all layers learn at first, and one after another stops, from the first up."""
    listed = [*ends] if isinstance(ends, (list, tuple, range)) else []
    whole = len(listed) == n_layers and all(is_number(end, whole=True) for end in listed)
    if not whole or any(a > b for a, b in pairwise([1, *listed])):
        raise ValueError(
            f"ends={ends!r} must be {n_layers} numbers of epochs, one per layer, none of which is "
            f"smaller than the one before it."
        )
    return [
        ([*range(layer, n_layers)], end - begin)
        for layer, (begin, end) in enumerate(pairwise([0, *ends]))
        if end > begin
    ]
