"""Recipes: every one fits, says what it sets, and lets any parameter be overridden."""

import inspect
import re
import warnings

import numpy as np
import pytest
import torch
from devices import DEVICE, array, put
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris

from sklearn_ff import FFClassifier, FFTransformer, load, recipes, save
from sklearn_ff.augmentations import Rotations, Shifts
from sklearn_ff.exceptions import NoEffectWarning
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.layers import Conv2d, Dense, LocallyConnected2d
from sklearn_ff.objectives import Logistic
from sklearn_ff.recipes import hinton_supervised, loewe, mpezeshki, rmwkwok_conv
from sklearn_ff.recipes._pairs import class_patterns

X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16, y[:400]
ALL = {name: getattr(recipes, name) for name in recipes.__all__}
BRIEF = {"max_iter": 2, "random_state": 0, "n_threads": 1}
SMALL = {**BRIEF, "hidden_layer_sizes": (24, 24, 24)}
IMAGES = {"image_shape": (1, 8, 8)}
OF_IMAGES = {
    "rmwkwok_conv": {**BRIEF, **IMAGES, "n_channels": 24},
    "backpropagation": {**BRIEF, "layers": (24, 24)},
    "local_loss": {**BRIEF, **IMAGES, "n_units": (24, 24)},
    "asge": {**BRIEF, **IMAGES, "n_channels": (4, 6)},
    "cwcomp": {**BRIEF, **IMAGES, "n_channels": (10, 20), "ends": (1, 2)},
    "deeper_forward": {**BRIEF, **IMAGES, "n_channels": (10,)},
    "scff": {**BRIEF, "hidden_layer_sizes": (24, 16)},
    "hinton_jitter": {**SMALL, **IMAGES},
    "hinton_unsupervised": {**SMALL, **IMAGES},
    "hinton_local": {
        **BRIEF,
        **IMAGES,
        "layers": [
            LocallyConnected2d(8, 4, stride=2, padding=0),
            LocallyConnected2d(9, 2, padding=0),
        ],
    },
}
OF_IMAGES |= {
    "rmwkwok_routed": {**BRIEF, "n_units": 24},
    "scodellaro": {**BRIEF, **IMAGES, "n_channels": 4, "kernel_size": 5},
    "trifecta": {**BRIEF, **IMAGES, "n_channels": (4, 4, 4, 4, 4, 8)},
}
QUICK = {"batch_size": 40, "learning_rate_init": 1e-2}
WIDE = {**QUICK, "hidden_layer_sizes": (60, 60)}
BY_HEAD = {**QUICK, "learning_rate_init": 3e-3, "head": SoftmaxHead(learning_rate_init=3e-2)}
LEARNS = {  # more overrides, with which a small network learns 400 rows in 10 epochs
    "asge": {**QUICK, "learning_rate_init": 3e-2},
    "cwcomp": {"batch_size": 40},
    "deeper_forward": {"batch_size": 40},
    "scff": {"batch_size": 20},
    "hff": QUICK,
    "local_loss": {**QUICK, "augmentation": None},
    "mono_forward": QUICK,
    "hinton_jitter": {**WIDE, "augmentation": Shifts(1)},
    "hinton_local": QUICK,
    "hinton_supervised": WIDE,
    "hinton_unsupervised": WIDE,
    "loewe": WIDE,
    "mpezeshki": {"max_iter": 120},
    "rmwkwok_conv": BY_HEAD,
    "layer_collaboration": {**QUICK, "learning_rate_init": 2e-2},
    "rmwkwok_dense": BY_HEAD,
    "rmwkwok_routed": BY_HEAD,
    "scodellaro": {**QUICK, "learning_rate_init": 2e-2},
    "trifecta": {**QUICK, "augmentation": Rotations(15)},
    "swish": {"batch_size": 80, "learning_rate_init": 0.05},
    "symba": {"batch_size": 40, "learning_rate_init": 5e-3},
}
RMWKWOK = {  # what the docstrings say; parts inside are named as by get_params
    "goodness": "sum_square",
    "objective__threshold": 0.1,
    "objective__sharpness": 1.0,
    "normalization": "unit",
    "input_normalization": None,
    "scaling": None,
    "optimizer": "adam",
    "learning_rate": "constant",
    "learning_rate_init": 1e-4,
    "head__learning_rate_init": 1e-4,
    "alpha": 0.0,
    "schedule__phases": "by_epoch",
    "batch_size": 128,
    "max_iter": 200,
    "shuffle": False,
    "tol": None,
    "prediction": "head",
    "prediction_layers": "skip_first",
    "negatives__classes": [5, 6, 7, 8, 9],
    "negatives__labelled": False,
}
HINTON = {
    "hidden_layer_sizes": (1000,) * 3,
    "overlay__strength": "max",
    "goodness": "sum_square",
    "objective__threshold": "width",
    "objective__sharpness": 1.0,
    "normalization": "rms",
    "input_normalization": "rms",
    "scaling": None,
    "optimizer": "sgd",
    "learning_rate": "cooldown",
    "learning_rate_init": 5e-4,
    "head__learning_rate_init": 0.01,
    "head__optimizer_params": {"weight_decay": 0.003},
    "alpha": 0.0,
    "head__alpha": 0.0,
    "batch_size": 100,
    "max_iter": 100,
    "tol": None,
    "prediction_layers": "skip_first",
}
ONE_PASS = {  # rates, batches and epochs that are ours
    "objective__sharpness": 1.0,
    "learning_rate": "linear",
    "learning_rate_init": 1e-3,
    "optimizer": "adam",
    "batch_size": 128,
    "max_iter": 20,
}
OF_CLASSES = {"objective__sharpness": 1.0, "batch_size": 128, "image_shape": (1, 28, 28)}
DENSE_1024 = {"n_units": 1024, "norm": "batch", "weight_init": "uniform"}
OF_LABELS = ("hidden_layer_sizes", "overlay__strength", "prediction_layers", "max_iter")
FEATURES = {  # no head, no labels
    name: value
    for name, value in HINTON.items()
    if name not in OF_LABELS and not name.startswith("head")
} | {
    "image_shape": (1, 28, 28),
    "negatives__n_blurs": 6,
    "peer_normalization": 0.06,
    "optimizer_params": {"momentum": 0.9, "weight_decay": 0.002},
}
OURS = {  # what most recipes have whose authors' rates are not known
    "negatives": "uniform",
    "goodness": "mean_square",
    "optimizer": "adam",
    "learning_rate": "linear",
    "learning_rate_init": 3e-3,
    "batch_size": 128,
    "max_iter": 60,
    "tol": None,
}
SETTINGS = {
    "asge": ONE_PASS
    | {f"layers__{i}__n_channels": n for i, n in enumerate((64, 128, 256, 512))}
    | {f"layers__{i}__pool": "rms" for i in range(4)}
    | {f"goodness__{i}__patch": n for i, n in enumerate((1, 1, 1, 1))}
    | {f"goodness__{i}__learned": False for i in range(4)}
    | {"normalization": "channel_norm", "prediction": "goodness", "image_shape": (1, 28, 28)},
    "cwcomp": OF_CLASSES
    | {f"layers__{i}__n_channels": n for i, n in enumerate((20, 80, 240, 480))}
    | {f"layers__{i}__groups": n for i, n in enumerate((1, 10, 1, 10))}
    | {f"layers__{i}__pool": pool for i, pool in enumerate((None, "max", None, "max"))}
    | {f"layers__{i}__norm_last": True for i in range(4)}
    | {"schedule": [([0, 1, 2, 3], 2), ([1, 2, 3], 1), ([2, 3], 1), ([3], 1)]}
    | {"goodness__of": "square", "normalization": None, "prediction": "last", "optimizer": "adam"}
    | {"learning_rate": "constant", "learning_rate_init": 0.01},
    "deeper_forward": OF_CLASSES
    | {"image_shape": (3, 32, 32), "goodness__of": "activation", "prediction__layers": "best"}
    | {"normalization": "layer_norm", "input_normalization": "layer_norm", "dropout": 0.2}
    | {"optimizer": "adamw", "optimizer_params": {"weight_decay": 5e-4}, "max_iter": 150}
    | {"learning_rate__end": 0.1, "learning_rate_init": 0.08, "validation_fraction": 1 / 6},
    "scff": {
        "hidden_layer_sizes": (2000, 2000),
        "negatives": "pair_sum",
        "objective__threshold": [4.0, 1.0],
        "objective__threshold_negative": [6.0, 1.0],
        "objective__sharpness": 1.0,
        "goodness": "mean_square",
        "normalization": "layer_norm",
        "output": "triangle",
        "optimizer": "adamw",
        "learning_rate_init": [0.006, 0.002],
        "schedule": [(0, 20), (1, 9)],
        "batch_size": 100,
    },
    "hff": ONE_PASS
    | {"hidden_layer_sizes": (1000, 1000), "goodness__scale": 40.0, "normalization": "rms"},
    "local_loss": {
        **{f"layers__{i}__{name}": value for i in range(3) for name, value in DENSE_1024.items()},
        "image_shape": (1, 28, 28),
        "augmentation": "shifts",
        "activation": "leaky_relu",
        "goodness": "readout",
        "objective__weight": 0.99,
        "objective__sharpness": 1.0,
        "normalization": None,
        "dropout": 0.1,
        "prediction": "last",
        "optimizer": "adam",
        "learning_rate__at": (0.5, 0.75, 0.89, 0.94),
        "learning_rate__share": 0.25,
        "learning_rate_init": 5e-4,
        "batch_size": 128,
        "max_iter": 100,
    },
    "mono_forward": ONE_PASS
    | {"hidden_layer_sizes": (1000, 1000), "goodness": "readout", "normalization": None}
    | {"prediction": "last"},
    "backpropagation": {
        "layers__0__kinds": [500, 500],
        "layers__0__residual": False,
        "goodness": "readout",
        "objective__sharpness": 1.0,
        "negatives": "all",
        "learning_rate": "linear",
        "learning_rate_init": 1e-3,
        "optimizer": "adam",
        "alpha": 0.0,
        "batch_size": 128,
    },
    "mpezeshki": {
        "layers__0__n_units": 500,
        "layers__1__n_units": 500,
        "layers__0__weight_init": "uniform",
        "layers__1__weight_init": "uniform",
        "overlay__strength": "max",
        "negatives__redraw": "once",
        "goodness": "mean_square",
        "objective__threshold": 2.0,
        "objective__sharpness": 1.0,
        "normalization": "unit",
        "input_normalization": "unit",
        "scaling": "global",
        "schedule": "greedy",
        "optimizer": "adam",
        "learning_rate": "constant",
        "learning_rate_init": 0.03,
        "alpha": 0.0,
        "batch_size": "all",
        "max_iter": 1000,
        "tol": None,
        "prediction_layers": "all",
        "prediction": "goodness",
    },
    "rmwkwok_dense": RMWKWOK | {"hidden_layer_sizes": (100,) * 4},
    "rmwkwok_conv": RMWKWOK
    | {"image_shape": (1, 28, 28)}
    | {f"layers__{i}__n_channels": 100 for i in range(4)}
    | {f"layers__{i}__kernel_size": size for i, size in enumerate((28, 1, 1, 1))},
    # pull towards peers: 2 · 0.03, and 0.03 · 0.1 · 2 / 1000, twice; decay twice their numbers
    "hinton_supervised": HINTON
    | {"negatives": "hard", "prediction": "goodness", "peer_normalization": 0.06}
    | {"optimizer_params": {"momentum": 0.9, "weight_decay": 0.002}},
    "hinton_jitter": HINTON
    | {"negatives": "hard", "peer_normalization": 0.06, "max_iter": 500}
    | {"hidden_layer_sizes": (2000,) * 4, "augmentation__max_pixels": 2},
    "hinton_unsupervised": FEATURES
    | {"hidden_layer_sizes": (2000,) * 4, "max_iter": 100, "output_layers": "skip_first"},
    "hinton_local": FEATURES
    | {"max_iter": 60, "output_layers": "all"}
    | {f"layers__{i}__n_channels": n for i, n in enumerate((128, 220, 512))}
    | {f"layers__{i}__kernel_size": n for i, n in enumerate((10, 2, 2))}
    | {"layers__0__stride": 6, "layers__1__padding": 0},
    "layer_collaboration": OURS
    | {
        "hidden_layer_sizes": (1000,) * 3,
        "objective__objective__threshold": 2.0,
        "objective__objective__sharpness": 4.0,
        "objective__reads": "all",
        "schedule": "in_turn",
    },
    "rmwkwok_routed": {
        "hidden_layer_sizes": (2000,) * 4,
        "objective__threshold": 0.1,
        "objective__split": "random",
        "normalization": "unit",
        "prediction": "head",
        "prediction_layers": "skip_first",
        "learning_rate": "constant",
        "learning_rate_init": 1e-4,
        "head__learning_rate_init": 1e-3,
        "batch_size": 256,
        "max_iter": 200,
        "shuffle": True,
    },
    "scodellaro": OURS
    | {
        **{f"layers__{i}__n_channels": 128 for i in range(3)},
        **{f"layers__{i}__kernel_size": 7 for i in range(3)},
        "overlay__wavelength": [4.0, 8.0],
        "objective__threshold": 1.0,
        "objective__sharpness": 10.0,
        "normalization": "layer_norm",
        "prediction_layers": "skip_first",
        "learning_rate_init": 5e-5,
        "batch_size": 50,
        "max_iter": 200,
    },
    "trifecta": OURS
    | {
        **{f"layers__{i}__n_channels": n for i, n in enumerate((128, 128, 256, 256, 256, 512))},
        **{f"layers__{i}__pool": "max" if i in (0, 2, 5) else None for i in range(6)},
        "overlay": "channel",
        "objective__sharpness": 4.0,
        "augmentation__0__max_pixels": 4,
        "augmentation__1__max_degrees": 15,
        "scaling": "global",
        "prediction_layers": [-1],
        "learning_rate": "constant",
        "learning_rate_init": 1e-3,
        "batch_size": 512,
        "max_iter": 100,
    },
    "symba": OURS
    | {
        "hidden_layer_sizes": (1000,) * 3,
        "overlay__matrix": class_patterns,
        "objective__sharpness": 4.0,
    },
    "swish": {
        "layers__0__n_units": 500,
        "layers__1__n_units": 500,
        "layers__0__weight_init": "uniform",
        "overlay__strength": "max",
        "negatives__n_negatives": 1,
        "negatives__temperature": 1.0,
        "goodness": "mean_square",
        "objective__sharpness": 6.0,
        "normalization": "unit",
        "input_normalization": "unit",
        "scaling": "global",
        "optimizer": "adam",
        "learning_rate": "constant",
        "learning_rate_init": 0.35,
        "batch_size": 4096,
        "max_iter": 61,
        "prediction_layers": "all",
    },
    "loewe": HINTON
    | {"negatives": "uniform", "prediction": "head", "peer_normalization": 1.2e-5}
    | {"optimizer_params": {"momentum": 0.9, "weight_decay": 6e-4}},
}


