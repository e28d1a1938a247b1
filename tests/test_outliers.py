"""FFOutlierDetector: far rows are outliers; the threshold is that of rows not learned from."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ff import FFOutlierDetector, FFTransformer
from sklearn_ff.negatives import OwnRows

X, _ = make_blobs(800, n_features=20, centers=2, random_state=0)
LEARN, NEW = X[:400], X[400:]
SMALL = FFTransformer(100, max_iter=5, random_state=0, n_threads=1)


def detector(**params):
    return FFOutlierDetector(clone(SMALL), random_state=0).set_params(**params)


@pytest.fixture(scope="module")
def fitted():
    return detector(contamination=0.1, validation_fraction=0.25).fit(LEARN)


def test_the_threshold_is_that_of_new_rows(fitted):
    """Fewer of the rows that were learned from are below it; 100 rows held out leave a spread."""
    assert np.mean(fitted.predict(NEW) == -1) == pytest.approx(0.1, abs=0.06)
    assert 0.1 * 0.25 <= np.mean(fitted.predict(LEARN) == -1) < 0.06


def test_distance_counts_as_well_as_direction(fitted):
    centre, far = LEARN.mean(0), NEW - LEARN.mean(0)
    turned = np.random.default_rng(0).permuted(NEW, axis=1)
    for strange in (centre + 3 * far, np.tile(centre, (3, 1)), turned):
        assert np.all(fitted.predict(strange) == -1)


def test_decisions_are_scores_above_the_threshold(fitted):
    decision = fitted.decision_function(NEW)
    np.testing.assert_allclose(decision, fitted.score_samples(NEW) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(NEW) == 1, decision >= 0)


def test_outliers_among_the_training_rows_are_found_by_fit_predict():
    """`predict` does not find those that it has learned from."""
    mixed = np.concatenate([LEARN[:190], NEW[:10] * 3])
    model = detector(contamination=0.05)
    found = model.fit_predict(mixed)
    np.testing.assert_array_equal(np.flatnonzero(found == -1), np.arange(190, 200))
    assert np.sum(model.predict(mixed[190:]) == -1) < 10
    assert not np.any(detector().fit_predict(mixed)[190:] == -1)  # which warns of nothing


@pytest.mark.parametrize("seed", [0, 1])
def test_rows_held_out_and_weights_follow_the_seed(seed):
    model = FFOutlierDetector(FFTransformer(8, max_iter=1), random_state=seed)
    first, again = (clone(model).fit(LEARN).score_samples(NEW) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = clone(model).set_params(random_state=2).fit(LEARN).score_samples(NEW)
    assert not np.array_equal(first, other)
    assert model.transformer.random_state is None, "the given transformer stays as it is"


def test_copies_and_sparse_rows_are_scored_alike(fitted):
    expected = fitted.decision_function(NEW)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.decision_function(NEW), expected)
    np.testing.assert_allclose(fitted.decision_function(csr_matrix(NEW)), expected, rtol=1e-6)
    piped = make_pipeline(StandardScaler(), detector()).fit(LEARN)
    assert np.mean(piped.predict(NEW) == 1) > 0.8


@pytest.mark.parametrize("rows", ["of three bits", "nearly all the same"])
def test_copies_of_training_rows_are_familiar_alone_as_in_a_batch(rows):
    """What the rest of the batch changes in the last digits of a row makes no copy strange."""
    bits, odd = (LEARN[:, :3] > 0) * 1.0, np.arange(400)[:, None] % 40 == 0
    seen = bits if rows == "of three bits" else np.where(odd, LEARN, 1e4)
    model = detector().fit(seen)
    assert np.all(model.score_samples(seen) == 0) or rows != "of three bits"
    alone = np.concatenate([model.predict(row[None]) for row in seen[:60]])
    np.testing.assert_array_equal(alone, model.predict(seen)[:60])
    assert np.mean(alone == 1) > 0.9


def test_names_of_columns_are_kept():
    pandas = pytest.importorskip("pandas")
    names = [f"x{i}" for i in range(20)]
    model = detector().fit(pandas.DataFrame(LEARN, columns=names))
    assert model.feature_names_in_.tolist() == names
    model.predict(pandas.DataFrame(NEW, columns=names))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(pandas.DataFrame(NEW, columns=names[::-1]))


def test_given_strange_rows_are_outliers():
    strange = LEARN * 0.5
    model = detector(transformer__negatives=OwnRows(strange[:200])).fit(LEARN)
    assert np.mean(model.predict(strange[200:]) == -1) > 0.9


@pytest.mark.parametrize(
    "params, rows, message",
    [
        ({"transformer__supervised": True}, LEARN, "without labels"),
        ({}, LEARN[:2], "n_samples=2; give at least three"),
        ({"contamination": 0.7}, LEARN, "contamination"),
        ({"transformer": StandardScaler()}, LEARN, "transformer"),
        ({"validation_fraction": 0.9999}, LEARN, "validation_fraction=0.9999 leaves"),
    ],
)
def test_what_cannot_be_fitted_leaves_the_estimator_as_it_was(fitted, params, rows, message):
    model = pickle.loads(pickle.dumps(fitted)).set_params(**params)
    expected = fitted.decision_function(NEW)
    with pytest.raises(ValueError, match=message):
        model.fit(rows)
    np.testing.assert_array_equal(model.decision_function(NEW), expected)


def test_of_few_rows_all_are_learned_from_and_all_set_the_threshold():
    model = detector(contamination=0.2).fit(LEARN[:100])
    assert model.neighbours_.shape == (100, 200)
    assert np.mean(model.predict(LEARN[:100]) == -1) < 0.05
    assert np.mean(model.predict(NEW) == -1) == pytest.approx(0.15, abs=0.1)


def test_three_rows_are_enough():
    assert detector().fit(LEARN[:3]).predict(LEARN[:3]).shape == (3,)


@pytest.mark.parametrize("given", [None, "auto", FFTransformer])
def test_what_is_no_transformer_has_no_parameters_to_set(given):
    detector = FFOutlierDetector(given)
    with pytest.raises(ValueError, match="has no parameters to set; pass the transformer itself"):
        detector.set_params(transformer__max_iter=3)
