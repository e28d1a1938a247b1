"""Columns that the first rows leave open are scaled by what later rows show of them."""

import pickle

import numpy as np
import pytest
from devices import array
from scipy.sparse import csr_array
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff._scaling import column_statistics, merged

X, Y = load_iris(return_X_y=True)
CLASSES = np.unique(Y)


class Numbers:
    """What a fitted classifier's columns are centred and divided by."""

    def __init__(self, classifier):
        scaler = classifier.net_.module_.scaler
        self.shift, self.divisor = array(scaler.shift).copy(), array(scaler.divisor).copy()


def streamed(X, first, y=Y, size=50, epochs=6, **params):
    """A classifier that has seen `first` rows, then all in batches of `size`, many times."""
    order = np.random.default_rng(0).permutation(X.shape[0])
    classifier = FFClassifier(32, learning_rate_init=0.05, random_state=0, **params)
    classifier.partial_fit(X[first], y[first], CLASSES)
    for _ in range(epochs):
        for start in range(0, X.shape[0], size):
            rows = order[start : start + size]
            classifier.partial_fit(X[rows], y[rows])
    return classifier


@pytest.mark.slow
@pytest.mark.parametrize("scaling", ["auto", "standard", "shared", "global"])
@pytest.mark.parametrize("offset", [100, 1e6])
@pytest.mark.parametrize("first", [[0], [0] * 20, [0, 1]])
def test_a_first_call_that_shows_no_spread_does_not_fix_the_scale(first, offset, scaling):
    assert streamed(X + offset, first, scaling=scaling).score(X + offset, Y) > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("convert", [np.asarray, csr_array, np.float32])
def test_rows_come_one_by_one(convert):
    rows = convert(X[::3] + 100)
    classifier = streamed(rows, [0], Y[::3], size=1, epochs=1)
    divisor = Numbers(classifier).divisor
    assert np.all(divisor < 3)
    assert classifier.score(rows, Y[::3]) > 0.6


def test_one_column_is_constant_at_first():
    rows = X.copy()
    rows[:, 2] += 1000
    held = rows[:50].copy()
    held[:, 2] = 1000
    classifier = FFClassifier(16, scaling="standard", random_state=0)
    classifier.partial_fit(held, Y[:50], CLASSES)
    before = Numbers(classifier).divisor
    classifier.partial_fit(rows, Y)
    scaler = Numbers(classifier)
    expected = np.append(rows[:, 2], 1000)
    np.testing.assert_array_equal(np.delete(scaler.divisor, 2), np.delete(before, 2))
    np.testing.assert_allclose(scaler.divisor[2], expected.std(), rtol=1e-6)
    np.testing.assert_allclose(scaler.shift[2], expected.mean(), rtol=1e-6)
    after = scaler.divisor
    classifier.partial_fit(rows * 7, Y)
    np.testing.assert_array_equal(Numbers(classifier).divisor, after)


@pytest.mark.parametrize("last_digit", [0.0, 1.0])
def test_a_rounding_of_the_last_digit_is_no_spread(last_digit):
    rows = np.full((1, 2), 100.0)
    rows[:, 1] = 3
    classifier = FFClassifier(8, random_state=0).partial_fit(rows, [0], [0, 1])
    rows[0, 0] = np.nextafter(100.0, 100 + last_digit)
    classifier.partial_fit(rows, [1])
    np.testing.assert_array_equal(Numbers(classifier).divisor, [100, 3])


def test_warm_starts_scale_a_column_that_begins_to_vary():
    constant = X.copy()
    constant[:, 1] = 500
    varying = X.copy()
    varying[:, 1] = 500 + 0.1 * Y
    classifier = FFClassifier(
        16, warm_start=True, random_state=0, max_iter=5, scaling="standard"
    ).fit(constant, Y)
    classifier.fit(varying, Y)
    assert 0.05 < Numbers(classifier).divisor[1] < 0.2


def test_open_columns_survive_a_pickle():
    whole = FFClassifier(8, random_state=0).partial_fit(X[:1] + 100, Y[:1], CLASSES)
    loaded = pickle.loads(pickle.dumps(whole))
    p = [one.partial_fit(X + 100, Y).predict_proba(X + 100) for one in (whole, loaded)]
    np.testing.assert_array_equal(*p)


def test_familiarity_is_of_the_scale_in_use():
    transformer = FFTransformer(16, random_state=0)
    with pytest.warns(ConvergenceWarning, match="give rows that differ"):
        transformer.partial_fit(X[[0, 0]] + 100)
    for _ in range(20):
        transformer.partial_fit(X + 100)
    known = transformer.score_samples(X + 100)
    assert np.median(known) > 5 * transformer.score_samples(X + 110).max()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
def test_merged_statistics_match_those_of_all_rows(dtype):
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(40, 3)) * [3, 20, 1] + 100).astype(dtype)
    weight = rng.uniform(0.5, 2, 40)
    parts = [column_statistics(rows[part], weight[part]) for part in (slice(15), slice(15, None))]
    for one, other in zip(merged(*parts), column_statistics(rows, weight), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.slow
def test_sparse_text_comes_one_by_one():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 50)
    counts = (rng.random((100, 60)) < np.where(y[:, None] == np.arange(60) % 2, 0.12, 0.02)) * 1.0
    rows = csr_array(counts)
    classifier = FFClassifier(16, random_state=0)
    for row in range(100):
        classifier.partial_fit(rows[[row]], y[[row]], classes=[0, 1])
    assert classifier.scaling_ == "sparse"
    assert classifier.score(rows, y) > 0.8
