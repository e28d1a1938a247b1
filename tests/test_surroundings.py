"""Settings of torch and scikit-learn around an estimator do not change what it learns."""

import contextlib
import copy
import pickle
from functools import cache

import array_api_strict
import numpy as np
import pytest
import torch
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.layers import Conv2d
from sklearn_ff.negatives import OwnRows
from sklearn_ff.overlays import Add

X, Y = load_iris(return_X_y=True)
WEIGHT = np.linspace(0.5, 1.5, len(Y))


@contextlib.contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SETTINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "no_grad in inference_mode": lambda: nested(torch.inference_mode(), torch.no_grad()),
    "device meta": lambda: default_device("meta"),
    "device cpu": lambda: default_device("cpu"),
    "within device meta": lambda: torch.device("meta"),
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "dispatch": lambda: config_context(array_api_dispatch=True),
    "all at once": lambda: nested(
        torch.inference_mode(),
        default_device("meta"),
        default_dtype(torch.float16),
        torch.autocast("cpu", torch.bfloat16),
        config_context(array_api_dispatch=True),
    ),
}


@contextlib.contextmanager
def nested(*managers):
    with contextlib.ExitStack() as stack:
        for manager in managers:
            stack.enter_context(manager)
        yield


def state():
    return {
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "device": torch.empty(0).device,
        "dtype": torch.get_default_dtype(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "threads": torch.get_num_threads(),
        "config": get_config(),
    }


KINDS = {
    "default": {},
    "single precision": {"precision": "float32"},
    "hybrid": {"negatives": "hard", "prediction": "hybrid"},
    "class_groups": {"goodness": "class_groups", "precision": "float32"},
    "images": {
        "layers": [Conv2d(4, 1, norm="batch", pool="mean"), 8],
        "hidden_layer_sizes": (256,),
        "overlay": "channel",
        "image_shape": (1, 2, 2),
    },
    "early stopping": {"early_stopping": True},
    "own modules": {"activation": torch.nn.PReLU(), "overlay": Add(torch.eye(3, 4))},
}


def classifier(kind="default", **params):
    given = {"hidden_layer_sizes": (8, 8), "max_iter": 3, "random_state": 0}
    return FFClassifier(**given | KINDS[kind] | params)


@cache
def outside(kind):
    """Probabilities of what is fitted under no setting."""
    return classifier(kind).fit(X, Y).predict_proba(X)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_is_the_same_under_any_setting(kind, setting):
    expected = outside(kind)
    with SETTINGS[setting]():
        before = state()
        clf = classifier(kind).fit(X, Y)
        found, accuracy = clf.predict_proba(X), clf.score(X, Y)
        loaded = pickle.loads(pickle.dumps(clf))
        assert state() == before
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(loaded.predict_proba(X), found)
    assert accuracy == np.mean(clf.predict(X) == Y)


@pytest.mark.parametrize("setting", SETTINGS)
def test_learning_goes_on_outside_of_the_setting(setting):
    reference = classifier().partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y)
    with SETTINGS[setting]():
        clf = classifier().partial_fit(X, Y, classes=[0, 1, 2])
        copies = [clf, copy.deepcopy(clf), pickle.loads(pickle.dumps(clf))]
    for one in copies:
        found = one.partial_fit(X, Y).predict_proba(X)
        np.testing.assert_allclose(found, reference.predict_proba(X), atol=1e-6)
        one.set_params(warm_start=True).fit(X, Y)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("params", [{}, {"supervised": True}, {"negatives": OwnRows(-X)}])
def test_a_transformer_is_the_same_under_any_setting(params, setting):
    given = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0} | params
    expected = FFTransformer(**given).fit(X, Y)
    with SETTINGS[setting]():
        before = state()
        est = FFTransformer(**given).fit(X, Y)
        features, familiarity = est.transform(X), est.score_samples(X)
        est = pickle.loads(
            pickle.dumps(FFTransformer(**given).partial_fit(X, Y, classes=[0, 1, 2]))
        )
        assert state() == before
    np.testing.assert_allclose(features, expected.transform(X), atol=1e-6)
    np.testing.assert_allclose(familiarity, expected.score_samples(X), atol=1e-5)
    est.partial_fit(X, Y)


