"""Recipes: every one fits, says what it sets, and lets any parameter be overridden."""

import inspect
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

from sklearn_ff import FFClassifier, recipes
from sklearn_ff.objectives import Logistic
from sklearn_ff.recipes import rmwkwok_conv

X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16, y[:400]
ALL = {name: getattr(recipes, name) for name in recipes.__all__}
SMALL = {"hidden_layer_sizes": (24, 24, 24), "max_iter": 2, "random_state": 0, "n_threads": 1}
OF_IMAGES = {"rmwkwok_conv": {"image_shape": (1, 8, 8)}}
SETTINGS = {  # what the docstrings say
    "mpezeshki": {
        "hidden_layer_sizes": (500, 500),
        "schedule": "greedy",
        "input_normalization": "unit",
        "learning_rate": "constant",
        "learning_rate_init": 0.03,
        "batch_size": "all",
        "max_iter": 1000,
        "prediction_layers": "all",
        "prediction": "goodness",
        "negatives__redraw": "once",
        "objective__threshold": 2.0,
        "overlay__strength": "max",
    },
    "rmwkwok_dense": {
        "hidden_layer_sizes": (100,) * 4,
        "goodness": "sum_square",
        "learning_rate_init": 1e-4,
        "head_learning_rate_init": 1e-4,
        "phases": "by_epoch",
        "max_iter": 200,
        "prediction_layers": "skip_first",
        "objective__threshold": 0.1,
        "negatives__labelled": False,
    },
    "rmwkwok_conv": {
        "image_shape": (1, 28, 28),
        "goodness": "sum_square",
        "learning_rate_init": 1e-4,
        "max_iter": 200,
        "negatives__labelled": False,
    },
    "hinton_supervised": {
        "hidden_layer_sizes": (1000,) * 3,
        "negatives": "hard",
        "prediction": "goodness",
        "prediction_layers": "skip_first",
        "input_normalization": "rms",
        "learning_rate": "cooldown",
        "objective__threshold": "width",
        "optimizer_params": {"momentum": 0.9},
    },
    "loewe": {"negatives": "uniform", "prediction": "head", "optimizer_params": {"momentum": 0.9}},
}


@pytest.mark.parametrize("name", ALL)
def test_fits(name):
    small = {**SMALL, **OF_IMAGES.get(name, {})}
    clf = ALL[name](**small).fit(X, y)
    assert set(clf.predict(X)) <= set(clf.classes_)
    assert clf.n_iter_ == 2 * (3 if clf.schedule == "greedy" else 1)
    assert np.isfinite(clf.loss_curve_).all()


@pytest.mark.parametrize("name", ALL)
def test_settings_are_as_told(name):
    given = ALL[name]().get_params()
    assert {key: given[key] for key in SETTINGS[name]} == SETTINGS[name]


@pytest.mark.parametrize("name", ALL)
def test_overrides_and_keeps_what_it_is_made_of(name):
    assert type(ALL[name]()) is FFClassifier
    assert clone(ALL[name](alpha=0.5, overlay="append")).get_params()["alpha"] == 0.5
    with pytest.raises(TypeError, match="nonsense"):
        ALL[name](nonsense=1)
    ALL[name]().set_params(objective__threshold=7.0)
    assert ALL[name]().objective.threshold != 7.0


@pytest.mark.parametrize("name", ALL)
def test_docstrings_name_source_settings_and_figure(name):
    text = inspect.getdoc(ALL[name])
    for word in ("Settings: ", "Published", "What differs: ", "References", "Examples"):
        assert word in text
    assert re.search(r"https://|arXiv", text)


@pytest.mark.parametrize("name", ["mpezeshki", "hinton_supervised", "loewe"])
def test_learns_in_any_unit(name):
    small = {**SMALL, "precision": "float64"}
    curves = [ALL[name](**small).fit(unit * X, y).loss_curve_ for unit in (1, 255)]
    np.testing.assert_allclose(*curves, rtol=1e-4)


def test_rmwkwok_forms():
    labelled = recipes.rmwkwok_dense(supervised=True, **SMALL).fit(X, y)
    assert labelled._plan.shows_labels and labelled.classes_.tolist() == [0, 1, 2, 3, 4]
    by_goodness = recipes.rmwkwok_dense(supervised=True, prediction="goodness", **SMALL)
    assert set(by_goodness.fit(X, y).predict(X)) <= set(range(5))
    newer = recipes.rmwkwok_dense(n_units=500, newer=True)
    assert newer.hidden_layer_sizes == (500,) * 4
    assert (newer.shuffle, newer.head_learning_rate_init) == (True, 1e-3)


