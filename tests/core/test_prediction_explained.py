"""Gradient explainers of captum and shap on networks that are called on raw rows."""

import warnings

import numpy as np
import pytest
import torch
from devices import put

from .networks import DIGITS, fitted

ROWS, MEAN = put(DIGITS[:4]), put(DIGITS).mean(0, keepdim=True)
NAMES = ["dense", "conv", "head", "hybrid", "readout"]


def module_of(name):
    return fitted(name).net_.module_


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saliency(name, dtype):
    attr = pytest.importorskip("captum.attr")
    module, rows = module_of(name), ROWS.to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum tells that it asks for gradients
        found = attr.Saliency(module).attribute(rows, target=module(rows).argmax(1))
    assert found.shape == rows.shape and torch.isfinite(found).all()
    assert found.sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_integrated_gradients_are_complete(name):
    attr = pytest.importorskip("captum.attr")
    module = module_of(name)
    target = module(ROWS).argmax(1)
    # A short way, on which the labels of a shortlist stay the same.
    start = ROWS + 0.05 * (MEAN - ROWS) if name == "hybrid" else MEAN
    found = attr.IntegratedGradients(module).attribute(
        ROWS, start, target=target, n_steps=400, internal_batch_size=200
    )
    assert found.shape == ROWS.shape and torch.isfinite(found).all()
    ends = [module(rows).expand(4, -1).gather(1, target[:, None])[:, 0] for rows in (ROWS, start)]
    change = (ends[0] - ends[1]).detach()
    assert change.abs().max() > 1e-3
    torch.testing.assert_close(found.sum(1), change, rtol=0.05, atol=0.01)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_shap(name):
    shap = pytest.importorskip("shap")
    module, background = module_of(name), put(DIGITS[:50]).float()
    found = shap.GradientExplainer(module, background).shap_values(
        ROWS.float(), nsamples=20, rseed=0
    )
    assert np.shape(found) == (4, 64, 10)
    assert np.isfinite(found).all() and np.abs(found).max() > 0
