"""FFOutlierDetector: rows unlike those that a Forward-Forward network has learned from."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._base import Watched, all_or_nothing
from ._learning import checks_parameters
from ._neighbours import some_of, strangeness, with_spacing
from ._tasks import Fits
from ._transformer import FFTransformer
from ._typing import MatrixLike
from ._validation import validate_rows

AUTO = 0.05  # share of familiar rows below the threshold, where `contamination` is "auto"
FOLDS = 5  # that are held out in turn
ENOUGH = 20  # rows held out for a threshold; if there are fewer, all are held out in turn
ROUNDING = 1e-3  # of the threshold: rows that are closer to it count as on it
LARGEST_SEED = np.iinfo(np.int32).max


class FFOutlierDetector(Watched, OutlierMixin, BaseEstimator):
    """Outliers by their distance in layers that learn without backpropagation.

    The layers of a network learn, each alone, to separate rows from corrupted ones. A row is an
    outlier if its activations are further from those of the nearest training rows than is usual for
    rows that the network has not learned from.

    Parameters
    ----------
    transformer : FFTransformer or None, default=None
        The network, which learns without labels; None is ``FFTransformer(negatives="shuffle")``.
        What learns from labels is refused.
    contamination : "auto" or float, default="auto"
        Share of outliers in the training rows, above 0 and up to 0.5. It sets the threshold of
        `predict`, and how many rows `fit_predict` finds. With "auto" training rows are free of
        outliers, and the threshold is that of 0.05: to find outliers among the training rows,
        give a number, unlike for IsolationForest and LocalOutlierFactor.
    validation_fraction : float, default=0.1
        Share of the training rows that the network does not learn from. They determine the
        threshold, since a row that was learned from is more familiar than a new one. Where they
        would be fewer than 20, the network learns from all rows, and the threshold is that of rows
        each fifth of which is scored by a network that learns from the others.
    random_state : int, RandomState instance or None, default=None
        Determines which rows are held out, and is passed on to a transformer that has no
        `random_state` of its own.

    Attributes
    ----------
    transformer_ : FFTransformer
        The trained network.
    offset_ : float
        The threshold: ``decision_function`` is ``score_samples`` minus it. The share
        `contamination` of the rows held out score below it.
    neighbours_ : ndarray of shape (n_neighbours, n_activations) or None
        Whitened activations of the training rows that distances are measured from, if it is not
        goodness that is measured.
    spacing_ : ndarray of shape (n_neighbours,) or None
        The mean distance of each of them from the five nearest others.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had any.

    See Also
    --------
    FFTransformer : The features, and familiarity without a threshold.
    sklearn.ensemble.IsolationForest : Outliers by random trees, in less time.
    sklearn.neighbors.LocalOutlierFactor : Outliers by the density around their neighbours.

    References
    ----------
    Lee, K., Lee, K., Lee, H. and Shin, J. (2018). A Simple Unified Framework for Detecting
    Out-of-Distribution Samples and Adversarial Attacks. NeurIPS 31.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ff import FFOutlierDetector
    >>> X, y = load_digits(return_X_y=True)
    >>> detector = FFOutlierDetector(random_state=0).fit(X[y < 5])
    >>> bool(detector.decision_function(X[y < 5]).mean() > detector.decision_function(X).mean())
    True
    """

    # The threshold is one for new rows, as of LocalOutlierFactor(novelty=True).
    novelty = True

    _parameter_constraints: dict = {
        "transformer": [FFTransformer, None],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        transformer: FFTransformer | None = None,
        *,
        contamination: float | str = "auto",
        validation_fraction: float = 0.1,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.transformer = transformer
        self.contamination = contamination
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @checks_parameters
    def fit(self, X: MatrixLike, y: ArrayLike | None = None) -> Self:
        """Learn what rows are like.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : None
            Ignored.

        Returns
        -------
        self : FFOutlierDetector
            The fitted estimator.
        """
        learn(self, X, y)
        return self

    @checks_parameters
    def fit_predict(self, X: MatrixLike, y: ArrayLike | None = None) -> np.ndarray:
        """Learn what rows are like, and tell which of these are outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : None
            Ignored.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers and 1 for inliers. With a `contamination` in numbers this share of the
            rows is -1, those that are strangest to a network that has not learned from them: each
            fifth of the rows is scored by one that has learned from the others. With "auto" it is
            what `predict` returns: rows that were learned from are familiar, so that hardly any is
            -1. To find outliers among the training rows, give their share.
        """
        if self.contamination == "auto":
            learn(self, X, y)
            return self.predict(X)
        scores = learn(self, X, y, every=True)
        return signs(scores - lowest(scores, self._share))

    def score_samples(self, X: MatrixLike) -> np.ndarray:
        """Compute the familiarity of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        familiarity : ndarray of shape (n_samples,)
            Minus the strangeness of the row, which is d · (d / s) for its distance d from a
            training row and the spacing s of training rows there, the mean distance from five of
            them; the least over up to 5,000 training rows. Distances are those of pre-activations
            and activations, whitened. Rows that were learned from score 0. Where `negatives` are
            given strange rows, `OwnRows`, it is the goodness, as of :class:`FFTransformer`.
        """
        check_is_fitted(self)
        X = validate_rows(self, X, reset=False)
        return familiarity(self.transformer_, self.neighbours_, self.spacing_, X)

    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Compute the familiarity of each row above the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``, negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: MatrixLike) -> np.ndarray:
        """Tell which rows are outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            New rows. Outliers among the rows that were learned from are familiar; `fit_predict`
            finds these.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers and 1 for inliers.
        """
        return signs(self.decision_function(X))

    def set_params(self, **params: Any) -> Self:
        """Set the parameters of this estimator, and those of its transformer.

        Parameters
        ----------
        **params : dict
            Parameters by name; ``transformer__max_iter`` is that of the transformer, which must
            then be given.

        Returns
        -------
        self : object
            This estimator.
        """
        inner = next((name for name in params if name.startswith("transformer__")), None)
        given = params.get("transformer", self.transformer)
        if inner is not None and not isinstance(given, FFTransformer):
            raise ValueError(
                f"transformer={given!r} has no parameters to set; pass the transformer itself, "
                f"transformer=FFTransformer(negatives='shuffle'), and then set {inner}."
            )
        return super().set_params(**params)

    @property
    def _share(self) -> float:
        return AUTO if isinstance(self.contamination, str) else self.contamination


def checked_training_rows(detector: FFOutlierDetector, X: MatrixLike) -> Any:
    """The rows X, validated, if there are enough of them, and no labels are asked for."""
    given = detector.transformer
    if given is not None and given.supervised:
        raise ValueError(
            f"FFOutlierDetector learns without labels, but its transformer has supervised="
            f"{given.supervised!r}; set supervised=False."
        )
    X = validate_rows(detector, X, reset=True)
    if X.shape[0] < 3:
        raise ValueError(
            f"FFOutlierDetector learns from two rows at least and holds out one, but X has "
            f"n_samples={X.shape[0]}; give at least three."
        )
    return X


def learn(
    detector: FFOutlierDetector, X: MatrixLike, y: ArrayLike | None, every: bool = False
) -> np.ndarray:
    """Fit a detector; return the familiarity of rows not learned from, or of `every` row so."""
    fits = Fits(detector, X, y)  # outside of the guard, so that callbacks are always torn down
    with all_or_nothing(detector):
        X = checked_training_rows(detector, X)
        given, random = detector.transformer, check_random_state(detector.random_state)
        used, held_out = split(X.shape[0], detector.validation_fraction, random)
        few = not len(held_out)
        fits.begin(1 + folds_of(X) * (few or every))
        found = learned(given, X[used], random, fits, "network")
        scores = out_of_fold(given, X, random, fits) if few else familiarity(*found, X[held_out])
        detector.transformer_, detector.neighbours_, detector.spacing_ = found
        offset = lowest(scores, detector._share)
        detector.offset_ = offset - ROUNDING * abs(offset)
        if every and not few:
            scores = out_of_fold(given, X, check_random_state(detector.random_state), fits)
        fits.end()
    return scores


def split(n_rows: int, share: float, random: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Indices of rows to learn from, and of a share of the rows, which may be too few for any."""
    n_held_out = int(np.ceil(share * n_rows))
    if n_held_out < ENOUGH:
        return np.arange(n_rows), np.arange(0)
    if n_held_out > n_rows - 2:
        raise ValueError(
            f"validation_fraction={share} leaves {n_rows - n_held_out} of {n_rows} rows to learn "
            f"from, and 2 are needed; lower it."
        )
    order = random.permutation(n_rows)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def new_transformer(given: FFTransformer | None, random: RandomState) -> FFTransformer:
    """A transformer as the given one, with a seed."""
    transformer = FFTransformer(negatives="shuffle") if given is None else clone(given)
    seed = random.randint(LARGEST_SEED)
    return (
        transformer
        if transformer.random_state is not None
        else transformer.set_params(random_state=seed)
    )


