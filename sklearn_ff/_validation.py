"""Rows, weights and labels as they are given, checked by scikit-learn and by what float32 holds."""

import re
from contextlib import contextmanager
from datetime import date, time, timedelta
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


def validate_rows(estimator, X, y="no_validation", *, reset, share=False):
    """scikit-learn's validation, in the dtype of the rows; nothing beyond float32 passes.

    Rows are centred before they become float32: a conversion at this place would lose what a column
    tells that varies little around a large value, and copy the whole of X. A `share` may be empty.
    """
    if getattr(estimator, "image_shape", None) is not None and getattr(X, "ndim", 2) > 2:
        raise ValueError(
            f"X has {X.ndim} dimensions, but images come as flat rows; reshape it by "
            f"X.reshape(len(X), -1), each image channel by channel."
        )
    rows, y = stored(plain_text(as_numpy(X, "X"))), as_numpy(y, "y")
    refuse_dates(X)
    apart = isinstance(rows, StoredRows)
    owner = type(estimator).__name__
    plain = config_context(array_api_dispatch=False)
    with plain, sums_may_overflow(), about_entries(X, owner=owner):
        checked = validate_data(
            estimator,
            rows.outline() if apart else rows,
            y,
            reset=reset,
            dtype=own_dtype(rows),
            accept_sparse="csr",
            ensure_all_finite=not apart,
            ensure_min_samples=0 if share else 1,
        )
        checked = in_numbers(checked, owner=owner)
    if apart:
        if rows is not X:  # not looked at before
            check_stored(rows, estimator=estimator, input_name="X")
        return (rows, checked[1]) if isinstance(checked, tuple) else rows
    refuse_beyond_float32(checked[0] if isinstance(checked, tuple) else checked)
    return checked


def plain_text(X):
    """An array of strings of variable length as one of objects, which scikit-learn can read."""
    return X.astype(object) if getattr(getattr(X, "dtype", None), "kind", "") == "T" else X


def in_numbers(checked, name="X", owner=""):
    """Rows, or rows and labels, where scikit-learn leaves rows of text as they are."""
    if isinstance(checked, tuple):
        return in_numbers(checked[0], name, owner), checked[1]
    if checked.dtype.kind in "biuf":
        return checked
    numbers = checked.astype(np.float64)
    # scikit-learn has not looked at them
    assert_all_finite(numbers, input_name=name, estimator_name=owner)
    return numbers


def check_stored(rows, **names):
    """Look at the values of rows in a file, block by block, as scikit-learn does at others."""
    if rows.dtype.kind == "f":
        with config_context(array_api_dispatch=False), sums_may_overflow():
            for block in rows.blocks():
                check_array(block, dtype=own_dtype(block), **names)
                refuse_beyond_float32(block)


DATES = (date, time, timedelta, np.datetime64, np.timedelta64)  # pandas' are derived from them


def refuse_dates(X, name="X"):
    """Numbers made of dates would depend on their unit, and be -9.2e18 where one is missing."""
    found = next((place for place, kinds in kinds_of(X) if any(map(is_date, kinds))), None)
    if found is not None:
        raise ValueError(dated(name, found))


def dated(name, place=""):
    return (
        f"{name} holds dates or durations{place}, which are no numbers; give numbers in their "
        f"place, such as days since a date, or the month and the weekday as categories."
    )


def is_date(kind):
    """Whether a dtype, or the type of an entry, is of dates, times or durations."""
    if isinstance(kind, type):
        return issubclass(kind, DATES)
    temporal = getattr(kind, "is_temporal", None)  # of polars
    known = getattr(kind, "kind", None) in ("m", "M") or type(kind).__name__ == "PeriodDtype"
    return known or bool(temporal is not None and temporal())


