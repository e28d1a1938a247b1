"""Checks of given labels: one dimension, one kind of value, no missing value."""

import re
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from numbers import Integral, Number, Real

import numpy as np
import torch
from scipy.sparse import csr_matrix, issparse
from sklearn import config_context
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import assert_all_finite, check_array

from ._warn import warn

KINDS = {
    **dict.fromkeys("biuf", "numbers"),
    **dict.fromkeys("UO", "strings"),
    "M": "dates",
    "m": "durations",
}


def as_numpy(value, name):
    """A torch tensor, or an array of the array API, as a numpy or sparse array."""
    if isinstance(value, torch.Tensor):
        if value.is_meta:
            raise ValueError(
                f"{name} is a tensor without values (device='meta'); pass a tensor that has values."
            )
        value = value.detach().cpu()
        if value.layout != torch.strided:
            rows = value.to_sparse_csr()
            parts = rows.values(), rows.col_indices(), rows.crow_indices()
            return csr_matrix(tuple(as_numpy(part, name) for part in parts), shape=value.shape)
        value = value.resolve_conj().resolve_neg()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    other = hasattr(value, "__array_namespace__") and not isinstance(value, np.ndarray)
    return np.asarray(value) if other else value


def plain_strings(values):
    """Members of enumerations that are strings as what they are equal to, not as their names."""
    return [str.__str__(value) if isinstance(value, str) else value for value in values]


def plain_objects(values):
    """An array of objects as one of numbers, if all are; of strings, without enumerations."""
    try:
        numbers = np.array(values.tolist())
    except ValueError:  # rows of different lengths
        return values
    if numbers.dtype.kind == "f" and are_integers(values.ravel()):  # float64 would round them
        least, most = min(values.flat, default=-1), max(values.flat, default=-1)
        return values.astype(np.uint64) if least >= 0 and most < 2**64 else values
    if numbers.dtype.kind in "biuf":
        return numbers
    strings = np.empty(values.shape, dtype=object)
    strings.ravel()[:] = plain_strings(values.ravel())
    return strings


def are_integers(values):
    return all(isinstance(value, Integral) for value in values)


def plain_labels(values):
    """A column of objects, or a nullable, Arrow or sparse one of pandas, in a type of numpy.

    scikit-learn converts nullable labels to float64, which True and large integers do not survive,
    and its metrics refuse numbers that are objects, and strings of variable length. A list of
    integers may hold some that numpy would round, too.
    """
    if isinstance(values, (list, tuple)) and values and are_integers(values):
        return plain_objects(np.array(values, dtype=object))
    dtype = getattr(values, "dtype", None)
    if dtype is None and len(getattr(values, "dtypes", ())) == 1:
        dtype = next(iter(values.dtypes))  # of a table of one column
    if str(dtype) == "Object":  # of polars
        return plain_objects(np.asarray(values, dtype=object))
    if isinstance(dtype, np.dtype):
        return plain_objects(np.asarray(values, dtype=object)) if dtype.kind in "OT" else values
    categories = getattr(dtype, "categories", None)
    if hasattr(dtype, "fill_value"):  # sparse
        return np.asarray(values)
    own = getattr(dtype, "numpy_dtype", getattr(categories, "dtype", None))
    if getattr(own, "kind", "") not in ("biufmM" if categories is None else "mM"):
        return values
    if not isinstance(own, np.dtype) or np.any(values.isna()):
        return values
    return np.asarray(values, dtype=own)


def checked_labels(values, name):
    """Labels as an array of one dimension, of numbers or strings, or of dates or durations."""
    labels = _read(values, name)
    if labels.ndim == 2 and labels.shape[1] == 1:
        warn(
            f"A column-vector {name} was passed when a 1d array was expected. Please change the "
            f"shape of {name} to (n_samples, ), for example using ravel().",
            DataConversionWarning,
        )
        labels = labels.ravel()
    if labels.ndim != 1:
        raise ValueError(f"{name} should be a 1d array, got an array of shape {labels.shape}.")
    _check_kind(labels, name)
    return labels


def scored_labels(values, classes, name="y"):
    """Labels that are compared with predicted ones: of their kind, and none missing."""
    labels = _read(values, name)
    if labels.ndim == 1 or labels.shape[1:] == (1,):
        _check_kind(labels.ravel(), name)
        check_like(labels.ravel(), classes, name)
    return labels


def _read(values, name):
    """Labels as an array of any shape."""
    check_sequence(values, name)
    if isinstance(values, (list, tuple)):
        _check_objects(values, name)  # numpy would convert all to strings if one is a string
        values = plain_strings(values)
    values = plain_labels(values)
    with about(name, lines=1):
        return _array(as_numpy(values, name), name)


def checked_classes(classes, name="classes"):
    """Labels that a user names in advance, sorted and without duplicates."""
    labels = checked_labels(classes, name)
    if labels.dtype.kind == "f" and (labels != np.floor(labels)).any():
        raise ValueError(
            f"{name}={classes!r} holds fractions, which are no labels; give whole numbers or "
            f"strings."
        )
    return np.unique(labels)


def check_like(labels, classes, name, other="the classes"):
    """Refuse labels of another kind than the classes, which numpy would compare as strings."""
    kind, expected = KINDS[labels.dtype.kind], KINDS[np.asarray(classes).dtype.kind]
    if len(labels) and kind != expected:
        raise ValueError(
            f"{name} holds {kind}, such as {labels[:1].tolist()[0]!r}, but {other} are {expected}, "
            f"such as {classes[:1].tolist()[0]!r}; give labels of one type."
        )