@pytest.fixture(scope="module")
def fitted():
    """A small network of a recipe, fitted once."""
    done = {}

    def fit(name):
        if name not in done:
            given = OF_IMAGES.get(name, SMALL) | {"max_iter": 10} | LEARNS.get(name, {})
            done[name] = ALL[name](**given).fit(X, y)
        return done[name]

    return fit


@pytest.mark.parametrize("name", ALL)
def test_learns(fitted, name):
    model = fitted(name)
    n_layers = len(model.history_["loss"].T)
    assert model.n_iter_ == model.max_iter * (n_layers if model.schedule == "greedy" else 1)
    assert np.isfinite(model.loss_curve_).all()
    if isinstance(model, FFTransformer):  # real rows score above corrupted ones
        assert np.nanmean(model.history_["ranking_accuracy"][-1]) > 0.56
    else:
        known = np.isin(y, model.classes_)
        assert model.score(X[known], y[known]) > 2.5 / len(model.classes_)


@pytest.mark.parametrize("name", ALL)
def test_a_fitted_recipe_is_saved(fitted, name, tmp_path):
    save(fitted(name), tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.transform(X), fitted(name).transform(X))
    np.testing.assert_array_equal(again.layer_scores(X), fitted(name).layer_scores(X))
    if hasattr(again, "predict"):
        np.testing.assert_array_equal(again.predict(X), fitted(name).predict(X))


