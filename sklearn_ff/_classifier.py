"""FFClassifier: a scikit-learn classifier that learns by the Forward-Forward algorithm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor
from torch.optim import Optimizer

from ._base import BaseFF, checked_rows
from ._calibration import calibrated, ruled
from ._fitted import Fitted
from ._input import Request
from ._learning import checks_parameters, learn, learn_more
from ._machine import torch_threads
from ._scoring import AccuracyScore, class_shares, log_probabilities, scaled_scores
from ._settings import SHARED_CONSTRAINTS
from ._typing import Function, MatrixLike, OneOrEach, OneOrMore
from .activations import Activation
from .augmentations import Augmentation
from .goodness import Goodness
from .heads import SoftmaxHead
from .layers import LayerKind
from .negatives import Negatives
from .normalizations import Normalization
from .objectives import Objective
from .overlays import Overlay
from .predictions import Prediction
from .schedules import Rate, Schedule


class FFClassifier(AccuracyScore, BaseFF):
    """Classifier of layers that learn without backpropagation, dense ones or convolutions.

    Every layer scores a row that is shown with a label, and its own loss raises the score of the
    true label above those of negative ones; no gradient passes to the layer below (Hinton, 2022).
    The activations of a trained network are features for other estimators (`transform`).

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(256,)
        Number of units of every layer.
    activation : {"relu", "leaky_relu", "gelu", "tanh", "identity"}, callable or list, \
            default="relu"
        Function of the pre-activation, or a list with one per layer.
    overlay : {"append", "replace", "add", "every_layer", "channel", "spatial"}, Overlay or \
            callable, default="append"
        How a label is shown; see :mod:`sklearn_ff.overlays`.
    negatives : {"auto", "uniform", "hard", "all", "by_goodness", "permuted", "pair_sum", \
            "hybrid_mask", "shuffle", "noise"}, Negatives or callable, default="auto"
        The negative candidates of a row; see :mod:`sklearn_ff.negatives`. "auto" is "all" for up to
        256 rows, a goodness that scores classes, or text (`scaling_` is "sparse") of up to 20
        classes, and "hard" otherwise. The last four are corrupted rows: layers then see no labels,
        and need ``prediction="head"``.
    goodness : {"mean_square", "neg_mean_square", "sum_square", "mean_activation", "top_k", \
            "readout", "class_groups", "prototypes"}, Goodness or callable, default="mean_square"
        The scores of a layer; see :mod:`sklearn_ff.goodness`. The last three score all classes at
        once, without a label and so without an overlay. Or a list with one per layer.
    objective : {"auto", "swish", "symba", "logistic", "margin", "softmax", \
            "collaboration", "similarity"}, Objective or callable, default="auto"
        The loss of the scores; see :mod:`sklearn_ff.objectives`. "auto" is "softmax" for text of up
        to 20 classes (`scaling_` is "sparse"), and "swish" otherwise. Or a list with one per layer.
    normalization : {"rms", "unit", "layer_norm", "channel_norm"}, Normalization, None or \
            list, default="rms"
        Normalisation of activations before the next layer, or a list with one per layer.
    input_normalization : same as `normalization`, or "auto", default="auto"
        Normalisation of a row with its label. "auto" is None, and "rms" where rows compete with
        corrupted ones, which layers could recognise by their length.
    scaling : {"auto", "standard", "shared", "global", "sparse", "running"} or None, default="auto"
        How columns are scaled, by statistics of the training rows: by mean and deviation of each
        column ("standard"), by the mean of each and one deviation for all ("shared"), by one mean
        and one deviation ("global"), without centring and by the rarity of words ("sparse"), or not
        at all (None). "running" is "standard" whose scale every call of `partial_fit` moves. "auto"
        chooses by the columns; see docs/scaling.md.
    schedule : {"simultaneous", "greedy", "in_turn"}, Schedule or list of (layers, epochs), \
            default="simultaneous"
        All layers learn from every batch, or one layer is trained after another, or layers take
        turns, one in every batch. Or a list of stages: layers is an index, a list of indices,
        "all", or "head" for the softmax head alone, as in ``[("all", 10), ("head", 50)]``;
        `max_iter` then has no effect. An object such as ``Greedy(phases="by_epoch")`` makes an
        epoch a pass over all positive candidates and then one over all negative ones; see
        :mod:`sklearn_ff.schedules`.
    layers : list of int, names or layer kinds, or None, default=None
        Layers instead of `hidden_layer_sizes`, which then has no effect, such as ``[Conv2d(32),
        500]``; see :mod:`sklearn_ff.layers`. A number is that of dense units, a name a kind with
        its defaults: "dense" (256 units), "conv2d" and "locally_connected2d" (32 channels), "block"
        (two layers of 256 units). Layers that read images need `image_shape`.
    image_shape : tuple of int or None, default=None
        Shape of the image in a row: (channels, height, width).
    augmentation : {"shifts", "flips"}, Augmentation, callable, list of them or None, default=None
        Random variation of training images in every batch: shifts of up to two pixels, mirror
        images of every second one, or a transform of one image such as those of
        torchvision.transforms.v2; see :mod:`sklearn_ff.augmentations`. The entries of a list act in
        turn.
    prediction : {"goodness", "head", "hybrid", "last", "softmax_sum", "early_exit"}, Prediction \
            or callable, default="goodness"
        By the goodness of every label (one pass per label), by a softmax head (one pass), or by the
        goodness of the two most likely labels of the head; see :mod:`sklearn_ff.predictions`. It
        may be changed on a fitted estimator, to rules that need no head if none was trained.
    prediction_layers : {"all", "skip_first"} or sequence of int, default="all"
        Layers whose goodness counts, and whose activations are features and what the head reads.
    head : SoftmaxHead or None, default=None
        Rate, penalty and options of the softmax head's optimizer, where they differ from the last
        layer's; see :mod:`sklearn_ff.heads`.
    dropout : float in [0, 1) or list of them, default=0.0
        Share of the units of a layer that are set to zero in training, or a list with one per
        layer.
    peer_normalization : float, default=0.0
        Rate of peer normalisation, which moves units towards the mean activation of their layer;
        Hinton uses 0.03.
    optimizer : str, class or list of them, default="adam"
        A class of :mod:`torch.optim`, its name, or a list with one per layer; the head has that of
        the last layer.
    optimizer_params : dict, list of dicts or None, default=None
        Options of the optimizer, such as ``{"momentum": 0.9}``, or a list with one per layer. None
        with "adam" is ``{"eps": 1e-3}`` for text (`scaling_` is "sparse"), so that rare words
        change weights less than common ones.
    learning_rate : {"linear", "cosine", "cooldown", "drops", "invscaling", "constant"} or Rate, \
            default="linear"
        How the rate decreases until the end of training, or of every stage of a `schedule`: to
        zero, where "cooldown" is constant in the first half, then linear; "drops" falls to a
        quarter after 50, 75, 89 and 94 % of it. "invscaling" is divided by √(1 + updates / 100),
        also from call to call of `partial_fit`, whose rate is constant with the others; see
        :mod:`sklearn_ff.schedules`.
    learning_rate_init : float, sequence of float or "auto", default="auto"
        Initial rate of all layers, or one per layer; "auto" is 5e-3 to 3e-2, the higher the fewer
        updates, or epochs below ten, there are.
    alpha : float or list of floats, default=0.0
        L2 penalty of the weights of all layers, or one per layer; it is divided by the number of
        rows, as in MLPClassifier.
    batch_size : int, "all" or "auto", default="auto"
        Rows of a batch; "auto" is all rows if there are at most 256, and 128 otherwise.
    max_iter : int or "auto", default="auto"
        Epochs, for each layer if `schedule="greedy"`. "auto" is the number that makes 300 updates,
        or 200 where all rows are one batch, and at least 10.
    shuffle : bool, default=True
        Whether rows are shuffled in every epoch.
    tol : float or None, default=1e-4
        With a constant rate or early stopping: the smallest gain that counts. With None, or a list
        as `schedule`, a constant rate runs all epochs.
    n_iter_no_change : int, default=10
        Epochs without gain after which training stops.
    early_stopping : bool, default=False
        Whether to stop by the score of held-out rows, and keep the weights of the best epoch.
        Without `X_val`, a share of the training rows is held out, by class where there are as many
        as classes, and never the last row of a class, so each class needs two rows.
    scoring : str, callable or None, default=None
        The score of held-out rows after every epoch: a name that scikit-learn knows, such as
        "neg_log_loss" or "balanced_accuracy", or a callable (estimator, X, y) -> number, the higher
        the better. None is accuracy. It is weighted by class and sample where it can be. Scores of
        probabilities take longer, as these are calibrated after every epoch.
    validation_fraction : float, default=0.1
        Share of the rows held out by `early_stopping`, or by a `prediction` that chooses its layers
        on such rows, unless `fit` is given `X_val`.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which sample weights are multiplied; "balanced" gives all classes
        the same sum of sample weights. Class weights multiply those of held-out rows too.
    callbacks : list of skorch callbacks or None, default=None
        Callbacks, which are used without a copy. One that sets learning rates, such as LRScheduler,
        needs ``learning_rate="constant"``. Held-out rows have a "valid_loss". A clone of the
        estimator copies them; a callback that cannot be copied, such as one with a lock or a trial,
        is shared. Those of scikit-learn, such as ProgressBar, are set by `set_callbacks`.
    device : str or torch.device, default="auto"
        A torch device; "auto" is CUDA if there is one, and the CPU otherwise.
    precision : {"auto", "float32", "float64", "bfloat16"}, default="auto"
        "bfloat16" has matrix products in low precision in training, and the activations of
        convolutions; weights, scores and sums are in single precision, and so is prediction. "auto"
        is double precision for up to 256 rows; for more rows, bfloat16 where a layer has 100,000
        weights or more, columns have a common unit, as pixels have (`scaling_` is "shared"), and
        the processor is faster so (AMX, ARM, GPUs); and single precision otherwise.
    compile : bool or "auto", default="auto"
        Whether training steps are recorded on a GPU, as a CUDA graph, and replayed: small layers
        wait for the launches of kernels otherwise. "auto" does so with parts of this package; with
        True, your own parts must do the same in every step, on the device, and draw random numbers
        from `draws` alone. It has no effect on a CPU.
    n_threads : int or None, default=None
        Threads of torch during fit and prediction; None does not change them, but lets small
        networks learn in one, which is faster. A forked process has one thread.
    verbose : bool or int, default=False
        Whether to print a line per epoch, which names the layers that learn.
    random_state : int, RandomState or None, default=None
        Seed of initial weights, order of rows, negatives and dropout.

    Attributes
    ----------
    classes_, class_count_ : ndarray of shape (n_classes,)
        The labels, and the weight of the rows of each, over all calls of `partial_fit`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.
    n_iter_ : int
        Complete epochs, over all layers if `schedule="greedy"`, over all stages if it is a list.
    loss_ : float
        Training loss of the last epoch, averaged over the layers, or of the head, where it learned
        alone.
    loss_curve_ : list of float
        Training loss of every epoch, averaged as `loss_`.
    validation_scores_ : list of float or None
        Accuracy, or the score of `scoring`, of held-out rows after every epoch, weighted by class
        and sample; over all layers if `schedule="greedy"`. A layer outside `prediction_layers` that
        a later layer needs is scored by its own goodness.
    validation_loss_curve_ : list of float or None
        Loss of held-out rows after every epoch, averaged as `loss_`, without dropout and
        augmentation.
    best_validation_score_ : float or None
        The best of `validation_scores_`; of the last layer's epochs, if `schedule="greedy"`. With
        `early_stopping` it is the score of the final weights.
    history_ : dict of str to ndarray of shape (`n_iter_`, n_layers)
        "loss", "goodness_positive", "goodness_negative", and "ranking_accuracy", the share of rows
        whose true label scores above the negative ones. A value is NaN where a layer did not learn.
    scale_ : float
        Factor that turns scores into log-probabilities.
    slips_ : float
        Share of rows whose label the scores do not predict; see the notes.
    negatives_, overlay_, goodness_, objective_, input_normalization_ : objects
        The parts, with "auto" resolved.
    batch_size_, max_iter_, learning_rate_init_, scaling_, precision_, label_strength_ : int, \
            float, str or list
        The values, with "auto" resolved.
    prediction_ : Prediction
        The rule of prediction of the fit, with the layers that it has chosen, if it does.
    net_ : skorch net
        The trained torch network is ``net_.module_``.

    See Also
    --------
    FFTransformer : Features and familiarity, by default learned without labels.
    sklearn.neural_network.MLPClassifier : The same kind of network, with backpropagation.

    Notes
    -----
    Probabilities are a softmax of `scale_` times the scores (Guo et al., 2017), of which a share
    `slips_` is distributed by the frequency of the classes. Both are fitted on training rows, to
    targets that combine their own label and that of the nearest other row, smoothed as by Platt
    (1999). On small tables probabilities can still be too extreme.

    References
    ----------
    Hinton, G. (2022). The Forward-Forward Algorithm: Some Preliminary Investigations.
    arXiv:2212.13345.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ff import FFClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FFClassifier(random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    >>> clf.transform(X).shape
    (150, 256)
    """

    PREDICTS, COUNTED = True, "prediction_layers"

    _parameter_constraints: dict = {
        **SHARED_CONSTRAINTS,
        "prediction": [str, callable, Prediction],
        "prediction_layers": [StrOptions({"all", "skip_first"}), "array-like"],
        "head": [SoftmaxHead, None],
        "early_stopping": ["boolean"],
        "scoring": [str, callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (256,),
        *,
        activation: str | Activation | Function = "relu",
        overlay: str | Overlay | Callable[[int, int], Any] = "append",
        negatives: str | Negatives | Callable[..., Tensor] = "auto",
        goodness: OneOrEach[str | Goodness | Function] = "mean_square",
        objective: OneOrEach[str | Objective | Function] = "auto",
        normalization: str | Normalization | None = "rms",
        input_normalization: str | Normalization | None = "auto",
        scaling: str | None = "auto",
        schedule: str | Schedule | Sequence[tuple[Any, int]] = "simultaneous",
        layers: Sequence[int | str | LayerKind] | None = None,
        image_shape: Sequence[int] | None = None,
        augmentation: OneOrMore[str | Augmentation | Function] | None = None,
        prediction: str | Prediction | Function = "goodness",
        prediction_layers: str | Sequence[int] = "all",
        head: SoftmaxHead | None = None,
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
        early_stopping: bool = False,
        scoring: str | Callable[..., float] | None = None,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        class_weight: dict[Any, Any] | str | None = None,
        callbacks: Sequence[Any] | None = None,
        device: str | torch.device = "auto",
        precision: str = "auto",
        compile: bool | str = "auto",
        n_threads: int | None = None,
        verbose: bool | int = False,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.overlay = overlay
        self.negatives = negatives
        self.goodness = goodness
        self.objective = objective
        self.normalization = normalization
        self.input_normalization = input_normalization
        self.scaling = scaling
        self.schedule = schedule
        self.layers = layers
        self.image_shape = image_shape
        self.augmentation = augmentation
        self.prediction = prediction
        self.prediction_layers = prediction_layers
        self.head = head
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
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.device = device
        self.precision = precision
        self.compile = compile
        self.n_threads = n_threads
        self.verbose = verbose
        self.random_state = random_state

    # Learning -----------------------------------------------------------------------------------

    @checks_parameters
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Learn from labelled rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Their labels: numbers, strings, booleans, or dates of numpy (datetime64); not bytes.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            A weight of k counts as k copies of the row; rows of weight zero, or of less than 1e-12
            of the largest weight, are left out. Weights of a mean below one are first brought to a
            mean of one. Class weights multiply them.
        X_val, y_val : array-like or None, default=None
            Held-out rows and labels, scored after every epoch. A Pipeline passes `X_val` through
            its steps only with ``transform_input=["X_val"]``; see docs/training.md.
        sample_weight_val : array-like of shape (n_samples_val,) or None, default=None
            Weights of the held-out rows, which class weights multiply.

        Returns
        -------
        self : FFClassifier
            The fitted estimator.
        """
        held_out = X_val, y_val, sample_weight_val
        return learn(self, X, Request(y, sample_weight, *held_out), calibrated)

    @checks_parameters
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
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
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels of all calls; required in the first call.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        self : FFClassifier
            The fitted estimator.
        """
        return learn_more(self, X, y, classes, sample_weight, calibrated)

    # Predicting ---------------------------------------------------------------------------------

    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return log-probabilities of the classes, or the log-odds of two.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            As `predict_log_proba`, so that scores of different rows can be compared; for two
            classes, the log-odds of the second.
        """
        log_p = self.predict_log_proba(X)
        return log_p[:, 1] - log_p[:, 0] if log_p.shape[1] == 2 else log_p

    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict the labels with the highest score.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted labels.
        """
        codes = self._by_parts(X, lambda log_p: log_p.argmax(1), np.intp)  # refuses if unfitted
        return self.classes_[codes]

    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Return logarithms of the classes' probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Ordered as `classes_`.
        """
        return self._by_parts(X, lambda log_p: log_p)

    def _by_parts(self, X: MatrixLike, function: Any, dtype: Any = np.float64) -> np.ndarray:
        """A function of the log-probabilities of all rows, which never exist at once."""
        with torch_threads(self.n_threads):
            fitted, X = checked_rows(self, X)
            plan, scale, slips = ruled(fitted, self.prediction, self.scale_, self.slips_)
            prior, out = class_shares(self.class_count_), np.empty(0)
            for part, scaled in scaled_scores(fitted.network, plan, X, scale):
                found = function(log_probabilities(scaled, slips, prior))
                out = out if out.size else np.empty((X.shape[0], *found.shape[1:]), dtype)
                out[part] = found
        return out

    def _set_answer(self, fitted: Fitted) -> None:
        plan, scale, slips = ruled(fitted, self.prediction, self.scale_, self.slips_)
        prior = class_shares(self.class_count_)
        fitted.network.answer.set(plan.prediction, scale, slips, prior)

    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return probabilities of the classes, from the scores times `scale_` and the `slips_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Ordered as `classes_`.
        """
        return self._by_parts(X, np.exp)