def refuse_unseen(labels, classes, name="y"):
    check_like(labels, classes, name)
    unseen = np.setdiff1d(labels, classes)
    if len(unseen):
        raise ValueError(
            f"{name} contains labels that are not among the classes: {unseen}; the classes are "
            f"{classes}."
        )


@contextmanager
def about(name, lines=None):
    """Errors raised inside name the argument `name`, where they name X or no argument.

    Only the first `lines` of their text are shown, since the others may hold the values.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        text = "\n".join(str(error).splitlines()[:lines])
        text = re.sub(r"^(Input )?X\b", rf"\g<1>{name}", text)
        if re.search(rf"\b{name}\b", text) is None:
            text = f"{name}: {text}"
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(text) from error


def check_sequence(values, name, what="labels"):
    """Refuse sets, views of dicts, iterators and single values, which are no sequences."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        _refuse_missing(values, name)
    array = (
        hasattr(values, "__array__") or hasattr(values, "__array_namespace__") or issparse(values)
    )
    indexed = hasattr(values, "__len__") and hasattr(values, "__getitem__")
    if array or (indexed and not isinstance(values, (str, bytes, Mapping))):
        return
    several = hasattr(values, "__iter__") and not isinstance(values, (str, bytes))
    remedy = f"; pass list({name})" if several else ""
    raise ValueError(
        f"{name} is of type {type(values).__name__}, but {what} are given as a list or an "
        f"array{remedy}."
    )


def _array(values, name):
    """An array-like as an array, pandas' and polars' included."""
    if getattr(getattr(values, "dtype", None), "kind", "") in ("O", "T"):
        values = np.asarray(values, dtype=object)  # pandas' strings, NA included
    with config_context(array_api_dispatch=False):
        labels = check_array(
            values,
            ensure_2d=False,
            allow_nd=True,
            dtype=None,
            input_name=name,
            ensure_all_finite=False,
            ensure_min_samples=0,
            ensure_min_features=0,
        )
    return plain_objects(labels) if labels.dtype == object else labels


def _check_kind(labels, name):
    kind = labels.dtype.kind
    if kind == "O":
        _check_objects(labels, name)
        if len(labels) and isinstance(labels[0], Integral):
            raise ValueError(
                f"{name} holds integers that no type of 64 bits holds together, such as "
                f"{max(labels, key=abs)}; convert them, as by astype(str)."
            )
        if len(labels) and not isinstance(labels[0], str):
            remedy = _remedy(labels[0], name)
            raise ValueError(
                f"{name} holds objects of type {_types(labels)}, but labels are numbers, strings, "
                f"booleans or dates of numpy; convert them, as by {remedy}."
            )
    elif kind == "f":
        if np.isnan(labels).any():
            _refuse_missing(np.nan, name)
        assert_all_finite(labels, input_name=name)
    elif kind in "mM":
        missing = np.isnat(labels)
        if missing.any():
            _refuse_missing(labels[missing][0], name)
    elif kind == "S":
        _refuse_bytes(name)
    elif kind not in KINDS:
        raise ValueError(
            f"{name} is an array of dtype {labels.dtype}, which holds no labels; give numbers or "
            f"strings."
        )


def _remedy(label, name):
    """What makes labels of this type into labels."""
    if isinstance(label, date):
        return f"numpy.asarray({name}, dtype='datetime64[s]')"
    if isinstance(label, timedelta):
        return f"numpy.asarray({name}, dtype='timedelta64[s]')"
    return "astype(int) or astype(str)" if isinstance(label, Number) else "astype(str)"


def _check_objects(values, name):
    """Refuse missing values, bytes, and strings mixed with other types."""
    types = {type(value) for value in values}
    if types == {str}:
        return
    if any(issubclass(kind, (list, tuple, np.ndarray)) for kind in types):
        _check_rows(values, name)
        return
    missing = [value for value in values if _is_missing(value)]
    if missing:
        _refuse_missing(missing[0], name)
    if any(issubclass(kind, bytes) for kind in types):
        _refuse_bytes(name)
    strings = [kind for kind in types if issubclass(kind, str)]
    if strings and len(strings) < len(types):
        raise ValueError(
            f"{name} mixes labels of types {_types(values)}, which cannot be compared; give labels "
            f"of one type, such as str(label) for each."
        )


def _check_rows(values, name):
    """Refuse rows of different lengths, and invalid labels in a column of one label per row."""
    # What is iterable may have no length for mypy; here these are rows or strings.
    lengths = {len(value) if np.iterable(value) else None for value in values}  # type: ignore[arg-type]
    if len(lengths) > 1:
        raise ValueError(f"{name} holds several labels in some places; give one label per row.")
    if lengths == {1}:
        _check_objects([value[0] for value in values], name)


def _types(values):
    return ", ".join(sorted({type(value).__name__ for value in values}))


def _is_missing(value):
    """Whether it is None, NaN, or pandas' NA or NaT; pandas is not imported."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and value != value


def _refuse_missing(value, name):
    if isinstance(value, np.ma.MaskedArray):
        shown = "masked values"
    else:
        shown = "NaN" if isinstance(value, Real) else repr(value)
    raise ValueError(
        f"Input {name} contains {shown}, but no value may be missing; remove such rows, or give a "
        f"value in its place."
    )


def _refuse_bytes(name):
    raise TypeError(
        f"{name} holds labels represented as bytes, which are not supported; convert them to "
        f"strings or integers."
    )
