"""scaling="running": every call of `partial_fit` moves the scale towards what it shows."""

import pickle

import numpy as np
import pytest
from devices import array
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff._open_columns import RECENT

X, Y = load_iris(return_X_y=True)
CLASSES = np.unique(Y)


def scale(model):
    scaler = model.net_.module_.scaler
    return array(scaler.shift), array(scaler.divisor)


def streamed(model, rows, y=Y, **first):
    for some, labels in zip(rows, y, strict=True):
        model.partial_fit(some, labels, **first)
        first = {}
    return model


def test_a_fit_is_that_of_standard_scaling():
    standard, running = (
        FFClassifier(8, max_iter=3, scaling=kind, random_state=0).fit(X, Y)
        for kind in ("standard", "running")
    )
    np.testing.assert_array_equal(standard.predict_proba(X), running.predict_proba(X))
    assert running.scaling_ == "running"


@pytest.mark.fault("C11")
def test_the_scale_is_of_all_rows_until_earlier_ones_are_old():
    _, rows = RECENT
    order = np.random.default_rng(0).permutation(len(X))
    parts, labels = np.split(X[order], 3), np.split(Y[order], 3)
    model = FFClassifier(8, scaling="running", random_state=0)
    shift, divisor = scale(streamed(model, parts, labels, classes=CLASSES))
    np.testing.assert_allclose(shift, X.mean(0), rtol=1e-6)
    np.testing.assert_allclose(divisor, X.std(0), rtol=1e-6)
    strength = model.label_strength_
    streamed(model, [X + 5.0] * 30, [Y] * 30)
    np.testing.assert_allclose(scale(model)[0], X.mean(0) + 5, rtol=0.02)
    assert model.label_strength_ == strength
    before = scale(model)[0]
    model.partial_fit(X[:1] + 1000, Y[:1])
    most = (X[0] + 1000 - before) / rows
    assert np.all(np.abs(scale(model)[0] - before) <= most * 1.1), "one row moves little"


@pytest.mark.fault("C11")
def test_columns_that_drift_are_told_apart_sooner():
    """Every batch is scored before it is learned from; after eight calls all columns jump."""
    order = np.random.default_rng(0).permutation(len(X))
    rows, labels, accuracy = X[order], Y[order], {}
    for kind in ("standard", "running"):
        params = {"learning_rate_init": 0.05, "batch_size": 25, "random_state": 0}
        model, scores = FFClassifier(32, scaling=kind, **params), []
        for step in range(18):
            some = rows + 5.0 * (step >= 8)
            if step > 8:
                scores.append(model.score(some, labels))
            model.partial_fit(some, labels, classes=CLASSES)
        accuracy[kind] = np.mean(scores)
    assert accuracy["running"] > accuracy["standard"] + 0.05


@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
def test_copies_go_on_as_the_original(cls):
    model = cls(8, scaling="running", learning_rate="invscaling", random_state=0)
    first = {"classes": CLASSES} if cls is FFClassifier else {}
    streamed(model, [X[:60], X[60:]], [Y[:60], Y[60:]], **first)
    copy = pickle.loads(pickle.dumps(model))
    for one in (model, copy):
        streamed(one, [X + 1, X + 2], [Y, Y])
    np.testing.assert_array_equal(copy.transform(X), model.transform(X))
    if cls is FFTransformer:
        assert model._fitted.moments[0]["weight"] == 3 * len(X)
