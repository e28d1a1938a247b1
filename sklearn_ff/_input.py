"""Rows, labels and weights: from what `fit` is given to what the network learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets

from . import _automatic as automatic
from ._class_weights import NEGLIGIBLE, class_weights, refuse_sudden_weight, weighed
from ._families import given_negatives
from ._labels import about, check_like, checked_classes, checked_labels, refuse_unseen
from ._ranks import ALONE, Alone
from ._settings import Settings
from ._stored import StoredRows, dense
from ._typing import MatrixLike
from ._validation import checked_own_rows, checked_weight, distinct, heavy, validate_rows
from ._warn import pointed, warn
from .negatives import Negatives
from .predictions import checked_rule

Pool = tuple[Any, np.ndarray]  # rows, weight


class LabelledRows(NamedTuple):
    """Rows, the numbers of their labels, and their weights."""

    X: Any
    codes: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Data:
    """What a network learns from.

    Attributes
    ----------
    X : ndarray, sparse matrix or StoredRows of shape (n_samples, n_features)
        Training rows with a weight above zero, in the dtype in which they are given.
    codes : ndarray of int, shape (n_samples,)
        Numbers of their labels; zeros where no labels are learned.
    weight : ndarray of shape (n_samples,)
        Their weights, those of the classes included.
    classes : ndarray or None
        The labels, or None where no labels are learned.
    pool : tuple of (rows, weight), or None
        Rows that negative ones are drawn from.
    held_out : LabelledRows or None
        Rows that are scored after every epoch.
    ranks : Alone
        The processes among which the rows lie; the arrays above are those of this one.
    """

    X: Any
    codes: np.ndarray
    weight: np.ndarray
    classes: np.ndarray | None = None
    pool: Pool | None = None
    held_out: LabelledRows | None = None
    ranks: Alone = ALONE

    @property
    def n_rows(self) -> int:
        return self.ranks.n_rows(len(self.codes))

    @property
    def total_weight(self) -> Any:
        return self.ranks.weight_of(self.weight)

    @property
    def copies(self) -> np.ndarray:
        """The weights as numbers of copies: of a mean of one at least."""
        return self.weight * max(1.0, self.n_rows / self.total_weight)

    @property
    def n_classes(self) -> int:
        return 1 if self.classes is None else len(self.classes)


class Request(NamedTuple):
    """What a call of `fit` or `partial_fit` passes on, beside X.

    `classes` are those that `partial_fit` is given. `resume` is true in `partial_fit`.
    """

    y: Any = None
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None
    classes: Any = None
    resume: bool = False


def read(
    estimator: Any, settings: Settings, X: MatrixLike, request: Request, previous: Any = None
) -> Data:
    """The data of a fit; `previous` is what it goes on from.

    scikit-learn's validation notes names and number of the columns on the `estimator`.
    """
    if previous is not None and settings.supervised != (previous.classes is not None):
        raise ValueError(
            "The architecture has changed since the last fit (supervised), and its weights cannot "
            "be kept; set warm_start=False, or make a new estimator."
        )
    negatives = given_negatives(settings.negatives)
    known = known_classes(settings, negatives, request, previous)
    X, y, weight = validated(estimator, settings, negatives, X, request, reset=previous is None)
    X, y, weight, pool = set_aside(negatives, X, y, weight)
    if not settings.supervised:
        rows = without_labels(settings, X, weight)
        return Data(*rows, pool=pool and in_order(settings, *pool))
    classes, codes = encoded(settings, negatives, y, known)
    if previous is not None and not request.resume:
        check_same_classes(classes, codes)
    by_class = class_weights(settings.class_weight, classes, codes, weight)
    rows = LabelledRows(*weighed(X, codes, weight, by_class, settings.class_weight, classes))
    if previous is None and not request.resume:
        check_classes(settings, classes, rows.codes)
    if request.resume and previous is not None and previous.class_count is not None:
        refuse_sudden_weight(rows.weight, previous.class_count.sum())
    held_out = given_rows(estimator, settings, request, classes, by_class)
    if held_out is None and holds_out(settings):
        rows, held_out = split(settings, rows, classes)
    return Data(*rows, classes=classes, pool=pool, held_out=held_out)


def validated(
    estimator: Any,
    settings: Settings,
    negatives: Negatives | None,
    X: MatrixLike,
    request: Request,
    reset: bool,
) -> tuple[Any, Any, np.ndarray]:
    """Rows, labels and weights, checked; labels only where they are used."""
    y, held_out = request.y, negatives is not None and negatives.held_out is not None
    if not settings.supervised and not (held_out and y is not None):
        X = validate_rows(estimator, X, reset=reset)
        return X, None, checked_weight(X, request.sample_weight)
    if y is not None:
        y = checked_labels(y, "y")
    X, y = validate_rows(estimator, X, y, reset=reset)
    with pointed():
        check_classification_targets(y)
    return X, y, checked_weight(X, request.sample_weight)


# Rows of another kind ---------------------------------------------------------------------------


def set_aside(
    negatives: Negatives | None, X: MatrixLike, y: np.ndarray, weight: np.ndarray
) -> tuple[Any, Any, np.ndarray, Pool | None]:
    """Rows to learn from, and a pool of others where the negatives need one."""
    if negatives is None or (negatives.own_rows is None and negatives.held_out is None):
        return X, y, weight, None
    negatives.check()
    if negatives.own_rows is not None:
        rows = checked_own_rows(negatives, X)
        return X, y, weight, (rows, np.ones(rows.shape[0]))
    if y is None:
        raise ValueError(
            f"negatives={negatives!r} tell rows apart by their labels, but y is missing; pass y."
        )
    labels = held_out_labels(negatives)
    check_like(labels, y, "HeldOutClasses", "the labels in y")
    others = np.isin(y, labels)
    if others.all() or not others.any():
        raise ValueError(
            f"negatives=HeldOutClasses({list(negatives.held_out)!r}) hold out {others.sum()} of "
            f"{len(y)} rows; name classes that occur in every call, and leave others to learn from."
        )
    rest = ~others
    return X[rest], y[rest], weight[rest], heavy_pool(negatives, X[others], weight[others])


def heavy_pool(negatives: Negatives, X: MatrixLike, weight: np.ndarray) -> Pool:
    """The rows of a pool that weigh something."""
    if not weight.any():
        raise ValueError(f"negatives={negatives!r} hold out rows of weight zero only.")
    X, _, weight = heavy(X, weight, weight)
    return X, weight


def held_out_labels(negatives: Negatives) -> np.ndarray:
    negatives.check()
    return checked_classes(negatives.held_out, "HeldOutClasses")


def learned_classes(negatives: Negatives | None, classes: np.ndarray) -> np.ndarray:
    """Those of the classes that no negatives hold out."""
    if negatives is None or negatives.held_out is None:
        return classes
    labels = held_out_labels(negatives)
    check_like(labels, classes, "HeldOutClasses")
    return np.setdiff1d(classes, labels)


# Rows without labels ----------------------------------------------------------------------------


def without_labels(settings: Settings, X: MatrixLike, weight: np.ndarray) -> LabelledRows:
    """Rows that weigh something, all of one code."""
    weight = np.where(weight < NEGLIGIBLE * weight.max(), 0.0, weight)
    X, _, weight = heavy(X, weight, weight)
    if X.shape[0] < 2:
        raise ValueError(
            f"{settings.estimator} tells every row from another one, but X has 1 sample with a "
            f"weight above zero; give at least two."
        )
    X, weight = in_order(settings, X, weight)
    return LabelledRows(X, np.zeros(len(weight), int), weight)


def in_order(settings: Settings, X: MatrixLike, weight: np.ndarray) -> Pool:
    """Rows that make one batch, sorted, and copies of a row as one of their summed weight.

    What is drawn for a row then depends neither on its place nor on how often it is repeated.
    """
    n_rows = X.shape[0]
    if n_rows > automatic.ONE_BATCH or automatic.batch_size(settings, n_rows) < n_rows:
        return X, weight
    first, group = distinct(X if issparse(X) else dense(X))
    if len(first) < 2:
        return X, weight
    return X[first], np.bincount(group, weight)


# Labels -----------------------------------------------------------------------------------------


def known_classes(
    settings: Settings, negatives: Negatives | None, request: Request, previous: Any
) -> np.ndarray | None:
    """The labels that are fixed before y is looked at, or None."""
    if not settings.supervised:
        return None
    before = None if previous is None else previous.classes
    if not request.resume:
        return before
    if before is None and request.classes is None:
        raise ValueError("classes must be passed on the first call to partial_fit.")
    if request.classes is None:
        return before
    known = learned_classes(negatives, checked_classes(request.classes))
    if before is not None and not np.array_equal(known, before):
        raise ValueError(
            f"classes={request.classes!r} is not the same as on the last call to partial_fit, was: "
            f"{before!r}."
        )
    if len(known) < 2:
        raise ValueError(
            f"classes={request.classes!r} leaves {len(known)} to learn, but at least two classes "
            f"are needed; give all labels that will ever come."
        )
    return known


def encoded(
    settings: Settings, negatives: Negatives | None, y: np.ndarray, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The classes, and the labels as 0..K−1; `known`, if given, are all that may occur."""
    if known is not None and len(learned_classes(negatives, known)) < len(known):
        raise ValueError(
            f"negatives={negatives!r} hold out classes that the last fit has learned; set "
            f"warm_start=False, or make a new estimator."
        )
    encoder = LabelEncoder().fit(y if known is None else known)
    if known is not None:
        refuse_unseen(y, encoder.classes_)
    codes = encoder.transform(y)
    if len(encoder.classes_) < 2:
        check_classes(settings, encoder.classes_, codes)
    return encoder.classes_, codes


