"""Which precision "auto" comes to, and that low precision is for training alone."""

import numpy as np
import pytest
import torch

from sklearn_ff import FFClassifier, _plan

rng = np.random.default_rng(0)
X, y = rng.uniform(size=(300, 250)), rng.integers(0, 3, 300)


def fitted(X=X, **params):
    params = {"hidden_layer_sizes": (400,), "max_iter": 1, "random_state": 0} | params
    return FFClassifier(**params).fit(X, y[: len(X)])


@pytest.mark.parametrize(
    "params, able, expected",
    [
        ({}, True, "bfloat16"),
        ({}, False, "float32"),
        ({"scaling": "standard"}, True, "float32"),
        ({"hidden_layer_sizes": (399,)}, True, "float32"),
        ({"X": X[:256]}, True, "float64"),
        ({"precision": "float32"}, True, "float32"),
    ],
)
def test_auto_precision(monkeypatch, params, able, expected):
    monkeypatch.setattr(_plan, "multiplies_bfloat16", lambda device: able)
    assert fitted(**params).precision_ == expected


@pytest.mark.parametrize(
    "instructions, faster",
    [
        ({}, False),
        ({"avx2": True}, False),
        ({"avx512_f": True, "avx512_bf16": True}, False),
        ({"avx512_bf16": True, "amx_bf16": True}, True),
        ({"bf16": True}, True),
    ],
)
def test_instructions_of_the_processor_decide(monkeypatch, instructions, faster):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)
    assert _plan.multiplies_bfloat16("cpu") is faster


def test_low_precision_does_not_reach_prediction():
    model = fitted(precision="bfloat16")
    together, alone = model.decision_function(X), model.decision_function(X[7:8])
    np.testing.assert_allclose(together[7:8], alone, rtol=1e-4, atol=1e-4)
    double = FFClassifier(**model.get_params() | {"precision": "float64"}).fit(X, y)
    double.net_.module_.load_state_dict(model.net_.module_.state_dict())
    double.scale_, double.slips_ = model.scale_, model.slips_
    np.testing.assert_allclose(together, double.decision_function(X), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "params, weight",
    [
        ({"early_stopping": True, "validation_fraction": 0.2}, None),
        ({}, np.repeat([0.0, 1.0], 150)),
        ({"class_weight": {0: 1, 1: 1, 2: 0}}, None),
        ({"prediction": "head", "negatives": "pair_sum"}, np.repeat([0.0, 1.0], 150)),
    ],
)
def test_rows_that_become_few_on_the_way_are_in_double_precision(params, weight):
    """300 rows are read in single precision, but no more than 256 are left to learn from."""
    model = FFClassifier((20,), max_iter=1, random_state=0, **params)
    assert model.fit(X, y, sample_weight=weight).precision_ == "float64"
    assert np.isfinite(model.decision_function(X)).all()
