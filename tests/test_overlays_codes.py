"""The codes of overlays: which matrices and strengths serve, and which are refused."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_iris, make_blobs

from sklearn_ff import FFClassifier
from sklearn_ff.overlays import Add, Append, Channel, EveryLayer, Overlay, Replace, Spatial


def classifier(**params):
    return FFClassifier(**{"max_iter": 30, "random_state": 0, **params})


@pytest.mark.fault("C4")
def test_more_classes_than_features_are_learned():
    A, labels = make_blobs(300, n_features=4, centers=30, random_state=0)
    assert classifier(max_iter="auto").fit(A, labels).score(A, labels) > 0.5
    with pytest.raises(ValueError, match="append"):
        classifier(overlay="replace").fit(A, labels)


X, y = load_iris(return_X_y=True)
BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
HUGE = [np.inf, np.nan, 1e300, 1e39]


@pytest.mark.parametrize("value", [*HUGE, 1e-50])
@pytest.mark.parametrize("part", [Append, EveryLayer, Add, Channel, Replace, Spatial])
def test_a_strength_is_refused_by_name(part, value):
    with pytest.raises(ValueError, match=rf"{part.__name__}\(strength=.* strength must be"):
        FFClassifier(overlay=part(strength=value), **BRIEF).fit(X, y)


@pytest.mark.parametrize("value", HUGE)
def test_codes_of_an_overlay_are_refused(value):
    matrix = np.ones((3, 4))
    matrix[1, 2] = value
    with pytest.raises(ValueError, match=r"(?s)label code of Add.* must be finite"):
        FFClassifier(overlay=Add(matrix), **BRIEF).fit(X, y)


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
        FFClassifier(overlay=overlay, **BRIEF).fit(X, y)
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
    expected = FFClassifier(overlay=Add(CODE), **BRIEF).fit(X, y).predict_proba(X)
    found = FFClassifier(overlay=Add(matrix), **BRIEF).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(found, expected)


NORMAL = np.random.default_rng(0).normal(size=(3, 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    "convert",
    [sparse.csr_array, sparse.csr_matrix, sparse.coo_array, lambda c: torch.tensor(c).to_sparse()],
)
@pytest.mark.parametrize("called", [False, True])
def test_a_sparse_code_is_as_a_dense_one(convert, called):
    code = convert(NORMAL)
    given = Add((lambda n_features, n_classes: code) if called else code)
    p = FFClassifier(overlay=given, **BRIEF).fit(X, y).predict_proba(X)
    expected = FFClassifier(overlay=Add(NORMAL), **BRIEF).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(p, expected)
