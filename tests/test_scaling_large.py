"""Small spreads around large values, and rows far beyond what single precision can square."""

import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.negatives import OwnRows

SECONDS = np.random.default_rng(0).integers(-1000, 1000, size=(400, 2))
LATER = (SECONDS[:, 0] > 0).astype(int)
STAMPS = SECONDS + 1_700_000_000  # Unix seconds within an hour
FEW = slice(0, 200)  # in double precision


def classifier(**params):
    return FFClassifier((32,), **{"max_iter": 40, "random_state": 0, **params})


@cache
def near_zero(few):
    """Probabilities that are learned from small numbers."""
    part = FEW if few else slice(None)
    return classifier().fit(SECONDS[part], LATER[part]).predict_proba(SECONDS[part])


def memory_map(X, folder):
    X.tofile(folder / "rows")
    return np.memmap(folder / "rows", dtype=X.dtype, shape=X.shape, mode="r")


CONTAINERS = {
    "float64": lambda X, folder: X.astype(float),
    "int64": lambda X, folder: X,
    "int32": lambda X, folder: X.astype(np.int32),
    "big-endian": lambda X, folder: X.astype(">i8"),
    "list": lambda X, folder: X.tolist(),
    "F-order": lambda X, folder: np.asfortranarray(X),
    "torch": lambda X, folder: torch.tensor(X),
    "pandas": lambda X, folder: pd.DataFrame(X, columns=["a", "b"]),
    "mixed frame": lambda X, folder: pd.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(float)}),
    "csr": lambda X, folder: sparse.csr_array(X),
    "csc": lambda X, folder: sparse.csc_matrix(X.astype(float)),
    "memory map": memory_map,
}


@pytest.mark.slow
@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_seconds_of_an_hour_are_learned_as_if_they_began_at_zero(kind, few, tmp_path):
    part = FEW if few else slice(None)
    X = CONTAINERS[kind](STAMPS[part], tmp_path)
    fitted = classifier().fit(X, LATER[part])
    np.testing.assert_allclose(fitted.predict_proba(X), near_zero(few), atol=1e-3)
    assert fitted.score(X, LATER[part]) > 0.95


@pytest.mark.parametrize("large", [2**24 + 1, 2**53 + 1, 2**62, -(2**62)])
def test_integers_that_floats_cannot_represent_are_distinguished(large):
    X = SECONDS + large
    fitted = classifier().fit(X, LATER)
    np.testing.assert_allclose(fitted.predict_proba(X), near_zero(few=False), atol=1e-3)


@pytest.mark.parametrize("scaling", ["standard", "shared", "global"])
def test_every_scaling_centres_first(scaling):
    assert classifier(scaling=scaling).fit(STAMPS, LATER).score(STAMPS, LATER) > 0.95


def test_partial_fit_warm_starts_and_pickles_keep_the_centre():
    fitted = classifier(max_iter=20, warm_start=True).fit(STAMPS, LATER)
    assert fitted.fit(STAMPS, LATER).score(STAMPS, LATER) > 0.95
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(STAMPS), fitted.predict_proba(STAMPS))
    step = classifier()
    for _ in range(20):
        step.partial_fit(STAMPS, LATER, classes=[0, 1])
    assert step.score(STAMPS, LATER) > 0.95


def test_held_out_rows_are_centred_too():
    own = classifier(early_stopping=True, validation_fraction=0.3).fit(STAMPS, LATER)
    given = classifier(early_stopping=True).fit(STAMPS[FEW], LATER[FEW], X_val=STAMPS, y_val=LATER)
    assert min(own.best_validation_score_, given.best_validation_score_) > 0.95


@pytest.mark.parametrize("negatives", ["auto", "own"])
def test_features_and_familiarity_see_the_spread(negatives):
    own = {k: OwnRows(X[:50][::-1] + 0.5) for k, X in (("far", STAMPS), ("near", SECONDS))}
    chosen = {"far": "auto", "near": "auto"} if negatives == "auto" else own
    params = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
    far = FFTransformer(negatives=chosen["far"], **params).fit(STAMPS)
    near = FFTransformer(negatives=chosen["near"], **params).fit(SECONDS)
    np.testing.assert_allclose(far.transform(STAMPS), near.transform(SECONDS), atol=1e-3)
    assert np.ptp(far.transform(STAMPS), axis=0).max() > 0.1


