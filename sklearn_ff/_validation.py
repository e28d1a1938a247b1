"""Rows, weights and labels as they are given, checked by scikit-learn and by what float32 holds."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, validate_data


def heavy(X, codes, weight):
    """What of the rows weighs more than nothing."""
    some = weight > 0
    return (X, codes, weight) if some.all() else (X[some], codes[some], weight[some])


def validate_rows(estimator, X, y="no_validation", *, reset, dtype):
    """scikit-learn's validation in the dtype of the computation; nothing beyond float32 passes."""
    if estimator.image_shape is not None and getattr(X, "ndim", 2) > 2:
        raise ValueError(
            f"X has {X.ndim} dimensions, but images come as flat rows; pass X.reshape(len(X), -1), "
            f"each image channel by channel."
        )
    with np.errstate(over="ignore"):
        checked = validate_data(
            estimator, X, y, reset=reset, dtype=dtype, order="C", accept_sparse="csr"
        )
    X = checked[0] if isinstance(checked, tuple) else checked
    values = X if isinstance(X, np.ndarray) else X.data
    if (
        values.dtype == np.float64
        and values.size
        and np.abs(values).max() > np.finfo(np.float32).max
    ):
        raise ValueError("Input X contains infinity or a value too large for dtype('float32').")
    return checked


def checked_own_rows(part, X):
    """The user's wrong rows, in the dtype of X."""
    rows = check_array(part.rows, dtype=X.dtype, order="C", input_name=f"{part!r}")
    if rows.shape[1] != X.shape[1]:
        raise ValueError(
            f"negatives={part!r} have {rows.shape[1]} columns, but X has {X.shape[1]} features; "
            f"give rows with the columns of X."
        )
    return rows


def checked_weight(X, sample_weight):
    return _check_sample_weight(
        sample_weight,
        X,
        dtype=np.float64,
        ensure_non_negative=True,
        allow_all_zero_weights=False,
    )


def refuse_unseen(labels, classes, name="y"):
    unseen = np.setdiff1d(labels, classes)
    if len(unseen):
        raise ValueError(
            f"{name} contains labels that were not there at first: {unseen}; the classes are "
            f"{classes}."
        )