@pytest.mark.parametrize("name", ALL)
def test_settings_are_as_documented(name):
    given = ALL[name]().get_params()
    assert {key: given[key] for key in SETTINGS[name]} == SETTINGS[name]


@pytest.mark.parametrize("name", ALL)
def test_overrides_and_keeps_what_it_is_made_of(name):
    assert type(ALL[name]()) in (FFClassifier, FFTransformer)
    assert clone(ALL[name](alpha=0.5, overlay="append")).get_params()["alpha"] == 0.5
    with pytest.raises(TypeError, match="nonsense"):
        ALL[name](nonsense=1)
    layers = ALL[name](layers=[7, 8]).layers
    assert (layers[0].kinds if name == "backpropagation" else layers) == [7, 8]
    inner = next(key for key in ALL[name]().get_params() if key.endswith("__sharpness"))
    ALL[name]().set_params(**{inner: 7.0})
    assert ALL[name]().get_params()[inner] != 7.0


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
    assert labelled._fitted.plan.shows_labels and labelled.classes_.tolist() == [0, 1, 2, 3, 4]
    by_goodness = recipes.rmwkwok_dense(supervised=True, prediction="goodness", **SMALL)
    assert set(by_goodness.fit(X, y).predict(X)) <= set(range(5))
    later = recipes.rmwkwok_dense(n_units=500, version="layer_based")
    assert later.hidden_layer_sizes == (500,) * 4
    assert (later.shuffle, later.head.learning_rate_init) == (True, 1e-3)


