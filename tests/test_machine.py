"""Devices, memory and threads that the machine does not have are refused by name."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier, FFMemoryError, FFTransformer

X, y = load_iris(return_X_y=True)


@pytest.mark.fault("H6")
@pytest.mark.parametrize("device", ["meta", "cuda:99", "mps:7", "", "gpu"])
def test_devices_that_cannot_compute_are_refused_by_name(device):
    with pytest.raises(ValueError, match=f"device='{device}' is not available"):
        FFClassifier((4,), max_iter=1, device=device).fit(X, y)


def classifier(**params):
    return FFClassifier(**{"max_iter": 30, "random_state": 0, **params})


@pytest.mark.fault("B10")
def test_a_network_that_cannot_fit_is_refused_before_it_is_built():
    rows = sparse.csr_array(sparse.eye_array(4, 200_000, dtype=np.float32))
    assert classifier(hidden_layer_sizes=2, max_iter=1).fit(rows, [0, 1, 0, 1]).n_iter_ == 1
    with pytest.raises(FFMemoryError, match="GiB"):
        classifier(hidden_layer_sizes=(10_000_000,)).fit(rows, [0, 1, 0, 1])


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, np.nan, "two", True])
def test_a_prediction_names_a_number_of_threads_that_cannot_be(n_threads):
    classifier_, transformer = (
        estimator(8, max_iter=2).fit(X, y).set_params(n_threads=n_threads)
        for estimator in (FFClassifier, FFTransformer)
    )
    for predict in (classifier_.predict, transformer.transform, transformer.score_samples):
        with pytest.raises(ValueError, match="n_threads"):
            predict(X)


BRIEF = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}


def told(cls, model, rows):
    return model.predict_proba(rows) if cls is FFClassifier else model.transform(rows)


@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
def test_a_device_may_be_an_object(cls):
    model = clone(cls(device=torch.device("cpu"), **BRIEF)).fit(X, y)
    np.testing.assert_array_equal(
        told(cls, model, X), told(cls, cls(device="cpu", **BRIEF).fit(X, y), X)
    )
    with pytest.raises(ValueError, match="device='meta' is not available"):
        cls(device=torch.device("meta"), **BRIEF).fit(X, y)
