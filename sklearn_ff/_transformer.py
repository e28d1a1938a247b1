"""FFTransformer: features, and familiarity, learned by the Forward-Forward algorithm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor
from torch.optim import Optimizer

from ._base import BaseFF, checked_rows
from ._familiarity import familiarity, whitened, with_familiarity
from ._fitted import Fitted
from ._input import Request
from ._learning import checks_parameters, learn, learn_more
from ._machine import torch_threads
from ._scoring import network_scores
from ._settings import SHARED_CONSTRAINTS
from ._typing import Function, MatrixLike, OneOrEach, OneOrMore
from .activations import Activation
from .augmentations import Augmentation
from .core.prediction import activation
from .goodness import Goodness
from .layers import LayerKind, ending
from .negatives import Negatives
from .normalizations import Normalization
from .objectives import Objective
from .overlays import Overlay
from .schedules import Rate, Schedule


class FFTransformer(BaseFF):
    """Features of layers that learn without backpropagation, by default without labels.

    The loss of every layer separates rows from corrupted ones (Hinton, 2022). Its activations are
    the features; their distance from those of the training rows measures the familiarity of a row.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(256,)
        Number of units of every layer.
    negatives : {"auto", "pair_sum", "hybrid_mask", "shuffle", "noise"}, Negatives or callable, \
            default="auto"
        The negative candidates of a row; see :mod:`sklearn_ff.negatives`. "auto" is "pair_sum",
        which needs no knowledge of the data, or "noise" where the goodness is "neg_mean_square";
        with `supervised=True` it is that of FFClassifier.
    supervised : bool, default=False
        Whether to learn from labels, as FFClassifier does, and transform under the neutral label.
        Otherwise y is ignored, unless `negatives` are held-out classes.
    activation, overlay, goodness : optional
        As of :class:`FFClassifier`.
    objective : str, Objective or callable, default="auto"
        The loss of the scores; see :mod:`sklearn_ff.objectives`. "auto" is that of
        :class:`FFClassifier` with labels, and without them "logistic" with a threshold of 4 for
        positive rows and of 6 for negative ones, those of Chen et al. (2025) for images of digits,
        or "symba" where the goodness is "neg_mean_square", which is below these thresholds. Or a
        list with one per layer.
    normalization : optional
        As of :class:`FFClassifier`.
    input_normalization : str or Normalization, default="auto"
        Normalisation of a row before the first layer; "auto" is None with labels, and "rms"
        without, so that layers cannot recognise rows by their length.
    output_layers : {"all", "skip_first"} or sequence of int, default="all"
        Layers whose activations are the features, and by which familiarity is measured.
    output : {"activations", "triangle"}, default="activations"
        "activations" is h, "triangle" is max(0, a − mean of a over the layer) of the pre-activation
        a, which is sparser (Coates et al., 2011; Chen et al., 2025); both by `normalization`. Of a
        block, a is that of its last layer.
    scaling, schedule, layers, image_shape, augmentation, dropout : optional
        As of :class:`FFClassifier`.
    peer_normalization, optimizer, optimizer_params, learning_rate : optional
        As of :class:`FFClassifier`.
    learning_rate_init : float, sequence of float or "auto", default="auto"
        Initial rate; "auto" is that of :class:`FFClassifier` with labels, and 2e-3 without.
    alpha, batch_size : optional
        As of :class:`FFClassifier`.
    max_iter : int or "auto", default="auto"
        Epochs; "auto" is that of :class:`FFClassifier` with labels, and without them the number
        that makes 1,200 updates, and at least 10.
    shuffle, tol, n_iter_no_change, warm_start, callbacks, device : optional
        As of :class:`FFClassifier`.
    precision, compile, n_threads, verbose, random_state : optional
        As of :class:`FFClassifier`.

    Attributes
    ----------
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.
    classes_ : ndarray of shape (n_classes,)
        The labels, with `supervised=True`.
    n_iter_ : int
        Epochs run, over all layers if `schedule="greedy"`.
    loss_ : float
        Training loss of the last epoch, averaged over the layers.
    loss_curve_ : list of float
        Training loss of every epoch, averaged as `loss_`.
    history_ : dict of str to ndarray of shape (`n_iter_`, n_layers)
        "loss", "goodness_positive", "goodness_negative", and "ranking_accuracy", the share of rows
        that score above their negative candidates. A value is NaN where a layer did not learn.
    validation_scores_, validation_loss_curve_, best_validation_score_ : None
        No rows are held out.
    negatives_, overlay_, goodness_, objective_, input_normalization_, batch_size_, max_iter_, \
            learning_rate_init_, scaling_, precision_, label_strength_ : objects
        The values, with "auto" resolved.
    net_ : skorch net
        The trained torch network is ``net_.module_``.

    See Also
    --------
    FFClassifier : Learns labels, and predicts them.
    sklearn.neural_network.BernoulliRBM : Features of one layer, without labels.

    References
    ----------
    Hinton, G. (2022). The Forward-Forward Algorithm: Some Preliminary Investigations.
    arXiv:2212.13345.

    Chen, X., Liu, D., Laydevant, J. and Grollier, J. (2025). Self-Contrastive Forward-Forward
    algorithm. Nature Communications 16, 5978.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff import FFTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> FFTransformer(64, random_state=0).fit_transform(X).shape
    (1797, 64)
    """

    COUNTED = "output_layers"

    _parameter_constraints: dict = {
        **SHARED_CONSTRAINTS,
        "supervised": ["boolean"],
        "output_layers": [StrOptions({"all", "skip_first"}), "array-like"],
        "output": [StrOptions({"triangle", "activations"})],
        "batch_size": [StrOptions({"auto", "all"}), Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (256,),
        *,
        negatives: str | Negatives | Callable[..., Tensor] = "auto",
        supervised: bool = False,
        activation: str | Activation | Function = "relu",
        overlay: str | Overlay | Callable[[int, int], Any] = "append",
        goodness: OneOrEach[str | Goodness | Function] = "mean_square",
        objective: OneOrEach[str | Objective | Function] = "auto",
        normalization: str | Normalization | None = "rms",
        input_normalization: str | Normalization | None = "auto",
        output_layers: str | Sequence[int] = "all",
        output: str = "activations",
        scaling: str | None = "auto",
        schedule: str | Schedule | Sequence[tuple[Any, int]] = "simultaneous",
        layers: Sequence[int | str | LayerKind] | None = None,
        image_shape: Sequence[int] | None = None,
        augmentation: OneOrMore[str | Augmentation | Function] | None = None,
        dropout: float = 0.0,
        peer_normalization: float = 0.0,
        optimizer: OneOrEach[str | type[Optimizer]] = "adam",
        optimizer_params: OneOrEach[dict[str, Any] | None] = None,
        learning_rate: str | Rate = "linear",
        learning_rate_init: float | Sequence[float] | str = "auto",
        alpha: float = 0.0,
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        shuffle: bool = True,
        tol: float | None = 1e-4,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        callbacks: Sequence[Any] | None = None,
        device: str | torch.device = "auto",
        precision: str = "auto",
        compile: bool | str = "auto",
        n_threads: int | None = None,
        verbose: bool | int = False,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.negatives = negatives
        self.supervised = supervised
        self.activation = activation
        self.overlay = overlay
        self.goodness = goodness
        self.objective = objective
        self.normalization = normalization
        self.input_normalization = input_normalization
        self.output_layers = output_layers
        self.output = output
        self.scaling = scaling
        self.schedule = schedule
        self.layers = layers
        self.image_shape = image_shape
        self.augmentation = augmentation
        self.dropout = dropout
        self.peer_normalization = peer_normalization
        self.optimizer = optimizer
        self.optimizer_params = optimizer_params
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.precision = precision
        self.compile = compile
        self.n_threads = n_threads
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.supervised
        return tags

    # Learning -----------------------------------------------------------------------------------

    @checks_parameters
    def fit(
        self, X: MatrixLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or None, default=None
            Labels; needed with `supervised=True` or held-out classes, and otherwise ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            A weight of k counts as k copies of the row; rows of weight zero, or of less than 1e-12
            of the largest weight, are left out. Weights of a mean below one are first brought to a
            mean of one.

        Returns
        -------
        self : FFTransformer
            The fitted estimator.
        """
        return learn(self, X, Request(y, sample_weight), with_familiarity)

    @checks_parameters
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from more rows, in one epoch, at a rate that is constant or falls by every call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; those of the first call also fix the scale of the columns, except of columns that
            do not vary in it: their scale stays open until they do. With ``scaling="running"``
            every call moves it.
        y : array-like of shape (n_samples,) or None, default=None
            Labels, as for `fit`.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels of all calls; with `supervised=True` required in the first call.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        self : FFTransformer
            The fitted estimator.
        """
        return learn_more(self, X, y, classes, sample_weight, with_familiarity)

    # Features -----------------------------------------------------------------------------------

    def _read_out(self) -> Any:
        return OUTPUT[checked_output(self.output)]

    def _set_answer(self, fitted: Fitted) -> None:
        fitted.network.answer.read_out = self._read_out()

    def score_samples(self, X: MatrixLike) -> np.ndarray:
        """Compute the familiarity of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        familiarity : ndarray of shape (n_samples,)
            Higher for rows like the training rows, and at most zero: minus the squared Mahalanobis
            distance of the row in each output layer, summed over these. Where `negatives` are given
            strange rows, `OwnRows` or `HeldOutClasses`, it is the goodness instead, summed over the
            output layers, which has learned to separate these.

        See Also
        --------
        layer_scores : The goodness of every layer.

        Notes
        -----
        The distance is that of pre-activations and activations with the length that they would have
        without normalisation, so the length of a row counts as well as its direction; with
        `supervised=True` under the neutral label. `fit` stores their mean and covariance over the
        training rows, for at most 512 units of a layer, and `partial_fit` updates them. The
        covariance is regularised by 200 more rows of average variance in every direction.
        """
        with torch_threads(self.n_threads):
            fitted, X = checked_rows(self, X)
            if fitted.plan.negatives.shows_strange:
                return network_scores(fitted.network, fitted.plan, X).max(1)
            return familiarity(fitted.network, fitted.plan, X, fitted.moments)

    def _whitened(self, X: MatrixLike) -> Iterator[tuple[slice, np.ndarray]]:
        """Parts of X with activations in which the distance of two rows is Mahalanobis'."""
        with torch_threads(self.n_threads):
            fitted, X = checked_rows(self, X)
            yield from whitened(fitted.network, fitted.plan, X, fitted.moments)


def checked_output(output: str) -> str:
    """The kind of features, which may be changed on a fitted estimator."""
    if output not in OUTPUT:
        raise ValueError(f"output={output!r} is not known; output must be one of {[*OUTPUT]}.")
    return output


def _triangle(layer: Any, a: Tensor, h: Tensor) -> Tensor:
    """max(0, a − mean of a) instead of h; of a block, by the pre-activations of its last layer."""
    function = layer.activate.function
    return ending(layer.affine, a, function, lambda a: torch.relu(a - a.mean(-1, keepdim=True)))


OUTPUT = {"triangle": _triangle, "activations": activation}