def test_rmwkwoks_convolutions_refuse_invalid_arguments():
    for shape in ((1, 8, 10), (8, 8), 64):
        with pytest.raises(ValueError, match=r"of a square image.* give your own layers"):
            rmwkwok_conv(image_shape=shape)
    assert rmwkwok_conv(image_shape=(1, 8, 10), layers=[20]).layers == [20]
    with pytest.raises(TypeError, match="n_units"):
        rmwkwok_conv(n_units=500)


@pytest.mark.parametrize("version", ["newer", None, True, ["layer_based"]])
def test_an_unknown_version_is_refused(version):
    with pytest.raises(ValueError, match=r"version=.* is not known; .* one of \['model_based', "):
        recipes.rmwkwok_dense(version=version)


def test_rmwkwoks_layer_based_form_adds_the_label_to_the_first_pixels():
    clf = recipes.rmwkwok_dense(True, version="layer_based", **SMALL).fit(X, y)
    code = array(clf.net_.module_.encoder.code)
    np.testing.assert_array_equal(code[:5], np.eye(5, 64))
    np.testing.assert_allclose(code[5], np.repeat([0.2, 0], [5, 59]), rtol=1e-6)


@pytest.mark.parametrize("name", ["hinton_supervised", "loewe"])
def test_a_step_is_that_of_the_program(name):
    """W moves by (1 − p) h for positive rows and by −p h for negative ones, times 0.001 at first.

    That is the rate of Löwe's program, and a tenth of that of Hinton's, whose running average of
    gradients starts at zero.
    """
    rows, labels = X[y < 2], y[y < 2]
    params = {**SMALL, "hidden_layer_sizes": (6,), "max_iter": 1, "batch_size": "all"}
    params |= {"negatives": "all", "learning_rate": "constant", "precision": "float64"}
    params |= {"peer_normalization": 0.0, "optimizer_params": {"momentum": 0.9}}
    after, before = (
        ALL[name](**params, **still).fit(rows, labels).net_.module_.layers[0]
        for still in ({}, {"learning_rate_init": 1e-30})
    )
    W, U = map(array, (before.affine.weight, before.label.weight))
    step = np.zeros_like(W)
    for positive in (True, False):
        shown = labels if positive else 1 - labels
        base = np.where(np.arange(64) < 2, 0, rows)
        length = np.sqrt(((base**2).sum(1, keepdims=True) + 1) / 64)
        h = np.maximum((base @ W.T + U[shown]) / length, 0)
        p = 1 / (1 + np.exp(6 - (h**2).sum(1, keepdims=True)))
        step += ((1 - p) * h if positive else -p * h).T @ (base / length) / len(rows)
    moved = array(after.affine.weight - before.affine.weight)
    np.testing.assert_allclose(moved, 0.001 * step, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("supervised", [False, True])
def test_the_convolutions_are_equal_to_a_dense_network(supervised):
    given = {"supervised": supervised, "max_iter": 1, "precision": "float64"}
    conv = recipes.rmwkwok_conv(**OF_IMAGES["rmwkwok_conv"] | given).fit(X, y)
    dense = recipes.rmwkwok_dense(n_units=24, **BRIEF | given).fit(X, y)
    assert [layer.affine.n_outputs for layer in conv.net_.module_.layers] == [24] * 4
    np.testing.assert_allclose(
        conv.decision_function(X), dense.decision_function(X), rtol=1e-6, atol=1e-9
    )


def test_layers_may_be_overridden_and_the_convolutions_have_no_sizes():
    with pytest.raises(TypeError, match="no hidden_layer_sizes; give n_channels, or layers"):
        rmwkwok_conv(image_shape=(1, 8, 8), hidden_layer_sizes=(7, 7))
    given = recipes.mpezeshki(layers=[7, 8], **BRIEF).fit(X, y)
    assert [layer.affine.n_outputs for layer in given.net_.module_.layers] == [7, 8]


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
    assert clf.head.learning_rate_init == pytest.approx(0.1 * 0.1)


IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.mark.parametrize("recipe", [hinton_supervised, loewe, mpezeshki])
@pytest.mark.parametrize(
    "override",
    [
        {"schedule": [("all", 1)]},
        {"layers": [6, 6]},
        {"goodness": "readout", "objective": "softmax"},
        {"negatives": "noise", "prediction": "head"},
    ],
    ids=lambda override: "-".join(override),
)
def test_a_recipe_drops_what_an_override_replaces(recipe, override):
    small = {} if "layers" in override else {"hidden_layer_sizes": (6, 6)}
    brief = {"batch_size": 50} if "schedule" in override else {"batch_size": 50, "max_iter": 1}
    clf = recipe(**override, **small, **brief)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", NoEffectWarning)
        clf.fit(IRIS, SPECIES)


@pytest.mark.parametrize("sizes", [(), "ab", (4, 0), (4, 2.5), {4}])
@pytest.mark.parametrize(
    ("name", "param", "given"),
    [
        ("asge", "n_channels", {}),
        ("cwcomp", "n_channels", {}),
        ("deeper_forward", "n_channels", {}),
        ("deeper_forward", "n_channels", {"residual": False}),
        ("hff", "n_channels", {"convolutional": True}),
        ("local_loss", "n_units", {}),
        ("local_loss", "n_channels", {"convolutional": True}),
        ("mono_forward", "n_channels", {"convolutional": True}),
        ("mpezeshki", "hidden_layer_sizes", {}),
        ("scff", "n_channels", {"convolutional": True}),
        ("swish", "hidden_layer_sizes", {}),
        ("trifecta", "n_channels", {}),
    ],
)
def test_sizes_that_are_no_numbers_of_units_are_refused_by_the_recipe(name, param, given, sizes):
    with pytest.raises(ValueError, match=rf"{param}=.* must be .* positive whole numbers, one per"):
        ALL[name](**given, **{param: sizes})


def test_invalid_overrides_of_recipes_are_refused_by_fit():
    with pytest.raises(ValueError, match="goodness='no such' is not known"):
        loewe(goodness="no such").fit(IRIS, SPECIES)


def test_overrides_of_recipes_without_effect_are_reported():
    with pytest.warns(NoEffectWarning, match="max_iter=3"):
        loewe(schedule=[("all", 1)], max_iter=3, hidden_layer_sizes=(6, 6)).fit(IRIS, SPECIES)


def test_backpropagation_takes_kinds_of_layers_and_no_sizes():
    with pytest.raises(TypeError, match="no hidden_layer_sizes; give layers"):
        recipes.backpropagation(hidden_layer_sizes=(7, 7))
    given = [Conv2d(4, pool="max"), Dense(20)]
    clf = recipes.backpropagation(given, image_shape=(1, 8, 8), max_iter=60, random_state=0)
    assert clf.fit(X, y).score(X, y) > 0.8
    assert len(clf.net_.module_.layers) == 1 and clf.layers[0].kinds == given


def test_backpropagation_is_a_loop_in_torch():
    """Steps as of `torch.optim.Adam` at a rate that falls linearly, from the same first weights."""
    params = {"layers": (24, 24), "max_iter": 4, "precision": "float64", "shuffle": False}
    clf = recipes.backpropagation(**params, scaling=None, batch_size=50, random_state=0)
    still = clone(clf).set_params(learning_rate_init=1e-30).fit(X, y)
    net = torch.nn.Sequential(
        *(torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 24), torch.nn.ReLU()),
        torch.nn.Linear(24, 10),
    ).to(DEVICE, torch.float64)
    with torch.no_grad():
        for weight, first in zip(net.parameters(), still.net_.module_.parameters(), strict=True):
            weight.copy_(first)
    optimizer = torch.optim.Adam(net.parameters())
    x, labels = put(X), put(y)
    for step in range(4 * 8):
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / (4 * 8))
        rows = slice(step % 8 * 50, step % 8 * 50 + 50)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x[rows]), labels[rows]).backward()
        optimizer.step()
    for found, expected in zip(
        clf.fit(X, y).net_.module_.parameters(), net.parameters(), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