def test_own_negative_rows_keep_their_fractions():
    """Where X holds integers, negative rows between them stay what they are."""
    X = np.random.default_rng(0).integers(0, 2, (300, 4))
    between = np.full((20, 4), 0.5)
    params = {"hidden_layer_sizes": (16,), "max_iter": 2, "random_state": 0}
    whole = FFTransformer(negatives=OwnRows(between), **params).fit(X)
    floats = FFTransformer(negatives=OwnRows(between), **params).fit(X.astype(float))
    np.testing.assert_allclose(whole.transform(X), floats.transform(X), atol=1e-5)


@pytest.mark.parametrize("dtype, expected", [("float32", "float32"), ("float64", "float64")])
def test_features_have_the_precision_of_the_rows(dtype, expected):
    fitted = FFTransformer((8,), max_iter=1, random_state=0).fit(SECONDS)
    assert fitted.transform(SECONDS.astype(dtype)).dtype == expected
    assert fitted.transform(SECONDS).dtype == "float64"


# No scaling ------------------------------------------------------------------------------------

IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.mark.slow
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("factor", [1e6, 1e7, 1e15, 1e30])
def test_rows_of_any_size_are_learned_alike_where_their_length_is_normalised(factor, copies):
    X, y = np.tile(IRIS, (copies, 1)), np.tile(SPECIES, copies)
    unscaled = classifier(scaling=None, input_normalization="rms")
    expected = clone(unscaled).fit(X, y)
    fitted = clone(unscaled).fit(X * factor, y)
    np.testing.assert_allclose(
        fitted.predict_proba(X * factor), expected.predict_proba(X), atol=5e-3
    )


@pytest.mark.parametrize("factor", [1e7, 1e20, 1e37])
def test_rows_far_longer_than_those_learned_from_keep_their_direction(factor):
    """What is far too long to be squared is shortened as a whole."""
    fitted = FFTransformer((16,), scaling=None, max_iter=5, random_state=0).fit(IRIS)
    found = fitted.transform(IRIS * factor)
    np.testing.assert_allclose(found, fitted.transform(IRIS * 1e5), atol=1e-3)
    assert len(np.unique(found.round(4), axis=0)) > 100


def test_without_scaling_a_value_of_ten_million_is_not_cut():
    fitted = FFTransformer(8, supervised=True, scaling=None, max_iter=5, random_state=0)
    scores = fitted.fit(IRIS, SPECIES).layer_scores(IRIS[:1] * [[1e6], [1e7], [1e8]])[:, 0]
    np.testing.assert_allclose(scores[1:] / scores[:-1], 100, rtol=1e-3)


@pytest.mark.parametrize("scaling", [None, "standard", "shared", "global"])
@pytest.mark.parametrize("prediction", ["goodness", "head", "hybrid"])
def test_rows_beyond_all_measure_get_finite_probabilities(scaling, prediction):
    fitted = classifier(scaling=scaling, prediction=prediction, max_iter=5).fit(IRIS, SPECIES)
    for far in (IRIS * 1e37, IRIS * 1e20, -IRIS * 1e12, IRIS * 1e-40):
        assert np.isfinite(fitted.predict_proba(far)).all()


BRIEF = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}
FORMS = {"dense": np.asarray, "sparse": csr_array, "frame": pd.DataFrame}
CENTRED = IRIS - IRIS.mean(0)
LARGE = {
    "of both signs": CENTRED / abs(CENTRED).max() * 3.4e38,
    "positive": IRIS / IRIS.max() * 3.4e38,
    "one column": IRIS * [1, 1, 1, 1e37],
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
        model = cls(**BRIEF).fit(rows, SPECIES)
        assert np.isfinite(told(cls, model, rows)).all()
        model = cls(**BRIEF).fit(FORMS[form](IRIS.astype(dtype)), SPECIES)
        assert np.isfinite(told(cls, model, rows)).all()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_own_rows_near_the_largest_number_give_no_runtime_warning():
    rows = LARGE["of both signs"].astype("float32")
    FFTransformer(negatives=OwnRows(rows), **BRIEF).fit(rows)
