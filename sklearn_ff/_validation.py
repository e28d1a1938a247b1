"""Rows, weights and labels as they are given, checked by scikit-learn and by what float32 holds."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, validate_data


def heavy(X, codes, weight):
    """What of the rows weighs more than nothing."""
    some = weight > 0
    return (X, codes, weight) if some.all() else (X[some], codes[some], weight[some])


def as_numpy(value, name):
    """A tensor of torch, or an array with a namespace of its own, as a numpy or sparse array."""
    if isinstance(value, torch.Tensor):
        if value.is_meta:
            raise ValueError(f"{name} is a tensor without numbers (device='meta'); pass real ones.")
        value = value.detach().cpu()
        if value.layout != torch.strided:
            rows = value.to_sparse_csr()
            parts = rows.values(), rows.col_indices(), rows.crow_indices()
            return csr_matrix(tuple(as_numpy(part, name) for part in parts), shape=value.shape)
        value = value.resolve_conj().resolve_neg()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    other = hasattr(value, "__array_namespace__") and not isinstance(value, np.ndarray)
    return np.asarray(value) if other else value


def validate_rows(estimator, X, y="no_validation", *, reset):
    """scikit-learn's validation, in the dtype of the rows; nothing beyond float32 passes.

    Rows are centred before they become float32: a conversion at this place would lose what a column
    tells that varies little around a large value, and copy the whole of X.
    """
    if estimator.image_shape is not None and getattr(X, "ndim", 2) > 2:
        raise ValueError(
            f"X has {X.ndim} dimensions, but images come as flat rows; pass X.reshape(len(X), -1), "
            f"each image channel by channel."
        )
    X, y = as_numpy(X, "X"), as_numpy(y, "y")
    with config_context(array_api_dispatch=False):
        checked = validate_data(
            estimator, X, y, reset=reset, dtype=own_dtype(X), accept_sparse="csr"
        )
    refuse_beyond_float32(checked[0] if isinstance(checked, tuple) else checked)
    return checked


def own_dtype(X):
    """What scikit-learn is to convert X to: nothing if it holds numbers, else numbers."""
    kind = getattr(getattr(X, "dtype", None), "kind", "f")
    return np.float64 if kind in "USVMm" else "numeric"


def refuse_beyond_float32(X):
    values = X if isinstance(X, np.ndarray) else X.data
    most = np.finfo(np.float32).max
    if values.dtype.kind != "f" or not values.size or values.dtype.itemsize <= 4:
        return
    if max(values.max(), -values.min()) > most:
        raise ValueError("Input X contains infinity or a value too large for dtype('float32').")


def checked_own_rows(part, X):
    """The user's wrong rows."""
    rows = as_numpy(part.rows, f"{part!r}")
    rows = check_array(rows, dtype=own_dtype(rows), input_name=f"{part!r}")
    refuse_beyond_float32(rows)
    if rows.shape[1] != X.shape[1]:
        raise ValueError(
            f"negatives={part!r} have {rows.shape[1]} columns, but X has {X.shape[1]} features; "
            f"give rows with the columns of X."
        )
    return rows


def checked_weight(X, sample_weight):
    return _check_sample_weight(
        as_numpy(sample_weight, "sample_weight"),
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
