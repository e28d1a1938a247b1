"""Copies and pickles of what was fitted, and what they do not hold."""

import copy
import importlib
import pickle

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
import torch
from devices import arrays as weights
from sklearn.datasets import load_digits, load_iris

from sklearn_ff import FFClassifier, VersionWarning, __version__

X, y = load_iris(return_X_y=True)
DIGITS, DIGIT = load_digits(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


def same_weights(a, b):
    return all(np.array_equal(v, weights(b)[k]) for k, v in weights(a).items())


def through_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


def through_memory_map(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib", mmap_mode="r")


WAYS = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "cloudpickle": lambda model, _: pickle.loads(cloudpickle.dumps(model)),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "joblib": through_joblib,
    "memory map": through_memory_map,
}


@pytest.mark.fault("G1")
@pytest.mark.parametrize("way", WAYS)
def test_copies_predict_to_the_bit(way, tmp_path):
    fitted = classifier(max_iter=2, prediction="hybrid").fit(DIGITS, DIGIT)
    again = WAYS[way](fitted, tmp_path)
    np.testing.assert_array_equal(again.predict_proba(DIGITS), fitted.predict_proba(DIGITS))


@pytest.mark.fault("G2")
@pytest.mark.parametrize("params", [{}, {"goodness": ["mean_square", "top_k"], "dropout": 0.1}])
def test_skops_needs_no_type_beyond_public_classes(params):
    fitted = classifier(max_iter=2, hidden_layer_sizes=[4, 4], **params)
    fitted.partial_fit(X, y.astype(str).astype(object), classes=["0", "1", "2"])
    data = skops.io.dumps(fitted)
    types = skops.io.get_untrusted_types(data=data)
    for name in types:
        module, _, name = name.rpartition(".")
        assert module == "sklearn_ff._classifier" or name in importlib.import_module(module).__all__
    again = skops.io.loads(data, trusted=types)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.fault("G7")
@pytest.mark.parametrize("fitted", [False, True])
def test_a_snapshot_of_another_version_warns_and_names_both(fitted, monkeypatch):
    model = classifier(max_iter=2).fit(X, y) if fitted else classifier()
    monkeypatch.setattr("sklearn_ff._base.__version__", "0.0.9")
    old = pickle.dumps(model)
    monkeypatch.undo()
    with pytest.warns(VersionWarning, match=rf"sklearn_ff 0\.0\.9.*{__version__}"):
        pickle.loads(old)


@pytest.mark.fault("G1")
def test_a_pickle_holds_the_weights_and_little_else():
    fitted = classifier(max_iter=2, hidden_layer_sizes=(500, 500)).fit(DIGITS, DIGIT)
    size = sum(value.nbytes for value in weights(fitted).values())
    assert len(pickle.dumps(fitted)) < 1.2 * size
    assert b"_rebuild_tensor" not in pickle.dumps(fitted)


@pytest.mark.fault("G1")
def test_partial_fit_goes_on_after_a_pickle_as_without():
    fitted = classifier(dropout=0.1).partial_fit(DIGITS, DIGIT, classes=range(10))
    again = pickle.loads(pickle.dumps(fitted))
    assert same_weights(fitted.partial_fit(DIGITS, DIGIT), again.partial_fit(DIGITS, DIGIT))


@pytest.mark.fault("G9")
def test_no_training_row_is_kept():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(500, 7))
    fitted = classifier(max_iter=2, early_stopping=True).fit(A, (A[:, 0] > 0).astype(int))
    held = [v for v in reachable(fitted) if v.ndim and len(v) >= 40 and 7 in v.shape]
    assert all(v.shape == (256, 7) for v in held)


def reachable(thing, seen=None):
    """Every array and tensor that can be reached from an object."""
    seen = {} if seen is None else seen
    if id(thing) in seen or isinstance(thing, (str, bytes, int, float, type)):
        return []
    seen[id(thing)] = thing
    if isinstance(thing, (np.ndarray, torch.Tensor)):
        return [thing]
    inner = list(thing.values()) if isinstance(thing, dict) else []
    inner += list(thing) if isinstance(thing, (list, tuple, set)) else []
    inner += list(getattr(thing, "__dict__", {}).values())
    return [found for part in inner for found in reachable(part, seen)]


@pytest.mark.fault("G1")
def test_a_pickle_does_not_depend_on_later_parameters():
    fitted = classifier().fit(X, y)
    before = fitted.predict_proba(X)
    fitted.set_params(learning_rate_init=[0.1, 0.2, 0.3], optimizer="bogus")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), before)