def test_an_error_puts_settings_back():
    before = state()
    with SETTINGS["all at once"](), pytest.raises(ValueError):
        classifier(overlay=Add(np.ones((2, 2)))).fit(X, Y)
    assert state() == before


def strict(array):
    return array_api_strict.asarray(array)


ARRAYS = {
    "a tensor": torch.tensor,
    "a tensor with a gradient": lambda a: torch.tensor(a, dtype=torch.float64, requires_grad=True),
    "part of a graph": lambda a: torch.tensor(a, dtype=torch.float64, requires_grad=True) * 1,
    "float32": lambda a: torch.tensor(a, dtype=torch.float32),
    "half": lambda a: torch.tensor(a, dtype=torch.half),
    "bfloat16": lambda a: torch.tensor(a, dtype=torch.bfloat16, requires_grad=True),
    "a parameter": lambda a: torch.nn.Parameter(torch.tensor(a, dtype=torch.float64)),
    "made in inference": lambda a: torch.inference_mode()(lambda: torch.tensor(a) * 1)(),
    "of array_api_strict": strict,
}
ROUNDED = {"half", "bfloat16"}


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_other_libraries_are_taken_everywhere(kind, dispatch):
    made = ARRAYS[kind]
    given, labels, weight = made(X), made(Y), made(WEIGHT)
    with config_context(array_api_dispatch=dispatch):
        clf = classifier().fit(given, labels, sample_weight=weight, X_val=given, y_val=labels)
        found, accuracy = clf.predict_proba(given), clf.score(given, labels, weight)
        again = classifier().partial_fit(given, labels, made(np.arange(3)), weight)
        again.partial_fit(given, labels)
        est = FFTransformer((8,), max_iter=2, supervised=True, random_state=0)
        features = est.fit_transform(given, labels)
        est.partial_fit(given, labels)
        est.score_samples(given)
        clf.decision_function(given)
    for array in (found, features, clf.predict(given), again.predict(given), clf.classes_):
        assert type(array) is np.ndarray
    assert isinstance(accuracy, float)
    if kind not in ROUNDED:
        reference = classifier().fit(X, Y, sample_weight=WEIGHT)
        np.testing.assert_allclose(
            found, reference.predict_proba(X), atol=1e-4 if kind == "float32" else 1e-12
        )


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
@pytest.mark.filterwarnings("ignore:Sparse C.. tensor support is in beta")
def test_sparse_tensors_are_taken_as_sparse_rows(layout):
    rows = np.where(X > 2, X, 0.0)
    tensor = getattr(torch.tensor(rows), layout)()
    clf = classifier().fit(tensor, Y)
    np.testing.assert_allclose(clf.predict_proba(tensor), clf.predict_proba(rows))


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_a_tensor_without_numbers_is_refused_by_name(name):
    given = {"X": X, "y": Y, "sample_weight": WEIGHT}
    given[name] = torch.empty(given[name].shape, device="meta")
    with pytest.raises(ValueError, match=f"{name} is a tensor without values"):
        classifier().fit(**given)


def test_own_rows_and_codes_can_require_gradients():
    rows = torch.tensor(-X, requires_grad=True)
    FFTransformer((8,), negatives=OwnRows(rows), max_iter=2, random_state=0).fit(X)
    with torch.inference_mode():
        code = torch.eye(3, 4) * 1
    for matrix in (torch.eye(3, 4, requires_grad=True), code):
        clf = classifier(overlay=Add(matrix)).fit(X, Y)
        assert clone(clf).fit(X, Y).score(X, Y) == clf.score(X, Y)
        pickle.dumps(clf)


def test_pipelines_are_scored_under_dispatch_and_without_gradients():
    model = make_pipeline(StandardScaler(), classifier())
    with torch.no_grad(), config_context(array_api_dispatch=True):
        scores = cross_val_score(model, X, Y, cv=2, error_score="raise")
    np.testing.assert_array_equal(scores, cross_val_score(model, X, Y, cv=2))
