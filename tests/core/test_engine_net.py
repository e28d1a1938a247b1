"""The methods of a skorch net, on the net of a fitted estimator."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from devices import array
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_iris
from skorch.exceptions import NotInitializedError

from .networks import DIGIT, DIGITS, classifier, fitted, quietly, transformer

WAYS = {
    "fitted": lambda net: net,
    "pickled": lambda net: pickle.loads(pickle.dumps(net)),
    "copied": copy.deepcopy,
    "cloned": lambda net: clone(net).initialize(),
}
ROWS = {
    "float64": DIGITS,
    "float32": DIGITS.astype(np.float32),
    "uint8": DIGITS.astype(np.uint8),
    "list": DIGITS.tolist(),
    "tensor": torch.from_numpy(DIGITS),
    "sparse": csr_matrix(DIGITS),
    "backwards": DIGITS[::-1, ::-1].copy()[::-1, ::-1],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["dense", "conv", "head", "hybrid", "module"])
def test_a_net_predicts_as_its_estimator(name, way):
    model = fitted(name)
    net, p = WAYS[way](model.net_), model.predict_proba(DIGITS)
    np.testing.assert_allclose(net.predict_proba(DIGITS), p, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(net.predict(DIGITS), p.argmax(1))
    np.testing.assert_allclose(net.forward(DIGITS).exp(), p, rtol=0, atol=1e-6)
    np.testing.assert_allclose(array(net.infer(DIGITS).exp()), p, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ROWS)
def test_a_net_takes_rows_of_any_kind(kind):
    p = fitted("dense").predict_proba(DIGITS)
    np.testing.assert_allclose(fitted("dense").net_.predict_proba(ROWS[kind]), p, atol=3e-5)


def test_a_net_takes_rows_that_may_not_be_written():
    X = DIGITS.copy()
    X.flags.writeable = False
    assert fitted("dense").net_.predict(X).shape == (300,)


@pytest.mark.parametrize("n", [0, 1, 257])
def test_a_net_takes_any_number_of_rows(n):
    assert fitted("conv").net_.predict_proba(DIGITS[:n]).shape == (n, 10)


def test_labels_are_indices_of_classes():
    X, y = load_iris(return_X_y=True)
    model = quietly(classifier(max_iter=10), X, np.array(["c", "a", "b"])[y])
    np.testing.assert_array_equal(model.classes_[model.net_.predict(X)], model.predict(X))


def test_a_net_follows_its_estimator():
    model = copy.deepcopy(fitted("hybrid")).set_params(prediction="head")
    p = model.predict_proba(DIGITS)
    np.testing.assert_allclose(model.net_.predict_proba(DIGITS), p, rtol=0, atol=1e-6)


def test_forward_has_gradients_in_training_alone():
    net = fitted("dense").net_
    assert not net.forward(DIGITS[:5]).requires_grad
    assert net.forward(DIGITS[:5], training=True).requires_grad
    parts = list(net.forward_iter(DIGITS))
    assert sum(map(len, parts)) == 300 and len(parts) > 1
    np.testing.assert_array_equal(torch.cat(parts), net.forward(DIGITS))


def test_the_net_of_a_transformer_returns_features():
    model = quietly(transformer(), DIGITS, DIGIT)
    np.testing.assert_allclose(model.net_.forward(DIGITS), model.transform(DIGITS), atol=1e-5)
    for method in (model.net_.predict, model.net_.predict_proba):
        with pytest.raises(NotImplementedError, match="features, not classes; call transform"):
            method(DIGITS)


@pytest.mark.parametrize("way", [*WAYS, "bare clone"])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_what_a_net_cannot_do_names_the_method_of_the_estimator(way, method):
    net = clone(fitted("dense").net_) if way == "bare clone" else WAYS[way](fitted("dense").net_)
    with pytest.raises(NotImplementedError, match=f"call {method} of the estimator") as refused:
        getattr(net, method)(DIGITS, DIGIT)
    assert re.fullmatch(r"This net [^.]*\.", str(refused.value))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "forward"])
def test_a_clone_must_be_initialised(method):
    with pytest.raises(NotInitializedError, match="initialize"):
        getattr(clone(fitted("dense").net_), method)(DIGITS)


@pytest.mark.parametrize("way", WAYS)
def test_weights_are_saved_and_loaded(way, tmp_path):
    net = WAYS[way](fitted("conv").net_)
    p = net.predict_proba(DIGITS)
    net.save_params(f_params=tmp_path / "weights.pt", f_history=tmp_path / "history.json")
    other = copy.deepcopy(net)
    with torch.no_grad():
        for weights in other.module_.parameters():
            weights.zero_()
    assert abs(other.predict_proba(DIGITS) - p).max() > 0.01
    other.load_params(f_params=tmp_path / "weights.pt", f_history=tmp_path / "history.json")
    np.testing.assert_array_equal(other.predict_proba(DIGITS), p)
