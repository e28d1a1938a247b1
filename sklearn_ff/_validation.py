"""Rows, weights and labels as they are given, checked by scikit-learn and by what float32 holds."""

from numbers import Number

import numpy as np
from sklearn import config_context
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import _check_sample_weight, validate_data

from ._labels import about, as_numpy, check_sequence
from ._stored import StoredRows, dense, stored

BLOCK = 512  # columns


def heavy(X, codes, weight):
    """What of the rows weighs more than nothing."""
    some = weight > 0
    return (X, codes, weight) if some.all() else (X[some], codes[some], weight[some])


def distinct(X):
    """Indices of the distinct rows, in the order of their values, and which of them every row is.

    Columns are looked at a block at a time, until all rows differ: sparse ones may be many.
    """
    group = np.zeros(X.shape[0])
    for start in range(0, X.shape[1], BLOCK):
        block = X[:, start : start + BLOCK]
        block = dense(block)
        rows = np.column_stack([group, block])
        _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        if len(first) == len(group):
            break
    return first, group.ravel()


def validate_rows(estimator, X, y="no_validation", *, reset):
    """scikit-learn's validation, in the dtype of the rows; nothing beyond float32 passes.

    Rows are centred before they become float32: a conversion at this place would lose what a column
    tells that varies little around a large value, and copy the whole of X.
    """
    if getattr(estimator, "image_shape", None) is not None and getattr(X, "ndim", 2) > 2:
        raise ValueError(
            f"X has {X.ndim} dimensions, but images come as flat rows; reshape it by "
            f"X.reshape(len(X), -1), each image channel by channel."
        )
    rows, y = stored(as_numpy(X, "X")), as_numpy(y, "y")
    apart = isinstance(rows, StoredRows)
    with config_context(array_api_dispatch=False), sums_may_overflow():
        checked = validate_data(
            estimator,
            rows.outline() if apart else rows,
            y,
            reset=reset,
            dtype=own_dtype(rows),
            accept_sparse="csr",
            ensure_all_finite=not apart,
        )
    if apart:
        if rows is not X:  # not looked at before
            check_stored(rows, estimator=estimator, input_name="X")
        return (rows, checked[1]) if isinstance(checked, tuple) else rows
    refuse_beyond_float32(checked[0] if isinstance(checked, tuple) else checked)
    return checked


def check_stored(rows, **names):
    """Look at the values of rows in a file, block by block, as scikit-learn does at others."""
    if rows.dtype.kind == "f":
        with config_context(array_api_dispatch=False), sums_may_overflow():
            for block in rows.blocks():
                check_array(block, dtype=own_dtype(block), **names)
                refuse_beyond_float32(block)


def sums_may_overflow():
    """scikit-learn looks for NaN in a sum first, and entry by entry if that is not finite."""
    return np.errstate(over="ignore", invalid="ignore")


def own_dtype(X):
    """What scikit-learn is to convert X to: nothing if it holds numbers of up to 64 bits."""
    dtype = getattr(X, "dtype", None)
    wide = getattr(dtype, "kind", "f") == "f" and getattr(dtype, "itemsize", 8) > 8
    return np.float64 if wide or getattr(dtype, "kind", "f") in "USVMm" else "numeric"


def largest_number(X):
    """The largest absolute value of dense or sparse rows."""
    if isinstance(X, StoredRows):
        return max(map(largest_number, X.blocks()))
    values = X if isinstance(X, np.ndarray) else X.data
    return float(max(values.max(), -float(values.min()))) if values.size else 0.0


def refuse_beyond_float32(X):
    values = X if isinstance(X, np.ndarray) else X.data
    most = np.finfo(np.float32).max
    if values.dtype.kind != "f" or not values.size or values.dtype.itemsize <= 4:
        return
    if max(values.max(), -values.min()) > most:
        raise ValueError("Input X contains infinity or a value too large for dtype('float32').")


def checked_own_rows(part, X):
    """The user's negative rows."""
    rows, name = stored(as_numpy(part.rows, f"{part!r}")), f"negatives={part!r}"
    if isinstance(rows, StoredRows):
        check_stored(rows, input_name=name)
    else:
        with sums_may_overflow():
            rows = check_array(rows, dtype=own_dtype(rows), input_name=name)
        refuse_beyond_float32(rows)
    if rows.shape[1] != X.shape[1]:
        raise ValueError(
            f"negatives={part!r} have {rows.shape[1]} columns, but X has {X.shape[1]} features; "
            f"give rows with the columns of X."
        )
    return rows


def checked_weight(X, sample_weight, name="sample_weight"):
    number = isinstance(sample_weight, Number)
    if sample_weight is not None and not number:
        check_sequence(sample_weight, name, "weights")
    with about(name, lines=1):
        if number:
            assert_all_finite(np.atleast_1d(sample_weight))
        weight = _check_sample_weight(
            as_numpy(sample_weight, name),
            X,
            dtype=np.float64,
            ensure_non_negative=True,
            allow_all_zero_weights=False,
        )
    refuse_extreme_weights(weight, name)
    return weight


WEIGHTS = 1e-100, 1e100  # what a row may weigh: beyond, sums and quotients leave the numbers


def refuse_extreme_weights(weight, name):
    """Raise ValueError where the weights are too large, or all too small, to be computed with."""
    low, high = WEIGHTS
    if not low <= weight.max() <= high:
        raise ValueError(
            f"The largest weight of {name} is {weight.max():.4g}, which cannot be computed with; "
            f"multiply all weights by a common factor, so that it is between {low:g} and {high:g}."
        )
