"""FFTransformer: features, and familiarity, learned by the Forward-Forward algorithm."""

from numbers import Integral

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from ._base import BaseFF, checked_rows
from ._familiarity import familiarity, with_familiarity
from ._input import Request
from ._learning import learn, learn_more
from ._machine import torch_threads
from ._scoring import by_parts, network_scores
from ._settings import SHARED_CONSTRAINTS


class FFTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseFF):
    """Features of layers that learn without backpropagation, by default without labels.

    Every layer learns by itself to tell rows from corrupted ones (Hinton, 2022); what it then makes
    of a row are the features, and how near these are to those of the rows learned from, the row's
    familiarity.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(256,)
        Number of units of every layer.
    negatives : {"auto", "pair_sum", "hybrid_mask", "shuffle", "noise"}, Negatives or callable, \
            default="auto"
        What a row is told from; see :mod:`sklearn_ff.negatives`. "auto" is "pair_sum", which
        needs no knowledge of the data, or "noise" where the goodness is "neg_mean_square"; with
        `supervised=True` it is negative labels, as FFClassifier has them.
    supervised : bool, default=False
        Whether to learn from labels, as FFClassifier does, and transform under the neutral label.
        Otherwise y is ignored, unless `negatives` are held-out classes.
    activation, overlay, goodness : optional
        As of :class:`FFClassifier`.
    objective : str, Objective or callable, default="auto"
        How scores become a loss; see :mod:`sklearn_ff.objectives`. "auto" is that of
        :class:`FFClassifier` with labels, and without them "logistic" with a threshold of 4 for
        positive rows and of 6 for negative ones, as Chen et al. (2025) have them for images of
        digits, or "symba" where the goodness is "neg_mean_square", which reaches no such threshold.
        Or a list with one per layer.
    normalization : optional
        As of :class:`FFClassifier`.
    input_normalization : str or Normalization, default="auto"
        What is done to a row before the first layer sees it; "auto" is None with labels, and
        without them "rms", so that layers cannot tell rows by their length.
    output_layers : {"all", "skip_first"} or sequence of int, default="all"
        Layers whose activations are the features, and by which familiarity is measured.
    output : {"activations", "triangle"}, default="activations"
        "activations" is h, "triangle" is max(0, a − mean of a over the layer) of the pre-activation
        a, which is sparser (Coates et al., 2011; Chen et al., 2025); both by `normalization`.
    scaling, schedule, layers, image_shape, augmentation, dropout : optional
        As of :class:`FFClassifier`.
    peer_normalization, optimizer, optimizer_params, learning_rate : optional
        As of :class:`FFClassifier`.
    learning_rate_init : float, sequence of float or "auto", default="auto"
        Initial rate; "auto" is that of :class:`FFClassifier` with labels, and 2e-3 without.
    alpha, batch_size : optional
        As of :class:`FFClassifier`.
    max_iter : int or "auto", default="auto"
        Epochs; "auto" is that of :class:`FFClassifier` with labels, and without them as many as
        make 1,200 updates, and at least 10.
    shuffle, tol, n_iter_no_change, warm_start, callbacks, device, precision : optional
        As of :class:`FFClassifier`.
    n_threads, verbose, random_state : optional
        As of :class:`FFClassifier`.

    Attributes
    ----------
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had any.
    classes_ : ndarray of shape (n_classes,)
        The labels, with `supervised=True`.
    n_iter_ : int
        Epochs run, over all layers if `schedule="greedy"`.
    loss_ : float
        Training loss of the last epoch, averaged over the layers.
    loss_curve_ : list of float
        That loss for every epoch.
    history_ : dict of str to ndarray of shape (n_iter_, n_layers)
        "loss", "goodness_positive", "goodness_negative", "ranking_accuracy" (share of rows that
        score above their negative candidates). NaN where a layer did
        not learn.
    validation_scores_, best_validation_score_ : None
        Nothing is held out here.
    negatives_, overlay_, goodness_, objective_, input_normalization_, batch_size_, max_iter_, \
            learning_rate_init_, scaling_, precision_, label_strength_ : objects
        What is in use.
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
        hidden_layer_sizes=(256,),
        *,
        negatives="auto",
        supervised=False,
        activation="relu",
        overlay="append",
        goodness="mean_square",
        objective="auto",
        normalization="rms",
        input_normalization="auto",
        output_layers="all",
        output="activations",
        scaling="auto",
        schedule="simultaneous",
        layers=None,
        image_shape=None,
        augmentation=None,
        dropout=0.0,
        peer_normalization=0.0,
        optimizer="adam",
        optimizer_params=None,
        learning_rate="linear",
        learning_rate_init="auto",
        alpha=0.0,
        batch_size="auto",
        max_iter="auto",
        shuffle=True,
        tol=1e-4,
        n_iter_no_change=10,
        warm_start=False,
        callbacks=None,
        device="auto",
        precision="auto",
        n_threads=None,
        verbose=False,
        random_state=None,
    ):
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
        self.n_threads = n_threads
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.supervised
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    # Learning -----------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
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

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, classes=None, sample_weight=None):
        """Learn from some more rows, once through, at a constant rate.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; those of the first call also fix the scale of the columns, except of columns that
            do not vary in it: their scale stays open until they do.
        y : array-like of shape (n_samples,) or None, default=None
            Labels, as for `fit`.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels that will ever come; with `supervised=True` required in the first call.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        self : FFTransformer
            The fitted estimator.
        """
        return learn_more(self, X, y, classes, sample_weight, with_familiarity)

    # Features -----------------------------------------------------------------------------------

    @property
    def _n_features_out(self):
        plan = self._fitted.plan
        return sum(plan.units[index] for index in plan.counted)

    def transform(self, X):
        """Return activations of the output layers side by side, normalised as between layers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            In float32 if X is, otherwise in float64.
        """
        with torch_threads(self.n_threads):
            fitted, X = checked_rows(self, X)
            plan, network = fitted.plan, fitted.network
            read_out = OUTPUT[plan.settings.output]

            def features(x):
                return read_out(network, network.encode(x))

            n_out = self._n_features_out
            found = by_parts(network.eval(), plan, X, features, n_out, max(plan.width, n_out))
            return found.astype(np.float32 if X.dtype == np.float32 else np.float64, copy=False)

    def score_samples(self, X):
        """Tell how familiar each row looks.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        familiarity : ndarray of shape (n_samples,)
            Higher for rows like those learned from, and at most zero: minus the squared Mahalanobis
            distance of what the row stirs in each output layer, summed over these. Where
            `negatives` are strange rows that you have given, `OwnRows` or `HeldOutClasses`, it is
            the goodness instead, summed over the output layers, which tells these.

        See Also
        --------
        layer_scores : The goodness of every layer.

        Notes
        -----
        What a row stirs are pre-activations and activations, as if rows were not normalised on the
        way, so that length counts as well as direction; under the neutral label with
        `supervised=True`. `fit` keeps their mean and covariance over the training rows, of at most
        512 units of a layer, and `partial_fit` adds to these. The covariance is regularised as if
        200 rows of average variance in every direction had been seen besides.
        """
        with torch_threads(self.n_threads):
            fitted, X = checked_rows(self, X)
            if fitted.plan.negatives.shows_strange:
                return network_scores(fitted.network, fitted.plan, X).max(1)
            return familiarity(fitted.network, fitted.plan, X, fitted.moments)

    def layer_scores(self, X):
        """Compute the goodness of each row in every layer, for every label if these are learned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        goodness : ndarray of shape (n_samples, n_layers, n_classes)
            With one class where no labels are learned; without layers not reached by a greedy fit.
        """
        with torch_threads(self.n_threads):
            fitted, X = checked_rows(self, X)
            network, plan = fitted.network, fitted.plan
            each = [network_scores(network, plan, X, [i]) for i in range(network.depth)]
        return np.stack(each, 1)


def _triangles(network, shown):
    """Features as `Network.features` has them, of max(0, a − mean of a) instead of h."""
    neutral = torch.full((len(shown), 1), network.n_classes, device=shown.device)
    found = []
    for layer, a, _ in network.activations(shown, neutral):
        if layer.index in network.head_layers:
            h = layer.affine.outputs(a, lambda a: torch.relu(a - a.mean(-1, keepdim=True)))
            found.append(layer.normalize(h).squeeze(1))
    return torch.cat(found, 1)


OUTPUT = {"triangle": _triangles, "activations": lambda network, shown: network.features(shown)}