def kinds_of(X):
    """Pairs of a place in words, and the dtype or the types of what is there."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        for index, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
            objects = getattr(dtype, "kind", "") == "O" and hasattr(X, "iloc")
            types = set(map(type, X.iloc[:, index])) if objects else ()
            yield f" in column {name!r}", (dtype, *types)
    elif isinstance(X, (list, tuple)):
        rows = (row for row in X if isinstance(row, (list, tuple, np.ndarray)))
        yield "", {type(entry) for row in rows for entry in row}
    elif hasattr(X, "dtype"):
        objects = isinstance(X, np.ndarray) and X.dtype.kind == "O"
        yield "", (X.dtype, *(set(map(type, X.ravel())) if objects else ()))
    elif hasattr(X, "column_names") and hasattr(X, "columns"):  # of Arrow
        for name, column in zip(X.column_names, X.columns, strict=True):
            yield f" in column {name!r}", (np.asarray(column[:0]).dtype,)
    elif hasattr(X, "__arrow_array__") or hasattr(X, "__dataframe__"):
        yield "", (np.asarray(X).dtype,)


NO_DATES = ("date", "time", "datetime", "timedelta", "Timestamp", "Timedelta", "NaTType")


@contextmanager
def about_entries(X, name="X", owner=""):
    """Errors of entries that are no numbers tell where they are, and what helps."""
    try:
        yield
    except (ValueError, TypeError) as error:
        text = str(error)
        if "NAType" in text or "value of NA is ambiguous" in text:
            if not text_column(X):
                refuse_missing(name, owner)
            found = text_found(X, name)
        elif "string to float" in text or "arrays of bytes/strings" in text:
            value = re.sub(r"^np\.\w+\((.*)\)$", r"\1", text.partition("float: ")[2])
            found = text_found(X, name, value and f", such as {value},")
        elif "setting an array element with a sequence" in text:
            found = f"{name} holds several values in some places; give one number in each."
        elif "fill value must be 0" in text:
            found = (
                f"{name} has sparse columns whose fill value is not 0; make them dense, by "
                f"sparse.to_dense() of the table."
            )
        elif name != "X" and text == f"Input {name} contains NaN.":
            refuse_missing(name)
        elif "float() argument must be" in text:
            kind = text.rpartition("not '")[2].rstrip("'").rpartition(".")[2]
            if kind not in NO_DATES:
                raise TypeError(
                    f"{name} holds entries of type {kind}, but an argument must be a string of a "
                    f"number or a number; give numbers in their place."
                ) from error
            found = dated(name)
        else:
            raise
        raise ValueError(found) from error


def refuse_missing(name, owner=""):
    """Name a remedy where scikit-learn does not: for rows other than X."""
    if owner:
        assert_all_finite(np.array([[np.nan]]), input_name=name, estimator_name=owner)
    raise ValueError(
        f"{name} contains NaN, but no value may be missing; remove such rows, or fill them by an "
        f"imputer."
    )


def text_found(X, name, value=""):
    return (
        f"{name} holds text{value}{text_column(X)} where numbers are needed; encode it, as by "
        f"OneHotEncoder in a ColumnTransformer."
    )


def text_column(X):
    """The first column of a table that holds text, in words."""
    for name in X.columns if hasattr(X, "dtypes") and hasattr(X, "columns") else ():
        if any(map(is_text, np.asarray(X[name], dtype=object).ravel())):
            return f" in column {name!r}"
    return ""


def is_text(entry):
    """Whether it is a string that is not one of a number."""
    if not isinstance(entry, (str, bytes)):
        return False
    try:
        float(entry)
    except ValueError:
        return True
    return False


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
    largest = max(values.max(), -values.min())
    if largest > most:
        raise ValueError(
            f"Input X contains infinity or a value too large for dtype('float32'): {largest:.3g}; "
            f"give such columns in a larger unit, or their logarithm."
        )


def checked_own_rows(part, X):
    """The user's negative rows."""
    rows, name = stored(plain_text(as_numpy(part.rows, f"{part!r}"))), f"negatives={part!r}"
    refuse_dates(part.rows, name)
    if isinstance(rows, StoredRows):
        with about_entries(part.rows, name):
            check_stored(rows, input_name=name)
    else:
        with sums_may_overflow(), about_entries(part.rows, name):
            rows = in_numbers(check_array(rows, dtype=own_dtype(rows), input_name=name), name)
        refuse_beyond_float32(rows)
    if rows.shape[1] != X.shape[1]:
        raise ValueError(
            f"negatives={part!r} have {rows.shape[1]} columns, but X has {X.shape[1]} features; "
            f"give rows with the columns of X."
        )
    return rows


def checked_weight(X, sample_weight, name="sample_weight", share=False):
    """Weights of the rows; of a `share` of these all may be zero, as others may weigh more."""
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
            allow_all_zero_weights=share,
        )
    if not share:
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