def check_same_classes(classes: np.ndarray, codes: np.ndarray) -> None:
    """Raise ValueError where a warm start lacks a class, which the fit would forget."""
    given = np.unique(codes)
    if len(given) < len(classes):
        raise ValueError(
            f"warm_start=True goes on where y has the classes of the last fit, {classes}, but it "
            f"has {classes[given]}; give rows of every class, set warm_start=False, or use "
            f"partial_fit, whose calls may lack some."
        )


def check_classes(settings: Settings, classes: np.ndarray, codes: np.ndarray) -> None:
    """Raise ValueError unless rows are of two classes at least."""
    if len(np.unique(codes)) > 1:
        return
    rows = "1 sample" if len(codes) == 1 else f"{len(codes)} samples"
    raise ValueError(
        f"{settings.estimator} needs rows of at least two classes with a weight above zero, but "
        f"{rows} of one class, {classes.tolist()[codes[0]]!r}, are given; without a negative label "
        f"there is nothing to learn."
    )


# Rows held out ----------------------------------------------------------------------------------


def given_rows(
    estimator: Any, settings: Settings, request: Request, classes: np.ndarray, by_class: np.ndarray
) -> LabelledRows | None:
    """The rows of X_val, their labels, and their weights times those of classes, as in training."""
    X_val, y_val = request.X_val, request.y_val
    if X_val is None and y_val is None and request.sample_weight_val is None:
        return None
    if X_val is None or y_val is None:
        raise ValueError(
            "X_val and y_val go together, and sample_weight_val with both; one of them is missing."
        )
    y_val = checked_labels(y_val, "y_val")
    with about("X_val"), pointed("X_val"):
        X_val = validate_rows(estimator, X_val, reset=False)
    if X_val.shape[0] != len(y_val):
        raise ValueError(
            f"X_val has {X_val.shape[0]} rows, but y_val has {len(y_val)} labels; give one label "
            f"per row."
        )
    refuse_unseen(y_val, classes, "y_val")
    codes = LabelEncoder().fit(classes).transform(y_val)
    weight = by_class[codes] * checked_weight(X_val, request.sample_weight_val, "sample_weight_val")
    if not weight.any():
        raise ValueError(
            f"class_weight={settings.class_weight!r} leaves no row of X_val with a weight above "
            f"zero, so that there is no score; add rows of other classes."
        )
    return LabelledRows(X_val, codes, weight)


