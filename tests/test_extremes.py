"""Rows at the end of single precision, and what an overlay's matrix and a device may be."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.negatives import OwnRows
from sklearn_ff.overlays import Add, Overlay

X, Y = load_iris(return_X_y=True)
BRIEF = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}
FORMS = {"dense": np.asarray, "sparse": csr_array, "frame": pd.DataFrame}
CENTRED = X - X.mean(0)
LARGE = {
    "of both signs": CENTRED / abs(CENTRED).max() * 3.4e38,
    "positive": X / X.max() * 3.4e38,
    "one column": X * [1, 1, 1, 1e37],
}


def told(cls, model, rows):
    return model.predict_proba(rows) if cls is FFClassifier else model.transform(rows)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("values", LARGE)
@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
def test_rows_near_the_largest_number_are_used_without_a_warning(cls, values, form, dtype):
    rows = FORMS[form](LARGE[values].astype(dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        model = cls(**BRIEF).fit(rows, Y)
        assert np.isfinite(told(cls, model, rows)).all()
        model = cls(**BRIEF).fit(FORMS[form](X.astype(dtype)), Y)
        assert np.isfinite(told(cls, model, rows)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_among_them_what_is_not_finite_is_still_refused(value):
    rows = LARGE["of both signs"].astype("float32")
    rows[3, 2] = value
    with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
        FFClassifier(**BRIEF).fit(rows, Y)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_own_rows_near_the_largest_number_give_no_runtime_warning():
    rows = LARGE["of both signs"].astype("float32")
    FFTransformer(negatives=OwnRows(rows), **BRIEF).fit(rows)


CODE = np.eye(3, 4)
MATRICES = {
    "strings": CODE.astype(str),
    "words": [["a"] * 4] * 3,
    "objects": CODE.astype(object),
    "None inside": [[None] * 4] * 3,
    "complex": CODE * 1j,
    "a complex tensor": torch.from_numpy(CODE * 1j),
    "dates": CODE.astype("datetime64[s]"),
    "ragged": [[1.0], [1.0, 2.0], []],
    "a set": {1, 2, 3},
    "a string": "eye",
    "no numbers": torch.ones(3, 4, device="meta"),
    "one dimension": np.ones(4),
    "three dimensions": np.ones((1, 3, 4)),
    "a number": 3.0,
    "nothing": np.ones((0, 4)),
    "transposed": CODE.T,
    "NaN": CODE * np.nan,
    "infinity": CODE + np.inf,
}


class Own(Overlay):
    def __init__(self, made=None):
        self.made = made

    def code(self, n_features, n_classes):
        return self.made


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("way", ["matrix", "function", "function as overlay", "overlay", "own"])
def test_a_matrix_that_is_none_is_refused_in_one_sentence_that_names_overlay(name, way):
    matrix = MATRICES[name]
    if way == "overlay" and isinstance(matrix, str):
        pytest.skip("a name of an overlay")
    overlay = {
        "matrix": Add(matrix),
        "function": Add(lambda n_features, n_classes: matrix),
        "function as overlay": lambda n_features, n_classes: matrix,
        "overlay": matrix,
        "own": Own(matrix),
    }[way]
    with pytest.raises(ValueError, match=r"(?s)overlay|label code of") as error:
        FFClassifier(overlay=overlay, **BRIEF).fit(X, Y)
    if way != "overlay":  # where scikit-learn refuses too
        assert type(error.value) is ValueError and ". " not in str(error.value)


@pytest.mark.parametrize(
    "matrix",
    [
        CODE.tolist(),
        CODE.astype(bool),
        CODE.astype("float16"),
        CODE.astype(np.longdouble),
        CODE[:, ::-1][:, ::-1],
        pd.DataFrame(CODE),
        torch.from_numpy(CODE).requires_grad_(),
        torch.from_numpy(CODE).to_sparse(),
        torch.from_numpy(CODE).bfloat16(),
    ],
    ids=lambda matrix: f"{type(matrix).__name__} {getattr(matrix, 'dtype', '')}",
)
def test_a_matrix_of_any_real_kind_serves(matrix):
    expected = FFClassifier(overlay=Add(CODE), **BRIEF).fit(X, Y).predict_proba(X)
    found = FFClassifier(overlay=Add(matrix), **BRIEF).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
def test_a_device_may_be_an_object(cls):
    model = clone(cls(device=torch.device("cpu"), **BRIEF)).fit(X, Y)
    np.testing.assert_array_equal(told(cls, model, X), told(cls, cls(**BRIEF).fit(X, Y), X))
    with pytest.raises(ValueError, match="device='meta' is not available"):
        cls(device=torch.device("meta"), **BRIEF).fit(X, Y)
