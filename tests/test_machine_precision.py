"""Which precision "auto" comes to, and that low precision is for training alone."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sklearn_ff import FFClassifier, _plan
from sklearn_ff.layers import Affine, Block, Conv2d, Dense, LocallyConnected2d, Module
from sklearn_ff.layers import _images as images
from sklearn_ff.layers._norms import Grouped

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


IMAGES, DIGITS = rng.uniform(size=(300, 64)), rng.integers(0, 3, 300)
NETWORKS = {
    "batch": {"layers": [Conv2d(8, norm="batch", pool="max"), 10]},
    "plain": {"layers": [Conv2d(8, pool="max"), Conv2d(8)], "goodness": "class_groups"},
    "group": {"layers": [Conv2d(16, norm="group", pool="mean"), 10]},
    "last": {"layers": [Conv2d(8, norm="batch", norm_last=True), 10]},
    "labels": {"layers": [Conv2d(8, norm="batch"), Conv2d(8, norm="batch")], "overlay": "spatial"}
    | {"goodness": "mean_square"},
    "lengths": {"layers": [Conv2d(8, norm="batch"), 10], "input_normalization": "rms"},
    "block": {
        "layers": [
            Block([Conv2d(8, norm="batch"), LocallyConnected2d(4)]),
            Block([Conv2d(8, norm="batch"), Module(lambda shape: nn.Conv2d(shape[0], 4, 3))]),
            Block([Conv2d(4, norm="batch"), Conv2d(4)], residual=True),
            Block([Conv2d(8, norm="batch"), 10]),
        ]
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_convolutions_learn_alike_in_low_precision(name):
    low, single = (
        FFClassifier(
            **{"goodness": "readout", "precision": p} | NETWORKS[name],
            **{"image_shape": (1, 8, 8), "max_iter": 3, "random_state": 0},
        ).fit(IMAGES, DIGITS)
        for p in ("bfloat16", "float32")
    )
    np.testing.assert_allclose(low.loss_curve_, single.loss_curve_, rtol=0.02, atol=1e-3)
    weights = low.net_.module_.state_dict().values()
    assert not any(weight.dtype == torch.bfloat16 for weight in weights)


def watched(seen, function):
    """A function that remembers the types of numbers which it has seen while training."""

    def see(h):
        if torch.is_grad_enabled():
            seen.add(h.dtype)
        return function(h)

    return see


@pytest.mark.parametrize("norm", [None, "batch"])
def test_low_precision_reaches_the_pooling_of_a_convolution_but_not_its_scores(norm, monkeypatch):
    pooled, scored = set(), set()
    pool = watched(pooled, lambda h: F.max_pool2d(h, 2))
    monkeypatch.setitem(images.POOLS, "max", lambda h, size: pool(h))
    params = {"layers": [Conv2d(8, norm=norm, pool="max")] * 2, "image_shape": (1, 8, 8)}
    params |= {"precision": "bfloat16", "max_iter": 1}
    FFClassifier(**params, goodness="readout").fit(IMAGES, DIGITS)
    assert torch.bfloat16 in pooled
    goodness = watched(scored, lambda h: h.square().mean(-1))
    FFClassifier(**params, goodness=goodness, overlay="spatial").fit(IMAGES, DIGITS)
    assert scored == {torch.float32}


CONVOLUTIONS = {"image_shape": (1, 8, 8), "goodness": "readout", "precision": "bfloat16"}


@pytest.mark.parametrize("layer", [Conv2d(8), Block([Conv2d(8, norm="batch"), Conv2d(4)])])
def test_own_activations_of_convolutions_are_in_the_precision_of_their_weights(layer):
    seen, weights = set(), nn.PReLU()
    own = {"layers": [layer], "max_iter": 1} | CONVOLUTIONS
    FFClassifier(**own, activation=watched(seen, torch.relu)).fit(IMAGES, DIGITS)
    assert seen == {torch.float32}
    model = FFClassifier(**own, activation=weights).fit(IMAGES, DIGITS)
    learned = model.net_.module_.layers[0].activate.function.function.weight
    assert learned.dtype == torch.float32 and learned.item() != weights.weight.item()


class OwnAffine(Affine):
    def product(self, z, bias=None):
        return F.linear(z, self.weight, bias)


class OwnDense(Dense):
    def build(self, shape, n_label_inputs=0, low_precision=False, raw=False):
        n_inputs = int(np.prod(shape))
        return OwnAffine(n_inputs, self.n_units, n_inputs)


@pytest.mark.parametrize(
    "kinds",
    [
        [Conv2d(8), OwnDense(10)],
        [Conv2d(8), Block([OwnDense(10), 5])],
        [Block([Conv2d(8)]), OwnDense(10)],
    ],
    ids=range(3),
)
def test_own_layers_in_a_block_read_the_precision_of_their_weights(kinds):
    model = FFClassifier(layers=[Block(kinds)], max_iter=1, **CONVOLUTIONS).fit(IMAGES, DIGITS)
    assert np.isfinite(model.loss_curve_).all()


def test_groups_are_normalised_in_one_precision_where_no_processor_mixes_them():
    norm, a = Grouped(1, 4, device="meta"), torch.empty(2, 1, 36, device="meta")
    assert norm(a.bfloat16(), (4, 3, 3)).dtype == torch.float32
