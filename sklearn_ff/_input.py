"""Rows, labels and weights: from what `fit` is given to what the network learns from."""

import warnings

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, column_or_1d

from ._base import BaseFF
from ._validation import checked_own_rows, checked_weight, heavy, refuse_unseen, validate_rows
from .data_negatives import HeldOutClasses, OwnRows


class InputRows(BaseFF):
    """The private steps of `fit` before there is a network."""

    def _refuse_in_partial_fit(self):
        refused = {
            "early_stopping=True": self.early_stopping,
            "class_weight='balanced'": self.class_weight == "balanced",
            f"schedule={self.schedule!r}": self.schedule != "simultaneous",
        }
        for name, given in refused.items():
            if given:
                raise ValueError(f"partial_fit does not support {name}; use fit, or another value.")

    def _validate(self, X, y, sample_weight, reset=True):
        """Rows, labels and weights, checked."""
        X, y = validate_rows(self, X, y, reset=reset, dtype=self._dtype(X, reset))
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return X, y, checked_weight(X, sample_weight)

    def _dtype(self, X, reset):
        double = self._double(_num_samples(X)) if reset else self._plan.dtype == "float64"
        return np.float64 if double else np.float32

    def _set_aside(self, X, y, weight):
        """Rows to learn from, and rows of another kind where the negatives ask for such."""
        part = self.negatives
        if isinstance(part, OwnRows):
            rows = checked_own_rows(part, X)
            return X, y, weight, (rows, np.ones(rows.shape[0]))
        if not isinstance(part, HeldOutClasses):
            return X, y, weight, None
        part.check()
        if y is None:
            raise ValueError(
                f"negatives={part!r} tell rows apart by their labels, but y is missing; pass y."
            )
        held_out = np.isin(y, np.asarray(part.classes))
        if held_out.all() or not held_out.any():
            raise ValueError(
                f"negatives=HeldOutClasses({list(part.classes)!r}) hold out {held_out.sum()} of "
                f"{len(y)} rows; name classes that occur in every call, and leave others to learn "
                f"from."
            )
        rest = ~held_out
        return X[rest], y[rest], weight[rest], (X[held_out], weight[held_out])

    def _not_held_out(self, classes):
        held_out = isinstance(self.negatives, HeldOutClasses)
        return np.setdiff1d(classes, self.negatives.classes) if held_out else classes

    def _weigh(self, X, codes, weight, reset):
        """Rows that weigh something, by sample and class weights; the others are left out."""
        X, codes, weight = heavy(X, codes, weight)
        X, codes, weight = heavy(X, codes, weight * self._class_weights(codes))
        if reset and len(np.unique(codes)) < 2:
            self._refuse_one_class(codes)
        return X, codes, weight

    def _encode(self, y, classes):
        """Labels as 0..K−1; `classes`, if given, are all that may occur."""
        encoder = LabelEncoder().fit(y if classes is None else classes)
        if classes is not None:
            if len(self._not_held_out(classes)) < len(classes):
                raise ValueError(
                    f"negatives={self.negatives!r} hold out classes that the last fit has learned; "
                    f"set warm_start=False, or make a new estimator."
                )
            refuse_unseen(LabelEncoder().fit(y).classes_, encoder.classes_)
        self.classes_ = encoder.classes_
        codes = encoder.transform(y)
        if len(self.classes_) < 2:
            self._refuse_one_class(codes)
        return codes

    def _refuse_one_class(self, codes):
        rows = "1 sample" if len(codes) == 1 else f"{len(codes)} samples"
        raise ValueError(
            f"{type(self).__name__} needs rows of at least two classes with a weight above zero, "
            f"but {rows} of one class, {self.classes_.tolist()[codes[0]]!r}, are given; without a "
            f"wrong label there is nothing to learn."
        )

    def _all_classes(self, classes, old):
        """The labels fixed by the first call of partial_fit."""
        if old is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return self._not_held_out(np.unique(np.asarray(classes)))
        known = None if classes is None else self._not_held_out(np.unique(np.asarray(classes)))
        if known is not None and not np.array_equal(known, self.classes_):
            raise ValueError(
                f"classes={classes!r} is not the same as on the last call to partial_fit, was: "
                f"{self.classes_!r}."
            )
        return self.classes_

    def _class_weights(self, codes):
        if self.class_weight is None:
            return 1.0
        present = np.arange(len(self.classes_))
        if self.class_weight == "balanced":
            present = np.unique(codes)
        weights = np.ones(len(self.classes_))
        weights[present] = compute_class_weight(
            self.class_weight, classes=self.classes_[present], y=self.classes_[codes]
        )
        if not (weights[codes] >= 0).all() or not weights[codes].any():
            raise ValueError(
                f"class_weight={self.class_weight!r} must not be negative, nor zero for every row."
            )
        return weights[codes]

    def _held_out(self, X_val, y_val, dtype):
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together; one of them is missing.")
        X_val, y_val = validate_rows(self, X_val, y_val, reset=False, dtype=dtype)
        y_val = column_or_1d(y_val)
        refuse_unseen(y_val, self.classes_, "y_val")
        return X_val, LabelEncoder().fit(self.classes_).transform(y_val)

    def _split(self, X, codes, weight):
        """Rows to learn from, and a share of them held out, by class if every class can be cut."""
        stratify = codes
        counts = np.bincount(codes, minlength=len(self.classes_))
        n_held_out = int(np.ceil(self.validation_fraction * len(codes)))
        if (
            min(n_held_out, len(codes) - n_held_out) < np.count_nonzero(counts)
            or (counts == 1).any()
        ):
            stratify = None
            warnings.warn(
                "early_stopping: a class is too small to be held out in proportion; the held-out "
                "rows are drawn regardless of class.",
                stacklevel=3,
            )
        if len(codes) < 2:
            raise ValueError("early_stopping needs rows to hold out, but X has 1 sample.")
        learn, hold = train_test_split(
            np.arange(len(codes)),
            test_size=self.validation_fraction,
            stratify=stratify,
            random_state=self.random_state,
        )
        return (X[learn], codes[learn], weight[learn]), (X[hold], codes[hold], weight[hold])