class Learned(NamedTuple):
    """A transformer, and the training rows that distances are measured from, if they are."""

    transformer: FFTransformer
    neighbours: np.ndarray | None
    spacing: np.ndarray | None


def learned(
    given: FFTransformer | None, X: Any, random: RandomState, fits: Fits, name: str
) -> Learned:
    """What is learned from the rows X, in one of several fits."""
    transformer = fits.fit(name, new_transformer(given, random), X)
    if transformer.negatives_.shows_strange:
        return Learned(transformer, None, None)
    whitened = [values for _, values in transformer._whitened(some_of(X, random))]
    return Learned(transformer, *with_spacing(np.concatenate(whitened)))


def familiarity(
    transformer: FFTransformer, neighbours: np.ndarray | None, spacing: np.ndarray | None, X: Any
) -> np.ndarray:
    """Minus the strangeness of the rows X, or their goodness."""
    if neighbours is None or spacing is None:
        return transformer.score_samples(X)
    found = np.empty(X.shape[0])
    for part, values in transformer._whitened(X):
        found[part] = -strangeness(neighbours, spacing, values)
    return found


def folds_of(X: Any) -> int:
    return min(FOLDS, X.shape[0])


def out_of_fold(given: FFTransformer | None, X: Any, random: RandomState, fits: Fits) -> np.ndarray:
    """The familiarity of each row to a network that has learned from rows of the other folds."""
    scores = np.empty(X.shape[0])
    folds = KFold(folds_of(X), shuffle=True, random_state=random).split(scores)
    for number, (used, held_out) in enumerate(folds, 1):
        found = learned(given, X[used], random, fits, f"network without fold {number}")
        scores[held_out] = familiarity(*found, X[held_out])
    return scores


def lowest(scores: np.ndarray, share: float) -> float:
    """The score that this share of the rows is below."""
    return float(np.quantile(scores, share))


def signs(decision: np.ndarray) -> np.ndarray:
    return np.where(decision >= 0, 1, -1)
