"""Kinds of layers against NumPy and loops, and stacks of them in the estimators."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sklearn_ff import FFClassifier, FFTransformer, _compatibility
from sklearn_ff.augmentations import Augmentation
from sklearn_ff.core import engine
from sklearn_ff.goodness import ClassGroups, Patches, Readout
from sklearn_ff.layers import (
    Affine,
    Conv2d,
    Dense,
    ImageLayer,
    LayerKind,
    LocallyConnected2d,
    PositiveBatchNorm,
    drawn_uniform,
)
from sklearn_ff.overlays import Channel

pytestmark = pytest.mark.filterwarnings("ignore:image_shape=.* has no effect")


def test_dense_matches_reference():
    z = np.random.default_rng(3).normal(size=(5, 2, 6))
    dense = Affine(6, 4, fan_in=6).double()
    dense.reset(torch.Generator().manual_seed(0))
    expected = np.einsum("rcj,uj->rcu", z, dense.weight.detach().numpy())
    np.testing.assert_allclose(dense(torch.tensor(z)).detach(), expected, rtol=1e-12, atol=1e-12)
    assert dense.n_units == 4
    assert [name for name, _ in dense.named_parameters()] == ["weight", "bias"]


def test_dense_starts_with_variance_one_over_fan_in_from_its_generator():
    first, second = Affine(300, 400, fan_in=500), Affine(300, 400, fan_in=500)
    state = torch.get_rng_state()
    for dense in (first, second):
        dense.reset(torch.Generator().manual_seed(7))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(state, torch.get_rng_state())
    w = first.weight.detach().double()
    assert abs(w.mean()) < 5 * 500**-0.5 / 120_000**0.5
    assert abs(w.var() * 500 - 1) < 5 * (2 / 120_000) ** 0.5


def test_uniform_weights_start_within_one_over_root_fan_in_and_fill_the_range():
    dense = Affine(300, 400, fan_in=500)
    dense.reset(torch.Generator().manual_seed(7), drawn_uniform)
    w = dense.weight.detach().double()
    assert 0.999 * 500**-0.5 < w.max() <= 500**-0.5 and -(500**-0.5) <= w.min() < -0.999 * 500**-0.5
    assert abs(w.mean()) < 5 * (3 * 500 * 120_000) ** -0.5
    assert abs(w.var() * 3 * 500 - 1) < 5 * (0.8 / 120_000) ** 0.5


@pytest.mark.parametrize("kind", [partial(k, 4) for k in (Dense, Conv2d, LocallyConnected2d)])
def test_weight_init_draws_weights_labels_and_biases_of_every_kind_of_layer(kind):
    X, y = np.random.default_rng(0).normal(size=(12, 36)), np.arange(12) % 3
    settings = dict(image_shape=(1, 6, 6), overlay="channel", max_iter=1)
    settings |= dict(learning_rate_init=1e-12, input_normalization=None, random_state=0)
    for init, n_zero in (("normal", 2), ("uniform", 0)):
        kinds = [kind(weight_init=init), Dense(5, weight_init=init)]
        layers = FFClassifier(layers=kinds, **settings).fit(X, y).net_.module_.layers
        bounds = [layer.affine.fan_in**-0.5 + 1e-9 for layer in layers]
        largest = [layer.affine.weight.abs().max() for layer in layers]
        assert all(w <= b for w, b in zip(largest, bounds, strict=True)) == (init == "uniform")
        assert all(layer.label.weight.any() for layer in layers if layer.label is not None)
        assert sum(bool((layer.affine.bias.abs() < 1e-9).all()) for layer in layers) == n_zero


def test_dense_in_low_precision_is_close_and_keeps_the_type():
    dense, low = Affine(64, 8, 64), Affine(64, 8, 64, low_precision=True)
    dense.reset(torch.Generator().manual_seed(0))
    low.load_state_dict(dense.state_dict())
    z = torch.randn(10, 64, generator=torch.Generator().manual_seed(1))
    out = low(z)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, dense(z), rtol=0.05, atol=0.05)
    out.sum().backward()
    assert low.weight.grad.dtype == torch.float32


IMAGES = np.random.default_rng(5).normal(size=(4, 3, 2 * 6 * 5))  # rows, candidates, flat images


def affine_of(kind, shape=(2, 6, 5), raw=True):
    made = kind.build(shape, raw=raw).double()
    made.reset(torch.Generator().manual_seed(0))
    return made


def patches(kind, shape=(2, 6, 5)):
    """Every patch that a kernel sees, (rows, candidates, height, width, inputs), in loops."""
    pad, k, s = kind.pad(), kind.kernel_size, kind.stride
    images = np.pad(IMAGES.reshape(4, 3, *shape), [(0, 0)] * 3 + [(pad, pad)] * 2)
    height, width = kind.maps(shape)[0][1:]
    cut = [
        [images[..., i * s : i * s + k, j * s : j * s + k].reshape(4, 3, -1) for j in range(width)]
        for i in range(height)
    ]
    return np.moveaxis(np.array(cut), (0, 1), (2, 3))


GEOMETRIES = [{}, {"kernel_size": 2, "padding": 1}, {"kernel_size": 3, "stride": 2, "padding": 0}]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_convolution_matches_loops_over_patches(geometry):
    kind = Conv2d(4, **geometry)
    made = affine_of(kind)
    W, b = made.weight.detach().numpy().reshape(4, -1), np.arange(4.0)
    expected = (patches(kind) @ W.T + b).reshape(4, 3, -1)
    a = made.product(torch.tensor(IMAGES), torch.tensor(b)).detach()
    np.testing.assert_allclose(a, expected, rtol=1e-10, atol=1e-12)
    assert a.shape[-1] == made.n_units and made.n_biases == 4
    np.testing.assert_allclose(
        made.product(torch.tensor(IMAGES)).detach() + made.expand(torch.tensor(b)),
        expected,
        atol=1e-12,
    )


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_locally_connected_layer_has_a_kernel_for_every_place(geometry):
    kind = LocallyConnected2d(4, **geometry)
    made = affine_of(kind)
    cut = patches(kind).reshape(4, 3, made.weight.shape[0], -1)
    expected = np.einsum("rcpi,pio->rcpo", cut, made.weight.detach().numpy()).reshape(4, 3, -1)
    bias = np.arange(float(made.n_units))
    a = made.product(torch.tensor(IMAGES), torch.tensor(bias)).detach()
    np.testing.assert_allclose(a, expected + bias, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cls", [Conv2d, LocallyConnected2d])
def test_images_lie_pixel_by_pixel_between_layers(cls):
    raw, between = affine_of(cls(4)), affine_of(cls(4), raw=False)
    turned = IMAGES.reshape(4, 3, 2, 30).swapaxes(2, 3).reshape(4, 3, -1)
    torch.testing.assert_close(raw(torch.tensor(IMAGES)), between(torch.tensor(turned)))


def test_channels_are_grouped_by_class():
    h = np.random.default_rng(0).random((3, 1, 30 * 12))
    found = ClassGroups().build_for((12, 6, 5), 4).double()(torch.tensor(h))
    expected = (h.reshape(3, 1, 30, 4, 3) ** 2).mean((2, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def root_mean_square(h, axis):
    return np.sqrt(np.mean(h**2, axis))


@pytest.mark.parametrize(
    "pool, reduce", [("max", np.max), ("mean", np.mean), ("rms", root_mean_square)]
)
def test_pooling_follows_the_activation_and_drops_what_is_left_over(pool, reduce):
    made = affine_of(Conv2d(4, pool=pool, pool_size=2))
    a = made(torch.tensor(IMAGES)).detach()
    h = np.maximum(a.numpy(), 0).reshape(4, 3, 6, 5, 4)[..., :4, :].reshape(4, 3, 3, 2, 2, 2, 4)
    found = made.outputs(a, torch.relu)
    np.testing.assert_allclose(found, reduce(h, axis=(3, 5)).reshape(4, 3, -1), atol=2e-6)
    assert made.shape == (4, 3, 2) and made.n_outputs == 24


def test_batch_normalisation_takes_its_statistics_from_the_positive_candidates():
    norm, maps = PositiveBatchNorm(2).double(), (2, 6, 5)
    a = torch.tensor(3 * IMAGES + 1)
    out = norm(a, maps).detach().numpy().reshape(4, 3, -1, 2)
    places = a.numpy().reshape(4, 3, -1, 2)
    mean, var = places[:, 0].mean((0, 1)), places[:, 0].var((0, 1))
    expected = (places - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-12)
    alone = PositiveBatchNorm(2).double()
    np.testing.assert_allclose(
        alone(a[:, :1], maps).detach().reshape(4, -1, 2), expected[:, 0], rtol=1e-10, atol=1e-12
    )
    torch.testing.assert_close(alone.running_mean, norm.running_mean)
    torch.testing.assert_close(alone.running_var, norm.running_var)


def test_batch_normalisation_outside_learning_uses_and_keeps_its_running_averages():
    norm, a = PositiveBatchNorm(2).double(), torch.tensor(3 * IMAGES + 1)
    with torch.no_grad():
        first = norm(a, (2, 6, 5))
    torch.testing.assert_close(first, a / (1 + 1e-5) ** 0.5)
    assert not norm.running_mean.any()
    torch.testing.assert_close(norm.eval()(a, (2, 6, 5)), first)


def test_normalisation_may_stand_at_the_end():
    made = affine_of(Conv2d(4, norm="batch", norm_last=True, pool="rms"))
    pooled = affine_of(Conv2d(4, pool="rms"))
    a = made(torch.tensor(IMAGES))
    h = pooled.outputs(a, torch.relu).detach().reshape(4, 3, -1, 4)
    mean, var = h[:, 0].mean((0, 1)), h[:, 0].var((0, 1), correction=0)
    found = made.outputs(a, torch.relu)
    expected = (h - mean) / (var + 1e-5).sqrt()
    torch.testing.assert_close(found, expected.reshape(found.shape))
    silent = torch.zeros(1, 1, 120, dtype=torch.float64, requires_grad=True)
    pooled.outputs(silent, torch.relu).sum().backward()
    assert not silent.grad.any()


@pytest.mark.parametrize("n_candidates", [1, 3])
def test_a_dense_layer_is_normalised_unit_by_unit(n_candidates):
    made = Dense(5, norm="batch").build((2, 6, 5)).double()
    made.reset(torch.Generator().manual_seed(0))
    a = made(torch.tensor(IMAGES[:, :n_candidates]))
    mean, var = a[:, 0].mean(0), a[:, 0].var(0, correction=0)
    found = made.outputs(a, torch.tanh)
    torch.testing.assert_close(found, torch.tanh((a - mean) / (var + 1e-5).sqrt()))
    torch.testing.assert_close(made.norm.running_mean.data, 0.1 * mean.data)
    learned = made.eval().outputs(a, torch.tanh)
    assert not torch.allclose(learned, found) and made.whole_batches


@pytest.mark.parametrize(
    "cls, expected", [(Conv2d, torch.bfloat16), (LocallyConnected2d, torch.float32)]
)
def test_low_precision_of_images_is_close_and_for_training_only(cls, expected):
    low = cls(4).build((2, 6, 5), low_precision=True)
    low.reset(torch.Generator().manual_seed(0))
    z = torch.tensor(IMAGES, dtype=torch.float32)
    rough, exact = low(z), low.eval()(z)
    assert rough.dtype == expected and not torch.equal(rough.float(), exact)
    torch.testing.assert_close(rough.float(), exact, rtol=0.05, atol=0.05)


X, Y = (part[:400] for part in load_digits(return_X_y=True))
STACKS = {
    "pooled": [Conv2d(8, pool="max"), Conv2d(12, norm="batch"), Dense(20, norm="batch")],
    "local": [LocallyConnected2d(6, stride=2), Dense(20)],
    "grouped": [Conv2d(8, norm="group", pool="mean"), Conv2d(12)],
}
METHODS = {
    "readout": {"goodness": "readout"},
    "class_groups": {"goodness": "class_groups"},
    "channel": {"overlay": "channel", "negatives": "all"},
    "every_layer": {"overlay": "every_layer", "prediction": "hybrid"},
    "spatial": {"overlay": "spatial", "prediction": "head"},
}


def images(cls=FFClassifier, **params):
    given = {"image_shape": (1, 8, 8), "max_iter": 6, "batch_size": 40, "random_state": 0}
    return cls(**given | params)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("method", METHODS)
def test_stacks_of_layers_learn_digits_and_survive_a_pickle(stack, method):
    fast = {"max_iter": 6, "learning_rate_init": 1e-2}
    fitted = images(layers=STACKS[stack], **METHODS[method], **fast).fit(X[:250], Y[:250])
    assert fitted.score(X, Y) > 0.3, "a guess is right in one row of ten"
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_allclose(fitted.predict_proba(X[:3]), fitted.predict_proba(X)[:3], atol=1e-5)


@pytest.mark.parametrize("method", ["readout", "channel"])
def test_greedy_and_partial_fit_and_warm_start_of_convolutions(method):
    params = {"layers": STACKS["pooled"], **METHODS[method]}
    assert images(**params, schedule="greedy").fit(X, Y).score(X, Y) > 0.3
    warm = images(**params, warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="hidden_layer_sizes or layers"):
        warm.set_params(layers=STACKS["grouped"]).fit(X, Y)
    assert images(**params).partial_fit(X, Y, classes=range(10)).n_iter_ == 1


def test_patches_are_read_by_their_goodness():
    fitted = images(layers=STACKS["grouped"], goodness=Readout(patch=2), max_iter=20).fit(X, Y)
    assert fitted.score(X, Y) > 0.5
    h = torch.rand(3, 1, 2 * 5 * 4)
    read = Patches((2, 5, 4), 2, torch.nn.Identity())(h)
    squares = h.square().reshape(3, 1, 5, 4, 2)[:, :, :4].reshape(3, 1, 2, 2, 2, 2, 2)
    torch.testing.assert_close(read, squares.mean((3, 5)).reshape(3, 1, -1))
    means = Patches((2, 5, 4), 2, torch.nn.Identity(), squared=False)(h)
    maps = h.reshape(3, 1, 5, 4, 2)[:, :, :4].reshape(3, 1, 2, 2, 2, 2, 2)
    torch.testing.assert_close(means, maps.mean((3, 5)).reshape(3, 1, -1))


def test_a_fixed_readout_of_patches_is_drawn_and_learned_from():
    goodness = Readout(patch=4, learned=False)
    params = {"layers": [Conv2d(8)], "goodness": goodness, "max_iter": 20}
    fitted = images(**params, objective="softmax").fit(X, Y)
    assert fitted.net_.module_.layers[0].goodness.score.readout.weight.abs().sum() > 0
    assert fitted.loss_curve_[-1] < 0.95 * fitted.loss_curve_[0]


def test_a_readout_that_has_not_learned_yet_is_not_called_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images(layers=[Conv2d(8)], goodness="readout").partial_fit(X[:50], Y[:50], np.unique(Y))


def test_a_one_hot_code_in_front_of_small_receptive_fields_is_refused():
    def corner(n_features, n_classes):
        return np.eye(n_classes, n_features)

    with pytest.raises(ValueError, match="most receptive fields"):
        images(layers=[Conv2d(8)], overlay=corner).fit(X, Y)
    images(layers=[Conv2d(8)], overlay="add", max_iter=1).fit(X, Y)


@pytest.mark.parametrize("output", ["activations", "triangle"])
def test_features_of_a_convolution(output):
    fitted = images(FFTransformer, layers=STACKS["pooled"], output=output).fit(X)
    assert fitted.transform(X).shape == (400, 8 * 4 * 4 + 12 * 4 * 4 + 20)
    assert np.isfinite(fitted.score_samples(X)).all()


def test_batch_normalisation_sees_whole_batches_however_little_memory_there_is(monkeypatch):
    params = {"layers": [Conv2d(12, norm="batch")], "goodness": "readout"}
    whole = images(**params).fit(X, Y).loss_curve_
    monkeypatch.setattr(engine, "CANDIDATE_BYTES", 2**16)
    assert images(**params).fit(X, Y).loss_curve_ == whole


def test_layers_are_cloned_and_searched():
    search = GridSearchCV(
        images(goodness="readout", max_iter=2), {"layers": [[Conv2d(4)], [20]]}, cv=2
    ).fit(X, Y)
    assert len(search.cv_results_["params"]) == 2


def test_nested_names_reach_into_layers():
    model = images(layers=[Conv2d(4), 20])
    model.set_params(layers__0__n_channels=6, layers__1=10)
    assert model.layers[0].n_channels == 6 and model.layers[1] == 10
    assert model.get_params()["layers__0__n_channels"] == 6
    with pytest.raises(ValueError, match="layers, a list of 2"):
        model.set_params(layers__2__n_channels=6)


def test_images_that_are_not_flat_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"3 dimensions, .* X\.reshape\(len\(X\), -1\)"):
        images(layers=[Conv2d(4)]).fit(X.reshape(-1, 8, 8), Y)


def test_label_inputs_count_among_those_a_weight_competes_with():
    settings = {"image_shape": (1, 6, 6), "overlay": "channel", "max_iter": 1, "random_state": 0}
    for kind, inputs in ((Dense(4), 36), (Conv2d(4), 9), (LocallyConnected2d(4), 9)):
        model = FFClassifier(layers=[kind], **settings).fit(X[:30, :36], np.arange(30) % 3)
        assert model.net_.module_.layers[0].affine.fan_in == inputs + 3


@pytest.mark.parametrize("learned", [True, False])
def test_the_memory_estimate_includes_the_weights_of_labels(monkeypatch, learned):
    counted = []
    monkeypatch.setattr(_compatibility, "check_memory", lambda weights, *_: counted.append(weights))
    params = {"layers": [Conv2d(4)], "overlay": Channel(learned), "negatives": "uniform"}
    network = images(**params, max_iter=1).fit(X, Y).net_.module_
    assert counted == [sum(p.numel() for p in network.parameters())]


def test_layers_in_an_array_are_reached_by_nested_names():
    model = FFClassifier(layers=np.array([5, 6])).set_params(layers__1=7)
    assert [*model.layers] == [5, 7] and model.get_params()["layers__0"] == 5


@pytest.mark.parametrize(
    "change", [{"pool": "mean"}, {"n_channels": 8}, {"padding": 0}, {"norm": "group"}]
)
def test_changing_a_kind_does_not_change_a_fitted_estimator(change):
    params = {"layers": [Conv2d(6, pool="max"), 12], "goodness": "readout", "max_iter": 1}
    model = images(**params).partial_fit(X, Y, classes=np.unique(Y))
    before = model.decision_function(X)
    model.set_params(**{f"layers__0__{name}": value for name, value in change.items()})
    np.testing.assert_array_equal(model.decision_function(X), before)
    again = pickle.loads(pickle.dumps(model)).decision_function(X)
    np.testing.assert_array_equal(again, before)
    with pytest.raises(ValueError, match="hidden_layer_sizes or layers"):
        model.partial_fit(X, Y)


def test_channels_that_seem_to_come_last_are_warned_of():
    with pytest.warns(UserWarning, match=r"8 channels of 8 x 1 pixels; .* give \(1, 8, 8\)"):
        images(layers=[4], image_shape=(8, 8, 1), max_iter=1).fit(X, Y)


def test_the_shape_of_images_may_be_an_array():
    listed = images(layers=[Conv2d(4)], goodness="readout", max_iter=1).fit(X, Y)
    array = clone(listed).set_params(image_shape=np.array(listed.image_shape)).fit(X, Y)
    np.testing.assert_array_equal(listed.decision_function(X), array.decision_function(X))


@pytest.mark.parametrize(
    "params, message",
    [
        ({"layers": [LayerKind()]}, "LayerKind() is the base class of such parts"),
        ({"layers": [ImageLayer()]}, "ImageLayer() is the base class of such parts"),
        ({"layers": [20], "augmentation": Augmentation()}, "the base class of such parts"),
        ({"layers": [Conv2d(4)], "overlay": Channel(learned="no")}, "True or False"),
        ({"layers": [Conv2d(4)], "image_shape": None}, "set image_shape"),
        ({"layers": [20, Conv2d(4)]}, "put dense layers last"),
        ({"layers": [Conv2d(4, kernel_size=20, padding=0)]}, "leaves no pixel"),
        ({"layers": [Conv2d(4, pool="sum")]}, "one of [None, 'max', 'mean', 'rms']"),
        ({"layers": [Conv2d(0)]}, "n_channels must be a whole number of at least 1"),
        ({"layers": [Conv2d(4, padding="valid")]}, "padding must be"),
        ({"layers": [Conv2d]}, "is a class; pass an instance"),
        ({"layers": []}, "empty list"),
        ({"layers": [Conv2d(4)], "goodness": [1]}, "goodness"),
        ({"layers": [Conv2d(4, norm="batch")], "batch_size": 1}, "a batch holds 1 sample"),
        ({"layers": [Dense(4, norm="batch")], "batch_size": 1}, "a normalization, without it"),
        ({"layers": [Dense(4, norm="group")]}, "one of [None, 'batch']"),
        ({"layers": [Dense(4, norm="batch")], "peer_normalization": 0.03}, "use dense layers"),
        ({"layers": [Conv2d(4, kernel_size=2)]}, "an odd kernel_size"),
        ({"layers": [Conv2d(4, padding=3)]}, "padding below kernel_size"),
        ({"layers": [Conv2d(4)], "peer_normalization": 0.03}, "use dense layers"),
        ({"layers": [20], "goodness": Readout(patch=2)}, "a smaller patch, or None"),
        ({"layers": [Conv2d(4)], "goodness": Readout(normalized="no")}, "True or False"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError) as error:
        images(**{"goodness": "readout"} | params).fit(X, Y)
    assert message in str(error.value)
