"""Hinton's set-ups without labels, whose negative rows are hybrids of two images."""

from __future__ import annotations

from typing import Any

from .._transformer import FFTransformer
from ..layers import LocallyConnected2d
from ..negatives import HybridMask
from ._hinton import after_hinton
from ._settings import ready, refuse_sizes


def hinton_unsupervised(**overrides: Any) -> FFTransformer:
    """Hinton's features without labels: real images against hybrids of two.

    Settings: four layers of 2,000 units; a negative row is a hybrid, large patches of two images by
    a mask of random bits that is blurred and rounded; rows normalised to mean square 1 before every
    layer; logistic loss with the layer's width as threshold, on the sum of squares; 100 epochs.
    Features are the normalised activations of the last three layers, from which a linear
    classifier, as in the example, learns the labels.

    Published: 1.37 % test error on MNIST by a linear softmax classifier; reported by the paper.

    What differs: the paper gives no rates, no batch size, and no number of blurs. Rates, batches,
    decay and peer normalisation are those of :func:`hinton_supervised`, and six blurs those of
    reproductions. The linear classifier is whichever is put behind the transformer.

    Parameters
    ----------
    **overrides : dict
        Parameters of :class:`FFTransformer` that replace those of the recipe;
        ``image_shape=(channels, height, width)`` for images other than of MNIST's 28 x 28 pixels.

    Returns
    -------
    features : FFTransformer
        Not fitted.

    References
    ----------
    Hinton, G. (2022). The Forward-Forward Algorithm: Some Preliminary Investigations.
    arXiv:2212.13345.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_ff.recipes import hinton_unsupervised
    >>> X, y = load_digits(return_X_y=True)
    >>> small = dict(hidden_layer_sizes=(100,) * 4, image_shape=(1, 8, 8), max_iter=20)
    >>> clf = make_pipeline(
    ...     hinton_unsupervised(**small, random_state=0), LogisticRegression(max_iter=300)
    ... )
    >>> clf.fit(X[:1000] / 16, y[:1000]).score(X[1000:] / 16, y[1000:]) > 0.8
    True
    """
    settings = dict(**_without_labels(), hidden_layer_sizes=(2000,) * 4, max_iter=100)
    return ready(settings | {"output_layers": "skip_first"}, overrides, FFTransformer)


def hinton_local(**overrides: Any) -> FFTransformer:
    """As :func:`hinton_unsupervised`, with local receptive fields and peer normalisation.

    Settings: three layers without shared weights. The first has 4 x 4 places with 128 channels,
    each of which sees 10 x 10 pixels, 6 pixels apart; the second 3 x 3 places with 220 channels,
    the third 2 x 2 places with 512 channels, and each of their units sees all channels of 2 x 2
    neighbouring places below. The channels of a place are peers. 60 epochs; features are those of
    all three layers.

    Published: 1.16 % test error on MNIST by a linear softmax classifier; reported by the paper.

    What differs: as for :func:`hinton_unsupervised`. The sizes of the layers, from a footnote of
    the paper, are not verified.

    Parameters
    ----------
    **overrides : dict
        Parameters of :class:`FFTransformer` that replace those of the recipe; other images need
        other `layers`, and their `image_shape`.

    Returns
    -------
    features : FFTransformer
        Not fitted.

    References
    ----------
    Hinton, G. (2022). The Forward-Forward Algorithm: Some Preliminary Investigations.
    arXiv:2212.13345.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_ff.layers import LocallyConnected2d
    >>> from sklearn_ff.recipes import hinton_local
    >>> X, y = load_digits(return_X_y=True)
    >>> small = [
    ...     LocallyConnected2d(16, 4, stride=2, padding=0), LocallyConnected2d(32, 2, padding=0)
    ... ]
    >>> features = hinton_local(layers=small, image_shape=(1, 8, 8), max_iter=20, random_state=0)
    >>> clf = make_pipeline(features, LogisticRegression(max_iter=300))
    >>> clf.fit(X[:1000] / 16, y[:1000]).score(X[1000:] / 16, y[1000:]) > 0.8
    True
    """
    refuse_sizes("hinton_local", overrides, "")
    places = [
        LocallyConnected2d(128, 10, stride=6, padding=0),
        LocallyConnected2d(220, 2, padding=0),
        LocallyConnected2d(512, 2, padding=0),
    ]
    settings = dict(**_without_labels(), layers=places, max_iter=60)
    return ready(settings, overrides, FFTransformer)


def _without_labels() -> dict[str, Any]:
    """Common settings of networks that learn from images and hybrids."""
    of_labels = ("hidden_layer_sizes", "overlay", "prediction_layers", "max_iter")
    shared = {name: value for name, value in after_hinton().items() if name not in of_labels}
    return dict(
        **shared,
        image_shape=(1, 28, 28),
        negatives=HybridMask(),
        peer_normalization=0.06,
        optimizer_params={"momentum": 0.9, "weight_decay": 0.002},
        learning_rate_init=5e-4,
    )
