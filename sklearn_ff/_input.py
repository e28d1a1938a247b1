"""Rows, labels and weights: from what `fit` is given to what the network learns from."""

import warnings
from inspect import isclass

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets

from ._base import FAMILIES, ONE_BATCH, BaseFF
from ._class_weights import class_weights
from ._labels import about, check_like, checked_classes, checked_labels, refuse_unseen
from ._parts import is_name
from ._validation import (
    checked_own_rows,
    checked_weight,
    distinct,
    heavy,
    refuse_extreme_weights,
    validate_rows,
)
from .negatives import HeldOutClasses, OwnRows

NEGLIGIBLE = 1e-12  # weights that are less than this share of the largest count as zero


class InputRows(BaseFF):
    """The private steps of `fit` before there is a network."""

    def _refuse_in_partial_fit(self):
        self._validate_params()  # scikit-learn looks at them before the first fit only
        refused = {
            "early_stopping=True": self.early_stopping,
            "class_weight='balanced'": self.class_weight == "balanced",
            f"schedule={self.schedule!r}": self.schedule != "simultaneous",
        }
        for name, given in refused.items():
            if given:
                raise ValueError(f"partial_fit does not support {name}; use fit, or another value.")

    def _check_supervision(self):
        """Refuse what learns labels where there are none, and what learns none where there are."""
        given = f"negatives={self.negatives!r}"
        family = FAMILIES["negatives"]
        own = callable(self.negatives) and not isclass(self.negatives)
        function = own and not self.supervised
        told = not (function or is_name(self.negatives, "auto"))
        part = family.get(self.negatives) if told else None
        if function or (part is not None and not (self.supervised or part.of_rows)):
            raise ValueError(
                f"{given} are negative labels, but without supervised=True no labels are learned; "
                f"set it, or use negatives of rows, such as 'pair_sum', Corruption(function) or "
                f"OwnRows(rows)."
            )
        if part is not None and self.supervised and not part.labelled:
            raise ValueError(
                f"{given} tell rows apart without their labels, but supervised=True asks to learn "
                f"these; use supervised=False, or negatives of labels such as 'hard'."
            )
        one_pass = FAMILIES["goodness"].get(self.goodness).scores_classes
        if part is None and not self.supervised and one_pass:
            raise ValueError(
                f"goodness={self.goodness!r} scores classes, and without supervised=True there are "
                f"none; set it, or use a goodness with one score per row such as 'mean_square'."
            )

    def _validate(self, X, y, sample_weight, reset=True):
        """Rows, labels and weights, checked."""
        if y is not None:
            y = checked_labels(y, "y")
        X, y = validate_rows(self, X, y, reset=reset)
        check_classification_targets(y)
        return X, y, checked_weight(X, sample_weight)

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
        classes = self._held_out_classes()
        check_like(classes, y, "HeldOutClasses", "the labels in y")
        held_out = np.isin(y, classes)
        if held_out.all() or not held_out.any():
            raise ValueError(
                f"negatives=HeldOutClasses({list(part.classes)!r}) hold out {held_out.sum()} of "
                f"{len(y)} rows; name classes that occur in every call, and leave others to learn "
                f"from."
            )
        rest = ~held_out
        return X[rest], y[rest], weight[rest], (X[held_out], weight[held_out])

    def _held_out_classes(self):
        """The labels of HeldOutClasses."""
        self.negatives.check()
        return checked_classes(self.negatives.classes, "HeldOutClasses")

    def _not_held_out(self, classes):
        if not isinstance(self.negatives, HeldOutClasses):
            return classes
        held_out = self._held_out_classes()
        check_like(held_out, classes, "HeldOutClasses")
        return np.setdiff1d(classes, held_out)

    def _class_weights(self, codes, weight):
        return class_weights(self.class_weight, self.classes_, codes, weight)

    def _weigh(self, X, codes, weight, by_class, reset):
        """Rows that weigh something, by sample and class weights; the others are left out.

        Class weights that are small as a whole do not make rows count as fewer copies.
        """
        product = weight * by_class[codes]
        some = product > 0
        vanished = ((weight > 0) & (by_class[codes] > 0)) & ~some
        if vanished.any():
            raise ValueError(
                f"sample_weight times class_weight={self.class_weight!r} is too small to be "
                f"computed with in {vanished.sum()} rows; give larger weights, or zero."
            )
        if not some.any():
            raise ValueError(
                f"class_weight={self.class_weight!r} leaves no row with a weight above zero; give "
                f"a class whose rows weigh something a weight above zero."
            )
        some = self._count(product, codes)
        if not some.all():
            X, codes, weight = X[some], codes[some], weight[some]
        copies = weight * max(1.0, len(weight) / weight.sum())
        weight = copies * by_class[codes]
        refuse_extreme_weights(weight, f"rows, with class_weight={self.class_weight!r}")
        weight *= max(1.0, copies.sum() / weight.sum())
        if reset and len(np.unique(codes)) < 2:
            self._refuse_one_class(codes)
        return X, codes, weight

    def _count(self, weight, codes):
        """Which rows weigh enough beside the others to count in double precision.

        Those that do not are as if of weight zero, but no class may lose its last row in this way.
        """
        some = weight >= NEGLIGIBLE * weight.max()
        lost = np.setdiff1d(codes[weight > 0], codes[some])
        if len(lost):
            least = weight[np.isin(codes, lost)].max()
            raise ValueError(
                f"The weights of rows, sample_weight times class_weight={self.class_weight!r}, go "
                f"up to {weight.max():.4g}, beside which those of class "
                f"{self.classes_.tolist()[lost[0]]!r}, at most {least:.4g}, do not count in double "
                f"precision; give weights that differ by a factor of less than {1 / NEGLIGIBLE:g}."
            )
        return some

    def _refuse_sudden_weight(self, weight, old):
        """In partial_fit, rows beside which those of the calls before would not count."""
        before = 0.0 if old is None else old.class_count_.sum()
        if before < NEGLIGIBLE * weight.sum() and before:
            raise ValueError(
                f"The weights of this call of partial_fit sum to {weight.sum():.4g}, beside which "
                f"those of the calls before, {before:.4g}, do not count in double precision; give "
                f"weights of the same size in all calls."
            )

    def _unlabelled(self, X, weight):
        """Rows that weigh something, all of one code."""
        weight = np.where(weight < NEGLIGIBLE * weight.max(), 0.0, weight)
        X, _, weight = heavy(X, weight, weight)
        if X.shape[0] < 2:
            raise ValueError(
                "FFTransformer tells every row from another one, but X has 1 sample with a weight "
                "above zero; give at least two."
            )
        X, weight = self._in_order(X, weight)
        return X, np.zeros(len(weight), int), weight

    def _in_order(self, X, weight):
        """Rows that make one batch, sorted, and copies of a row as one of their summed weight.

        What is drawn for a row then depends neither on its place nor on how often it is repeated.
        """
        n_rows = X.shape[0]
        if n_rows > ONE_BATCH or self._batch_size(n_rows) < n_rows:
            return X, weight
        first, group = distinct(X)
        if len(first) < 2:
            return X, weight
        return X[first], np.bincount(group, weight)

    def _encode(self, y, classes):
        """Labels as 0..K−1; `classes`, if given, are all that may occur."""
        encoder = LabelEncoder().fit(y if classes is None else classes)
        if classes is not None:
            if len(self._not_held_out(classes)) < len(classes):
                raise ValueError(
                    f"negatives={self.negatives!r} hold out classes that the last fit has learned; "
                    f"set warm_start=False, or make a new estimator."
                )
            refuse_unseen(y, encoder.classes_)
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
            f"negative label there is nothing to learn."
        )

    def _all_classes(self, classes, old):
        """The labels fixed by the first call of partial_fit."""
        if old is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            known = self._not_held_out(checked_classes(classes))
            if len(known) < 2:
                raise ValueError(
                    f"classes={classes!r} leaves {len(known)} to learn, but at least two classes "
                    f"are needed; give all labels that will ever come."
                )
            return known
        known = None if classes is None else self._not_held_out(checked_classes(classes))
        if known is not None and not np.array_equal(known, self.classes_):
            raise ValueError(
                f"classes={classes!r} is not the same as on the last call to partial_fit, was: "
                f"{self.classes_!r}."
            )
        return self.classes_

    def _held_out(self, X_val, y_val, by_class):
        """The rows of X_val, their labels, and weights by class, as training rows have them."""
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together; one of them is missing.")
        y_val = checked_labels(y_val, "y_val")
        with about("X_val"):
            X_val = validate_rows(self, X_val, reset=False)
        if X_val.shape[0] != len(y_val):
            raise ValueError(
                f"X_val has {X_val.shape[0]} rows, but y_val has {len(y_val)} labels; give one "
                f"label per row."
            )
        refuse_unseen(y_val, self.classes_, "y_val")
        codes = LabelEncoder().fit(self.classes_).transform(y_val)
        weight = by_class[codes]
        if not weight.any():
            raise ValueError(
                f"class_weight={self.class_weight!r} leaves no row of X_val with a weight above "
                f"zero, so that there is no score; add rows of other classes."
            )
        return X_val, codes, weight

    def _split(self, X, codes, weight):
        """Rows to learn from, with every class among them, and others held out, by class if there
        are as many as classes."""
        counts = np.bincount(codes, minlength=len(self.classes_))
        self._refuse_single_rows(counts)
        n_classes = np.count_nonzero(counts)
        n_held_out = int(np.ceil(self.validation_fraction * len(codes)))
        n_held_out = min(n_held_out, len(codes) - n_classes)
        by_class = n_held_out >= n_classes
        if not by_class:
            warnings.warn(
                f"early_stopping holds out {n_held_out} rows, fewer than there are classes "
                f"({n_classes}), and draws them regardless of class; raise validation_fraction.",
                stacklevel=3,
            )
        learn, hold = train_test_split(
            np.arange(len(codes)),
            test_size=n_held_out,
            stratify=codes if by_class else None,
            random_state=self.random_state,
        )
        learn, hold = with_every_class(learn, hold, codes)
        return (X[learn], codes[learn], weight[learn]), (X[hold], codes[hold], weight[hold])

    def _refuse_single_rows(self, counts):
        """A class of one row can be learned from or held out, not both."""
        single = np.flatnonzero(counts == 1)
        if len(single):
            raise ValueError(
                f"early_stopping learns from a class and holds out rows of it, but of "
                f"{self.classes_[single].tolist()!r} there is only 1 row with a weight above zero; "
                f"give at least 2 of every class, pass X_val and y_val, or set "
                f"early_stopping=False."
            )


def with_every_class(learn, hold, codes):
    """The split with a row brought back of each class that would be held out whole."""
    taken = np.setdiff1d(codes[hold], codes[learn])
    back = np.array([np.flatnonzero(codes[hold] == code)[0] for code in taken], dtype=int)
    return np.append(learn, hold[back]), np.delete(hold, back)
