"""Blocks of layers against torch written by hand: what they compute, share and learn."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from devices import array, put
from planned import planned
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Freezer
from torch.nn import functional as F

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.layers import Affine, Block, Conv2d, Dense, LocallyConnected2d, ending
from sklearn_ff.objectives import Softmax

X, Y = (part[:200] for part in load_digits(return_X_y=True))
RNG = np.random.default_rng(0)
Z = torch.tensor(RNG.normal(size=(4, 3, 60)))  # rows, candidates, numbers, which may be an image
IMAGE = (2, 6, 5)
GOODNESS = {"goodness": "readout"}


def made(kind, shape=(60,), raw=False):
    layer = kind.build(shape, raw=raw).double()
    layer.reset(torch.Generator().manual_seed(0))
    for layer_bias in (p for name, p in layer.named_parameters() if name.endswith("bias")):
        layer_bias.data.normal_(generator=torch.Generator().manual_seed(1))
    return layer


def model(cls=FFClassifier, **params):
    return cls(**{"max_iter": 4, "batch_size": 50, "random_state": 0} | params)


def turned(z, shape=IMAGE):
    """Rows that are stored channel by channel, pixel by pixel."""
    channels = shape[0]
    return z.reshape(*z.shape[:2], channels, -1).transpose(2, 3).reshape(z.shape)


def by_hand(layer, z, function, residual):
    """A block of dense layers, as a loop in torch."""
    h, inner = z, [*layer.inner]
    for number, affine in enumerate(inner):
        a = h @ affine.weight.T + affine.bias
        h = function(a + z if residual and number == len(inner) - 1 else a)
    return h


def by_hand_on_images(layer, images, residual):
    """A block of convolutions, as a loop in torch on (rows, channels, height, width)."""
    h, inner = images, [*layer.inner]
    for number, conv in enumerate(inner):
        a = F.conv2d(h, conv.weight, conv.bias, padding="same", groups=conv.kind.groups)
        h = torch.relu(a + images if residual and number == len(inner) - 1 else a)
    return h


def gradients(value, weights):
    return torch.autograd.grad(value.square().sum(), weights)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("kinds", [[60], [7, 60], [7, Dense(5), 60]], ids=len)
def test_a_dense_block_computes_and_learns_as_a_loop_in_torch(kinds, residual):
    layer, z = made(Block(kinds, residual=residual)), Z.clone().requires_grad_()
    found = layer.outputs(layer(z), torch.tanh)
    expected = by_hand(layer, z, torch.tanh, residual)
    torch.testing.assert_close(found, expected)
    weights = [z, *layer.parameters()]
    assert len(weights) == 1 + 2 * len(kinds)
    for one, other in zip(gradients(found, weights), gradients(expected, weights), strict=True):
        assert one.any()
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("raw", [True, False], ids=["rows of X", "between layers"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_block_of_convolutions_is_that_of_torch_in_both_orders_of_pixels(residual, raw, groups):
    kinds = [Conv2d(4, groups=groups), Conv2d(2, groups=groups)]
    layer = made(Block(kinds, residual=residual), IMAGE, raw)
    images = Z.reshape(12, *IMAGE).requires_grad_()
    rows = images.reshape(Z.shape)
    found = layer.outputs(layer(rows if raw else turned(rows)), torch.relu)
    expected = by_hand_on_images(layer, images, residual)
    torch.testing.assert_close(found, turned(expected.reshape(Z.shape)))
    weights = [images, *layer.parameters()]
    for one, other in zip(gradients(found, weights), gradients(expected, weights), strict=True):
        assert one.any()
        torch.testing.assert_close(one, other)


def test_a_block_that_pools_at_its_end_adds_before_activation_and_pooling():
    layer = made(Block([Conv2d(4), Conv2d(2, pool="max")], residual=True), IMAGE, raw=True)
    found = layer.outputs(layer(Z), torch.relu)
    expected = F.max_pool2d(by_hand_on_images(layer, Z.reshape(12, *IMAGE), True), 2)
    assert layer.shape == (2, 3, 2)
    torch.testing.assert_close(found, turned(expected.reshape(4, 3, -1)))


def test_a_dense_residual_block_does_not_depend_on_the_order_of_pixels():
    block = Block([7, 60], residual=True)
    as_image, as_row = made(block, IMAGE, raw=True), made(block)
    torch.testing.assert_close(
        as_image.outputs(as_image(Z), torch.tanh), as_row.outputs(as_row(Z), torch.tanh)
    )


def test_blocks_in_blocks_are_their_layers_in_turn():
    nested, even = made(Block([Block([7, 8]), Block([9])])), made(Block([7, 8, 9]))
    even.load_state_dict(dict(zip(even.state_dict(), nested.state_dict().values(), strict=True)))
    torch.testing.assert_close(
        nested.outputs(nested(Z), torch.tanh), even.outputs(even(Z), torch.tanh)
    )


def test_another_function_may_stand_at_the_end_of_a_block():
    layer = made(Block([7, Dense(60)], residual=True))
    inside = torch.tanh(Z @ layer.inner[0].weight.T + layer.inner[0].bias)
    expected = (inside @ layer.inner[1].weight.T + layer.inner[1].bias + Z).square()
    found = ending(layer, layer(Z), torch.tanh, torch.square)
    torch.testing.assert_close(found, expected)
    nested = made(Block([7, Block([8, 9])]))
    values = (
        nested.inner[1]
        .inner[1](torch.tanh(nested.inner[1](torch.tanh(nested.inner[0](Z)))))
        .square()
    )
    torch.testing.assert_close(ending(nested, nested(Z), torch.tanh, torch.square), values)


# Labels, which enter the first layer, whose product they share -------------------------------

CLASSES = 3
LABELS = torch.tensor([[0, 2, 1, 3]] * 5)  # 3 is the neutral label
DENSE = Block([7, 60], residual=True), Block([7, 8])
CONVOLUTIONS = Block([Conv2d(4), Conv2d(2)], residual=True), Block([Conv2d(4), 7])
OVERLAYS = [(name, kind) for name in ("append", "replace", "add", "every_layer") for kind in DENSE]
OVERLAYS += [
    (name, kind) for name in ("channel", "spatial", "add", "every_layer") for kind in CONVOLUTIONS
]


def encoded(net, x, labels):
    """encode(x, c) for every row and label, scaled with the label included, without sharing."""
    encoder, layer = net.encoder, net.layers[0]
    base = encoder.overlay.base(x, CLASSES)[:, None].expand(-1, labels.shape[1], -1)
    if encoder.code is not None:
        base = base + encoder.code[labels]
        square = base.square().sum(-1)
    else:
        one_hot = torch.cat([torch.eye(CLASSES), torch.full((1, CLASSES), 1 / CLASSES)]).to(x)
        own = encoder.strength * one_hot[labels]
        square = base.square().sum(-1) + own.square().sum(-1)
    factor = encoder.normalization.factor(square.unsqueeze(-1) / x.shape[1], x.shape[1])
    added = 0 if encoder.code is not None else layer.label(labels) * factor
    return base * factor, added


@pytest.mark.parametrize("normalization", [None, "rms"])
@pytest.mark.parametrize(("overlay", "kind"), OVERLAYS)
def test_a_block_shares_its_product_among_labels_exactly(overlay, kind, normalization):
    shape = {"image_shape": IMAGE} if kind.reads_images or overlay == "channel" else {}
    params = {"layers": [kind], "overlay": overlay, "input_normalization": normalization}
    rows = RNG.normal(size=(12, 60))
    net, _, plan = planned(model(**params, **shape, precision="float64"), rows, CLASSES)
    net.layers[0].affine.bias.data.normal_(generator=torch.Generator().manual_seed(1))
    x = net.scaler(torch.tensor(rows[:5]))
    ((layer, _, a, h),) = net.activations(net.encode(x), LABELS)
    z, added = encoded(net, x, LABELS)
    torch.testing.assert_close(a, layer.affine(z) + added)
    torch.testing.assert_close(h, layer.activate(layer.affine(z) + added))
    assert not torch.allclose(h[:, 0], h[:, 1]), "labels make a difference"
    assert h.shape == (5, 4, plan.units[0])


def test_no_gradient_leaves_a_block_and_inside_it_reaches_every_weight():
    kinds = [Block([9, 64], residual=True), Block([8, 7]), 6]
    net, _, _ = planned(model(layers=kinds), X, 10)
    x, labels = net.scaler(torch.tensor(X[:20])), torch.arange(40).view(20, 2) % 10
    for layer, _, _, h in net.activations(net.encode(x), labels):
        h.square().sum().backward()
        reached = {other.index for other in net.layers if any_gradient(other)}
        assert reached == {layer.index}
        assert all(weight.grad.any() for weight in layer.parameters())
        net.zero_grad(set_to_none=True)


def any_gradient(module):
    return any(weight.grad is not None for weight in module.parameters())


# One block with a readout is backpropagation -----------------------------------------------------

BACKPROPAGATION = {
    "goodness": "readout",
    "objective": Softmax(sharpness=1.0),
    "negatives": "all",
    "scaling": None,
    "alpha": 0.0,
    "shuffle": False,
    "learning_rate": "constant",
    "tol": None,
    "precision": "float64",
}
OPTIMIZERS = [
    ("adam", {}, 1e-3, torch.optim.Adam),
    ("sgd", {"momentum": 0.9}, 1e-2, torch.optim.SGD),
]


@pytest.mark.parametrize(("name", "options", "rate", "optimizer"), OPTIMIZERS)
@pytest.mark.parametrize("residual", [False, True])
def test_a_block_with_a_readout_learns_step_by_step_as_backpropagation(
    name, options, rate, optimizer, residual
):
    kind = Block([30, 64], residual=residual)
    params = {"optimizer": name, "optimizer_params": options, "learning_rate_init": rate}
    estimator = model(layers=[kind], **params, **BACKPROPAGATION, max_iter=5, device="cpu")
    rows = X / 16
    layer = planned(estimator, rows, 10)[0].layers[0]
    weights = [*layer.affine.parameters(), *layer.goodness.parameters()]
    own = optimizer(weights, lr=rate, **options)
    x, y = torch.tensor(rows), torch.tensor(Y)
    for _ in range(5):
        for part in torch.arange(len(x)).split(50):
            h = by_hand(layer.affine, x[part], torch.relu, residual)
            logits = h @ layer.goodness.score.weight.T + layer.goodness.score.bias
            own.zero_grad()
            F.cross_entropy(logits, y[part]).backward()
            own.step()
    learned = estimator.fit(rows, Y).net_.module_.layers[0]
    found = [*learned.affine.parameters(), *learned.goodness.parameters()]
    assert weights[0].detach().sub(made_again(estimator, rows)).abs().max() > 1e-3, "it has moved"
    for one, other in zip(found, weights, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def made_again(estimator, rows):
    """The first weights of a fit."""
    return next(planned(estimator, rows, 10)[0].layers[0].affine.parameters()).detach()


# In the estimators ----------------------------------------------------------------------------

STACKS = {
    "dense": ({"layers": [Block([40, 30]), Block([20, 30], residual=True)]}, 0.4),
    "readout": ({"layers": [Block([40, 30]), 20], **GOODNESS}, 0.5),
    "images": (
        {
            "layers": [Block([Conv2d(6), Conv2d(6, pool="max", norm="batch")]), Block([20])],
            "image_shape": (1, 8, 8),
            **GOODNESS,
        },
        0.6,
    ),
    "local": (
        {"layers": [Block([LocallyConnected2d(4), Conv2d(4)])], "image_shape": (1, 8, 8)}
        | GOODNESS,
        0.5,
    ),
}


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("how", [{}, {"schedule": "greedy"}, {"precision": "bfloat16"}])
def test_stacks_of_blocks_learn_and_survive_copies(name, how):
    params, level = STACKS[name]
    fitted = model(**params, **how, max_iter=8, learning_rate_init=1e-2).fit(X, Y)
    assert fitted.score(X, Y) > level
    probabilities = fitted.predict_proba(X)
    for again in (
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
        clone(fitted).fit(X, Y),
    ):
        np.testing.assert_array_equal(again.predict_proba(X), probabilities)
    first, other = (made_again(clone(fitted).set_params(random_state=i), X) for i in (0, 1))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", STACKS)
def test_blocks_learn_on_and_start_warm(name, tmp_path):
    params, _ = STACKS[name]
    part = model(**params).partial_fit(X, Y, classes=range(10))
    joblib.dump(part, tmp_path / "model")
    again = joblib.load(tmp_path / "model").partial_fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), part.partial_fit(X, Y).predict_proba(X))
    warm = model(**params, warm_start=True).fit(X, Y)
    first = warm.loss_curve_[0]
    assert warm.fit(X, Y).loss_curve_[0] < first
    assert np.isfinite(model(**params, early_stopping=True).fit(X, Y).loss_curve_).all()
    with pytest.raises(ValueError, match="hidden_layer_sizes or layers"):
        warm.set_params(layers=[Block([5, 6])]).fit(X, Y)


def test_small_tables_are_learned_in_double_precision():
    kinds = [Block([8, 7]), Block([7, 7], residual=True)]
    weights = model(layers=kinds).fit(X, Y).net_.module_.parameters()
    assert {weight.dtype for weight in weights} == {torch.float64}


def test_parameters_of_blocks_have_nested_names_and_a_search_finds_them():
    estimator = model(layers=[Block([9, 8]), Block([8], residual=True)], **GOODNESS)
    assert estimator.get_params()["layers__1__residual"] is True
    estimator.set_params(layers__0__kinds=[12, 8], layers__1__residual=False)
    assert repr(estimator.layers[0]) == "Block(kinds=[12, 8])"
    assert repr(clone(estimator).layers) == "[Block(kinds=[12, 8]), Block(kinds=[8])]"
    search = GridSearchCV(
        estimator,
        {"layers__0__kinds": [[4, 8], [8]], "layers": [[Block([9, 8]), 5]]},
        cv=2,
    ).fit(X, Y)
    assert len(search.cv_results_["params"]) == 2


@pytest.mark.parametrize("output", ["activations", "triangle"])
def test_features_and_familiarity_of_blocks(output):
    kinds = [Block([20, 64], residual=True), Block([9, 8])]
    fitted = model(FFTransformer, layers=kinds, output=output).fit(X)
    features = fitted.transform(X)
    assert features.shape == (200, 72) and np.isfinite(features).all()
    known, noise = fitted.score_samples(X), fitted.score_samples(RNG.permuted(X, axis=1))
    assert np.median(known) > np.median(noise)


def test_the_triangle_of_a_block_is_that_of_its_last_layer():
    fitted = model(FFTransformer, layers=[Block([20, 30])], output="triangle").fit(X)
    net = fitted.net_.module_
    layer = net.layers[0]
    a = net.encode(net.scaler(put(X[:9])))(None)
    a = layer.affine.inner[1](torch.relu(a)).squeeze(1)
    expected = torch.relu(a - a.mean(1, keepdim=True))
    expected = expected / expected.square().mean(1, keepdim=True).sqrt()
    np.testing.assert_allclose(fitted.transform(X[:9]), array(expected), rtol=1e-6, atol=1e-8)


def test_a_callback_freezes_whole_blocks_only():
    kinds = {"layers": [Block([9, 8]), 7], **GOODNESS, "device": "cpu"}
    fitted = model(**kinds, callbacks=[Freezer("layers.0.*")]).fit(X, Y)
    start = planned(model(**kinds), X, 10)[0].layers[0].affine.parameters()
    for one, other in zip(fitted.net_.module_.layers[0].affine.parameters(), start, strict=True):
        torch.testing.assert_close(one, other)
    with pytest.raises(ValueError, match="but not its"):
        model(**kinds, callbacks=[Freezer("layers.0.affine.inner.1.*")]).fit(X, Y)


REFUSED = [
    (Block([9, 8], residual=True), {}, "of shape 64, .* of shape 8; let both be alike"),
    (Block([]), {}, "has no layers; give a list"),
    (Block(20), {}, "has no layers; give a list"),
    (Block("dense"), {}, "has no layers; give a list"),
    (Block([20, "x"]), {}, "kinds of a Block='x' is not known"),
    (Block([20, 2.5]), {}, "kinds of a Block=2.5 is not known"),
    (Block([Dense]), {}, "pass an instance of it"),
    (Block([20, -3]), {}, "n_units must be a whole number"),
    (Block([Dense(3, learned=False), 4]), {}, "set learned=False for the whole block"),
    (Block([20, Block([9, 64])], residual=True), {}, "ends with a block"),
    (Block([9, 8], residual=None), {}, "residual must be True or False"),
    (Block([Conv2d(3), 20]), {}, "set image_shape"),
    (Block([20, Conv2d(3)]), {"image_shape": (1, 8, 8)}, "input is 20 numbers without an order"),
    (Block([9, 8]), {"peer_normalization": 0.1}, "has no such units"),
    (Block([Conv2d(3)]), {"image_shape": (1, 8, 8), "overlay": "append"}, "receptive fields"),
]


@pytest.mark.parametrize(("kind", "params", "words"), REFUSED)
def test_what_a_block_cannot_be_is_refused_in_one_sentence(kind, params, words):
    shown = {} if "overlay" in params else GOODNESS
    with pytest.raises(ValueError, match=words) as refusal:
        model(layers=[kind], **params, **shown).fit(X, Y)
    assert "\n" not in str(refusal.value)


class Bent(Dense):
    """A kind whose product is not linear."""

    def build(self, *args, **params):
        layer = super().build(*args, **params)
        product = layer.product
        layer.product = lambda z, bias=None: torch.relu(product(z, bias))
        return layer


BENT = [{"overlay": "append"}, {"overlay": "add"}, {**GOODNESS, "input_normalization": "rms"}]
BENT += [{"overlay": "every_layer", "input_normalization": "unit"}]


@pytest.mark.parametrize("params", BENT)
@pytest.mark.parametrize("kind", [Bent(20), Block([Bent(20), 9])], ids=["layer", "block"])
def test_a_product_that_is_not_linear_is_refused_where_it_is_shared(kind, params):
    with pytest.raises(ValueError, match="`product` is not linear"):
        model(layers=[kind], **params).fit(X, Y)
    assert model(layers=[kind], **GOODNESS).fit(X, Y).n_iter_ == 4


class Squashed(Affine):
    """A map whose result a gradient needs as it is."""

    def product(self, z, bias=None):
        return super().product(z, bias).tanh()


class Squash(Dense):
    def build(self, shape, n_label_inputs=0, low_precision=False, raw=False):
        n_inputs = int(np.prod(shape))
        return Squashed(n_inputs, self.n_units, n_inputs + n_label_inputs, low_precision)


def test_a_map_that_is_not_linear_learns_above_the_first_layer():
    assert model(layers=[20, Squash(30)], max_iter=20).fit(X, Y).score(X, Y) > 0.7