def holds_out(settings: Settings) -> bool:
    """Whether a share of the training rows is held out where none are given."""
    return settings.early_stopping or (settings.predicts and checked_rule(settings.prediction).open)


def why_held_out(settings: Settings) -> str:
    """The parameter that asks for it, as it is given."""
    return "early_stopping" if settings.early_stopping else f"prediction={settings.prediction!r}"


def split(
    settings: Settings, rows: LabelledRows, classes: np.ndarray
) -> tuple[LabelledRows, LabelledRows]:
    """Rows to learn from, with every class among them, and others held out, by class if there
    are as many as classes."""
    codes = rows.codes
    counts = np.bincount(codes, minlength=len(classes))
    refuse_single_rows(settings, counts, classes)
    n_classes = int(np.count_nonzero(counts))
    n_held_out = int(np.ceil(settings.validation_fraction * len(codes)))
    n_held_out = min(n_held_out, len(codes) - n_classes)
    by_class = n_held_out >= n_classes
    if not by_class:
        warn(
            f"{why_held_out(settings)} holds out {n_held_out} rows, fewer than there are classes "
            f"({n_classes}), and draws them regardless of class; raise validation_fraction."
        )
    learn, hold = train_test_split(
        np.arange(len(codes)),
        test_size=n_held_out,
        stratify=codes if by_class else None,
        random_state=settings.random_state,
    )
    learn, hold = with_every_class(learn, hold, codes)
    if isinstance(rows.X, StoredRows) and not rows.X.one_block:
        learn, hold = np.sort(learn), np.sort(hold)  # so that neighbours in the file remain so
    kept, held_out = (LabelledRows(*(values[part] for values in rows)) for part in (learn, hold))
    return kept, held_out


def refuse_single_rows(settings: Settings, counts: np.ndarray, classes: np.ndarray) -> None:
    """A class of one row can be learned from or held out, not both."""
    single = np.flatnonzero(counts == 1)
    if len(single):
        raise ValueError(
            f"{why_held_out(settings)} learns from a class and holds out rows of it, but of "
            f"{classes[single].tolist()!r} there is only 1 row with a weight above zero; give at "
            f"least 2 of every class, pass X_val and y_val, or set "
            f"{'early_stopping=False' if settings.early_stopping else 'another prediction'}."
        )


def with_every_class(
    learn: np.ndarray, hold: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The split with a row brought back of each class that would be held out whole."""
    taken = np.setdiff1d(codes[hold], codes[learn])
    back = np.array([np.flatnonzero(codes[hold] == code)[0] for code in taken], dtype=int)
    return np.append(learn, hold[back]), np.delete(hold, back)
