"""Real images, where a folder holds them: SKLEARN_FF_DATA names it. No test row is looked at."""

import os
from pathlib import Path

import numpy as np
import pytest

from sklearn_ff import FFClassifier
from sklearn_ff.datasets import load_images

FOLDER = os.environ.get("SKLEARN_FF_DATA")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (FOLDER and (Path(FOLDER) / "mnist.npz").is_file()),
        reason="SKLEARN_FF_DATA names no folder with a file mnist.npz",
    ),
]


@pytest.fixture(scope="module")
def training_rows():
    X, y, _, _ = load_images("mnist", FOLDER)
    return X, y


@pytest.fixture(scope="module")
def rows(training_rows):
    """2,000 rows to learn from, and 1,000 other training rows held out."""
    X, y = training_rows
    order = np.random.default_rng(0).permutation(len(y))
    learn, hold = order[:2000], order[2000:3000]
    return X[learn], y[learn], X[hold], y[hold]


@pytest.fixture(scope="module")
def by_goodness(rows):
    return FFClassifier((100,), max_iter=3, n_threads=1, random_state=0).fit(*rows[:2])


def test_the_folder_is_read(training_rows):
    X, y = training_rows
    assert X.shape == (60_000, 784) and X.dtype == np.float32 and y.shape == (60_000,)
    assert X.min() == 0 and X.max() == 1
    assert np.bincount(y, minlength=10).min() > 5000 and set(y) == set(range(10))
    assert np.mean(X == 0) > 0.7, "most of an image is paper"


def test_test_rows_and_training_rows_are_disjoint(training_rows):
    _, _, X, y = load_images("mnist", FOLDER)
    assert X.shape == (10_000, 784) and len(y) == 10_000
    assert not np.array_equal(X, training_rows[0][:10_000])


@pytest.mark.slow
def test_it_learns(rows, by_goodness):
    assert by_goodness.n_iter_ == 3 and by_goodness.precision_ in ("float32", "bfloat16")
    assert by_goodness.scaling_ == "shared", "pixels have one unit"
    assert by_goodness.score(*rows[2:]) > 0.85
    assert by_goodness.loss_curve_[-1] < by_goodness.loss_curve_[0]


def test_hybrid_is_as_good_as_goodness(rows, by_goodness):
    params = by_goodness.get_params() | {"prediction": "hybrid"}
    hybrid = FFClassifier(**params).fit(*rows[:2])
    assert abs(hybrid.score(*rows[2:]) - by_goodness.score(*rows[2:])) <= 0.01


def test_confident_predictions_are_more_accurate(rows, by_goodness):
    """Of the half of the rows that it is surest of, it gets more right than of the other."""
    p = by_goodness.predict_proba(rows[2])
    right, order = p.argmax(1) == rows[3], p.max(1).argsort()
    assert right[order[500:]].mean() > right[order[:500]].mean() + 0.02
    assert abs(p.max(1).mean() - right.mean()) < 0.05
