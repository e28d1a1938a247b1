"""Self-contrastive Forward-Forward: features without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._transformer import FFTransformer
from .._typing import Shape
from ..layers import Conv2d
from ..objectives import Logistic
from ._settings import checked_sizes, ready, refuse_sizes, shown_as, stages


def scff(
    convolutional: bool = False,
    *,
    image_shape: Shape = (3, 32, 32),
    n_channels: Sequence[int] = (96, 384, 1536),
    **overrides: Any,
) -> FFTransformer:
    """Features that tell a row beside itself from a row beside another one, without labels.

    Settings: positive candidates are a row added to itself, negative ones a row added to another
    one; logistic loss with one threshold for the former and one for the latter on the mean of
    squares; activations standardised between layers; a layer learns after the one below it has
    finished, by AdamW, in batches of 100; features are max(0, a − mean of a), standardised. Two
    layers of 2,000 units, with thresholds of 4 and 6, then 1 and 1, rates of 0.006 and 0.002, 20
    and 9 epochs. With ``convolutional=True`` three convolutions of 96 (5 x 5 pixels), 384 and 1,536
    channels, pooled, as published for CIFAR-10: thresholds of 0 and 1, 5 and 9, 6 and 10, rates of
    0.02, 0.002 and 0.0002, 6, 4 and 21 epochs.

    Published test accuracy of a linear classifier on the features: 98.70 % on MNIST, with
    convolutions 99.37 %; 80.75 % on CIFAR-10. The program's search for settings of the second dense
    layer compares their test accuracy.

    What differs: rows are added with the factor 1/2, so the rate of the first layer is double that
    of the program. Pixels are scaled by one mean and one deviation, where the program standardises
    every row before it adds two; its convolutions add such pairs in every layer, here the first
    layer alone does. The second dense layer of the program learns from images shifted by up to two
    pixels, two views of each; here none is shifted, or for all layers by an augmentation and
    ``image_shape=(1, 28, 28)``. The program hands max(0, a − mean of a) to the next layer, here it
    is max(0, a); it adds to the loss of some layers up to 0.0012 times the positive goodness. Its
    rates fall step by step, of the dense layers to 0.28 and 0.22 of the first ones, and its weights
    decay by 0.0001, where here neither does. Its linear classifier has dropout, and learns for 50
    epochs by Adam. The goodness of convolutions is of all places, where in the program every place
    has a loss of its own; the program pools squares of four pixels that overlap. For MNIST its
    convolutions have one threshold each, 1, 3 and 6, and rates of 0.004, 0.003 and 0.0001.

    Parameters
    ----------
    convolutional : bool, default=False
        Whether layers are convolutions.
    image_shape : tuple of int, default=(3, 32, 32)
        Channels, height and width of the images, for convolutions or an augmentation.
    n_channels : sequence of int, default=(96, 384, 1536)
        Channels of the three convolutions.
    **overrides : dict
        Parameters of :class:`FFTransformer` that replace those of the recipe.

    Returns
    -------
    features : FFTransformer
        Not fitted; a linear classifier follows it in a Pipeline.

    References
    ----------
    Chen, X., Liu, D., Laydevant, J. and Grollier, J. (2025). Self-Contrastive Forward-Forward
    algorithm. Nature Communications 16, 5978. Program:
    https://github.com/neurophysics-cnrsthales/contrastive-forward-forward.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_ff.recipes import scff
    >>> X, y = load_digits(return_X_y=True)
    >>> small = scff(hidden_layer_sizes=(100, 50), max_iter=5, random_state=0)
    >>> model = make_pipeline(small, LogisticRegression(max_iter=1000)).fit(X[:1000], y[:1000])
    >>> model.score(X[1000:], y[1000:]) > 0.85
    True
    """
    settings: dict[str, Any] = dict(
        negatives="pair_sum",
        goodness="mean_square",
        normalization="layer_norm",
        input_normalization=None,
        scaling="global",
        output="triangle",
        optimizer="adamw",
        learning_rate="constant",
        batch_size=100,
        tol=None,
    )
    if convolutional:
        refuse_sizes("scff(convolutional=True)", overrides)
        n_channels = checked_sizes("n_channels", n_channels, 3)
        sizes = zip(n_channels, (5, 3, 3), ("max", "max", "mean"), strict=True)
        settings |= dict(
            layers=[Conv2d(n, size, pool=pool) for n, size, pool in sizes],
            image_shape=image_shape,
            objective=Logistic([0.0, 5.0, 6.0], sharpness=1.0, threshold_negative=[1.0, 9.0, 10.0]),
            learning_rate_init=[0.02, 0.002, 0.0002],
            schedule=stages([(0, 6), (1, 4), (2, 21)], overrides, "greedy"),
        )
    else:
        settings |= dict(
            **shown_as(image_shape, overrides),
            hidden_layer_sizes=(2000, 2000),
            objective=Logistic([4.0, 1.0], sharpness=1.0, threshold_negative=[6.0, 1.0]),
            learning_rate_init=[0.006, 0.002],
            schedule=stages([(0, 20), (1, 9)], overrides, "greedy"),
        )
    return ready(settings, overrides, FFTransformer)