def test_rmwkwoks_convolutions_say_what_they_cannot_do():
    for shape in ((1, 8, 10), (8, 8), 64):
        with pytest.raises(ValueError, match=r"of a square image.* layers of your own"):
            rmwkwok_conv(image_shape=shape)
    assert rmwkwok_conv(image_shape=(1, 8, 10), layers=[20]).layers == [20]
    with pytest.raises(TypeError, match="n_units"):
        rmwkwok_conv(n_units=500)


def test_rmwkwoks_newer_form_adds_the_label_to_the_first_pixels():
    clf = recipes.rmwkwok_dense(True, newer=True, **SMALL).fit(X, y)
    code = clf.net_.module_.encoder.code
    np.testing.assert_array_equal(code[:5], np.eye(5, 64))
    np.testing.assert_allclose(code[5], np.repeat([0.2, 0], [5, 59]), rtol=1e-6)


@pytest.mark.parametrize("name", ["hinton_supervised", "loewe"])
def test_a_step_is_that_of_the_program(name):
    """W moves by (1 − p) h for right rows and by −p h for wrong ones, times 0.001 at first.

    That is the rate of Löwe's program, and a tenth of that of Hinton's, whose running average of
    gradients starts at zero.
    """
    rows, labels = X[y < 2], y[y < 2]
    params = {**SMALL, "hidden_layer_sizes": (6,), "max_iter": 1, "batch_size": "all"}
    params |= {"negatives": "all", "learning_rate": "constant", "precision": "float64"}
    params |= {"peer_normalization": 0.0, "alpha": 0.0}
    after, before = (
        ALL[name](**params, **still).fit(rows, labels).net_.module_.layers[0]
        for still in ({}, {"learning_rate_init": 1e-30})
    )
    W, U = (p.detach().numpy() for p in (before.transform.weight, before.label_weight))
    step = np.zeros_like(W)
    for right in (True, False):
        shown = labels if right else 1 - labels
        base = np.where(np.arange(64) < 2, 0, rows)
        length = np.sqrt(((base**2).sum(1, keepdims=True) + 1) / 64)
        h = np.maximum((base @ W.T + U[shown]) / length, 0)
        p = 1 / (1 + np.exp(6 - (h**2).sum(1, keepdims=True)))
        step += ((1 - p) * h if right else -p * h).T @ (base / length) / len(rows)
    moved = (after.transform.weight - before.transform.weight).detach().numpy()
    np.testing.assert_allclose(moved, 0.001 * step, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("supervised", [False, True])
def test_the_convolutions_are_equal_to_a_dense_network(supervised):
    given = {"supervised": supervised, **SMALL, "max_iter": 1, "precision": "float64"}
    conv = recipes.rmwkwok_conv(**given, **OF_IMAGES["rmwkwok_conv"], n_channels=24).fit(X, y)
    dense = recipes.rmwkwok_dense(**{**given, "hidden_layer_sizes": (24,) * 4}).fit(X, y)
    assert [layer.n_units for layer in conv.net_.module_.layers] == [24] * 4
    np.testing.assert_allclose(
        conv.decision_function(X), dense.decision_function(X), rtol=1e-6, atol=1e-9
    )


def test_an_objective_may_be_overridden():
    clf = recipes.mpezeshki(**SMALL, objective=Logistic(threshold=1.0), negatives="uniform")
    assert clf.fit(X, y).objective_.threshold == 1.0


def test_hinton_moves_as_by_averages_of_half_the_gradient():
    clf, weight = ALL["hinton_supervised"](), torch.zeros(1, requires_grad=True)
    sgd = torch.optim.SGD([weight], lr=clf.learning_rate_init, **clf.optimizer_params)
    average = place = 0.0
    for gradient in (1.0, -2.0, 5.0):
        weight.grad = torch.tensor([gradient])
        sgd.step()
        average = 0.9 * average + 0.1 * gradient / 2
        place -= 0.01 * average
    assert weight.item() == pytest.approx(place)
    assert clf.head_learning_rate_init == pytest.approx(0.1 * 0.1)
