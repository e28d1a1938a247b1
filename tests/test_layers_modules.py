"""Any torch module as a layer, and layers that do not learn."""

import copy
import functools
import pickle
import warnings

import cloudpickle
import numpy as np
import pytest
import torch
from planned import planned
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback
from torch import nn

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.layers import Block, Conv2d, Dense, LocallyConnected2d, Module
from sklearn_ff.predictions import Goodness

X, Y = (part[:200] for part in load_digits(return_X_y=True))
IMAGE = {"image_shape": (1, 8, 8)}
GOODNESS = {"goodness": "readout"}
FAST = {"max_iter": 8, "learning_rate_init": 1e-2}  # learns much in little time


def linear(shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 24))


def lazy(shape):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(24))


def dropping(shape):
    return nn.Sequential(linear(shape), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 16))


def normalizing(shape):
    return nn.Sequential(linear(shape), nn.BatchNorm1d(24, momentum=0.5))


def convolving(shape):
    return nn.Conv2d(shape[0], 5, 3, padding=1)


class Tokens(nn.Module):
    """Attention among the lines of an image."""

    def __init__(self, batch_first=True):
        super().__init__()
        self.embed = nn.Linear(8, 12)
        self.mix = nn.TransformerEncoderLayer(12, 2, 16, dropout=0.1, batch_first=batch_first)

    def forward(self, z):
        return self.mix(self.embed(z.reshape(len(z), 8, 8)))


def attending(shape):
    return Tokens()


def half_fixed(shape):
    """As of a network that was trained before, whose first weights stay."""
    made = nn.Sequential(nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 20))
    made[0].requires_grad_(False)
    return made


def flattening(shape):
    return nn.Flatten()


FACTORIES = [linear, lazy, dropping, normalizing, attending, half_fixed]


def model(cls=FFClassifier, **params):
    return cls(**{"max_iter": 4, "batch_size": 50, "random_state": 0} | params)


def weights(fitted, index=0):
    return fitted.net_.module_.layers[index].affine.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("params", [GOODNESS, {"overlay": "add"}], ids=["readout", "add"])
def test_a_module_computes_and_learns_inside_of_its_layer(factory, params):
    net, _, _ = planned(model(layers=[Module(factory), 9], **params), X, 10)
    x, labels = net.scaler(torch.tensor(X[:20])), torch.arange(40).view(20, 2) % 10
    layer = net.eval().layers[0]
    shown = net.encode(x)
    _, _, a, h = next(net.activations(shown, labels))
    z = shown.base if params is GOODNESS else shown.base + net.encoder.code[labels]
    rows = z.reshape(-1, 64)
    torch.testing.assert_close(a, z + torch.zeros_like(a))
    expected = torch.relu(layer.affine.module(rows)).reshape(*a.shape[:2], -1)
    torch.testing.assert_close(h, expected)
    h.square().sum().backward()
    learning = [p for p in layer.affine.parameters() if p.requires_grad]
    assert learning and all(p.grad is not None for p in learning)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("where", ["first", "second", "block"])
def test_modules_learn_and_survive_copies_and_other_generators(factory, where):
    kind = Module(factory)
    layers = {"first": [kind, 12], "second": [64, kind], "block": [Block([64, kind])]}[where]
    fitted = model(layers=layers, **GOODNESS, **FAST).fit(X, Y)
    assert fitted.score(X, Y) > 0.5
    probabilities, state = fitted.predict_proba(X), torch.get_rng_state()
    for again in (
        pickle.loads(pickle.dumps(fitted)),
        cloudpickle.loads(cloudpickle.dumps(fitted)),
        copy.deepcopy(fitted),
    ):
        np.testing.assert_array_equal(again.predict_proba(X), probabilities)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(7)
    state = torch.get_rng_state()
    again = clone(fitted).fit(X, Y)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(again.predict_proba(X), probabilities)


@pytest.mark.parametrize("factory", FACTORIES)
def test_modules_learn_on_start_warm_and_stop_early(factory):
    part = model(layers=[Module(factory)], **GOODNESS).partial_fit(X, Y, classes=range(10))
    again = pickle.loads(pickle.dumps(part)).partial_fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), part.partial_fit(X, Y).predict_proba(X))
    warm = model(layers=[Module(factory)], **GOODNESS, warm_start=True).fit(X, Y)
    first = warm.loss_curve_[0]
    assert warm.fit(X, Y).loss_curve_[0] < first
    early = model(layers=[Module(factory)], **GOODNESS, early_stopping=True).fit(X, Y)
    assert len(early.validation_scores_) == early.n_iter_


@pytest.mark.parametrize(
    ("factory", "shape", "n_features"),
    [(linear, (24,), 24), (attending, (8, 12), 96), (convolving, (5, 8, 8), 320)],
)
def test_outputs_of_any_shape_become_features(factory, shape, n_features):
    layers = [Module(factory), 7]
    fitted = model(FFTransformer, layers=layers, **(IMAGE if factory is convolving else {})).fit(X)
    assert fitted.net_.module_.layers[0].affine.shape == shape
    assert fitted.transform(X).shape == (200, n_features + 7)
    assert np.isfinite(fitted.score_samples(X)).all()
    triangle = clone(fitted).set_params(output="triangle").fit(X).transform(X)
    assert triangle.shape == (200, n_features + 7) and (triangle >= 0).all()


def test_images_pass_from_modules_to_convolutions_and_back():
    layers = [Module(convolving), Conv2d(4), Module(convolving), 20]
    net, _, _ = planned(model(layers=layers, **IMAGE, **GOODNESS), X, 10)
    x, neutral = net.eval().scaler(torch.tensor(X[:3])), torch.full((3, 1), 10)
    first, second, third, _ = (layer.affine for layer in net.layers)
    images, found = x.reshape(3, 1, 8, 8), list(net.activations(net.encode(x), neutral))
    for (_, _, _, h), map_of in zip(found, (first, second, third), strict=False):
        if map_of is second:
            images = nn.functional.conv2d(images, map_of.weight, map_of.bias, padding=1)
        else:
            images = map_of.module(images)
        images = torch.relu(images)
        flat = images.permute(0, 2, 3, 1).reshape(3, 1, -1)
        torch.testing.assert_close(h, flat)
        length = flat.square().mean(-1).sqrt().reshape(3, 1, 1, 1)
        images = images / length


def test_first_weights_are_those_of_the_factory_from_the_generator_of_the_fit():
    def ones(shape):
        made = nn.Linear(64, 5)
        nn.init.constant_(made.weight, 0.25)
        return made

    def first(factory, seed):
        return planned(model(layers=[Module(factory)], random_state=seed, **GOODNESS), X, 10)[0]

    assert (first(ones, 0).layers[0].affine.module.weight == 0.25).all()
    drawn = [first(linear, seed).layers[0].affine.module[1].weight for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    bound = 64**-0.5
    assert 0.98 * bound < drawn[0].abs().max() <= bound, "as torch's linear layers start"
    two = planned(model(layers=[Module(linear)] * 2, **GOODNESS), X, 10)[0].layers
    assert not torch.equal(two[0].affine.module[1].bias, two[1].affine.module[1].bias)


def test_fixed_weights_of_a_module_stay_and_the_others_learn():
    estimator = model(layers=[Module(half_fixed)], **GOODNESS, device="cpu")
    start = planned(estimator, X, 10)[0].layers[0].affine.module.double()
    for fitted in (
        clone(estimator).fit(X, Y),
        clone(estimator).partial_fit(X, Y, classes=range(10)).partial_fit(X, Y),
    ):
        module = fitted.net_.module_.layers[0].affine.module
        torch.testing.assert_close(module[0].weight, start[0].weight)
        assert not torch.allclose(module[2].weight, start[2].weight)


class Statistics(Callback):
    """Notes the running mean of the first layer's module after every epoch."""

    def __init__(self):
        self.means = []

    def on_epoch_end(self, net, **kwargs):
        module = net.module_.layers[0].affine.module
        self.means.append(module[1].running_mean.clone())


def test_running_statistics_move_while_their_layer_learns_and_at_no_other_time():
    stages = [(0, 2), (1, 2), ("head", 2)]
    callback = Statistics()
    params = {"layers": [Module(normalizing), 12], "overlay": "add", "prediction": "hybrid"}
    fitted = model(**params, schedule=stages, max_iter="auto", callbacks=[callback]).fit(X, Y)
    means = callback.means
    assert len(means) == 6
    assert not torch.equal(means[0], means[1])
    assert all(torch.equal(means[1], later) for later in means[2:])
    before = copy.deepcopy(weights(fitted))
    fitted.predict_proba(X), fitted.transform(X)
    assert same(before, weights(fitted))
    alone = [fitted.predict_proba(X[i : i + 1])[0] for i in range(5)]
    np.testing.assert_allclose(alone, fitted.predict_proba(X[:5]), rtol=1e-6)


def test_running_statistics_of_a_random_module_do_not_move():
    fitted = model(layers=[Module(normalizing, learned=False), 12], **GOODNESS).fit(X, Y)
    assert not weights(fitted)["module.1.running_mean"].any()
    assert weights(fitted)["module.1.num_batches_tracked"] == 0


class Boom(Callback):
    def on_batch_end(self, net, **kwargs):
        torch.rand(3)
        raise KeyError("boom")


def test_an_error_in_a_fit_leaves_the_global_generator_as_it_was():
    state = torch.get_rng_state()
    with pytest.raises(KeyError, match="boom"):
        model(layers=[Module(dropping)], **GOODNESS, callbacks=[Boom()]).fit(X, Y)
    with pytest.raises(ValueError, match="makes no module"):
        model(layers=[Module(failing)], **GOODNESS).fit(X, Y)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("factory", FACTORIES)
def test_modules_have_the_precision_of_the_network(factory, precision):
    fitted = model(layers=[Module(factory)], **GOODNESS, **FAST, precision=precision)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert fitted.fit(X, Y).score(X, Y) > 0.4
    dtype = torch.float64 if precision == "float64" else torch.float32
    assert {p.dtype for p in fitted.net_.module_.parameters()} == {dtype}
    small = planned(model(layers=[Module(factory)], **GOODNESS), X, 10)[0]
    assert {p.dtype for p in small.parameters()} == {torch.float64}, "small tables"


@pytest.mark.slow
def test_functions_without_a_name_are_searched_and_cross_validated_but_have_no_pickle():
    grid = [[Module(lambda shape, k=k: nn.Linear(shape[0], k))] for k in (3, 9)]
    estimator = model(layers=grid[0], **GOODNESS)
    search = GridSearchCV(estimator, {"layers": grid}, cv=2, n_jobs=2).fit(X, Y)
    assert len(search.cv_results_["params"]) == 2
    given = model(layers=[Module(functools.partial(nn.Linear, out_features=7))], **GOODNESS)
    with pytest.raises(ValueError, match="makes no module"):
        given.fit(X, Y)  # nn.Linear takes a number, not a shape
    later = cloudpickle.loads(cloudpickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(later.predict(X), search.predict(X))
    assert cross_val_score(estimator, X, Y, cv=2).shape == (2,)


def test_a_module_has_parameters_and_a_brief_repr():
    estimator = model(layers=[20, Module(linear)])
    assert estimator.get_params()["layers__1__factory"] is linear
    estimator.set_params(layers__1__factory=lazy, layers__1__learned=False)
    assert estimator.layers[1].factory is lazy and not estimator.layers[1].learned
    assert repr(estimator.layers[1]).startswith("Module(factory=<function lazy")
    assert "\n" not in repr(estimator.layers[1])


def a_tuple(shape):
    return nn.LSTM(64, 4)


class Sum(nn.Module):
    def __init__(self, *dims):
        super().__init__()
        self.dims = dims

    def forward(self, z):
        return z.sum(*self.dims)


class Nothing(nn.Module):
    def forward(self, z):
        return z[:, :0]


class Centered(nn.Module):
    def forward(self, z):
        return z - z.mean(0)


def failing(shape):
    raise KeyError("nothing there")


ONE = nn.Linear(64, 7)
REFUSED = [
    (Module(nn.Linear(64, 5)), GOODNESS, "takes a function that makes the module"),
    (Module(3), GOODNESS, "takes a function that makes the module"),
    (Module(nn.Linear), GOODNESS, "makes no module for inputs of shape"),
    (Module(failing), GOODNESS, "makes no module .*nothing there"),
    (Module(lambda shape: None), GOODNESS, "makes a NoneType; let it return a torch module"),
    (Module(lambda: nn.Flatten()), GOODNESS, "makes no module"),
    (Module(a_tuple), GOODNESS, "returns tuple for 2 rows"),
    (Module(lambda shape: Sum()), GOODNESS, r"returns shape \(\) for 2 rows"),
    (Module(lambda shape: Sum(1)), GOODNESS, r"returns shape \(2,\) for 2 rows"),
    (Module(lambda shape: Sum(0)), GOODNESS, r"returns shape \(64,\) for 2 rows"),
    (Module(lambda shape: Nothing()), GOODNESS, r"returns shape \(2, 0\) for 2 rows"),
    (Module(lambda shape: Tokens(batch_first=False)), GOODNESS, "batch_first=True"),
    (
        Module(lambda shape: nn.Sequential(Tokens(False), nn.Flatten(), nn.BatchNorm1d(96))),
        GOODNESS,
        "batch_first=True",
    ),
    (Module(lambda shape: Centered()), GOODNESS, "where other rows stand beside it"),
    (Module(lambda shape: ONE), GOODNESS, "returns the same weights in every call"),
    (Module(lambda shape: nn.Sequential(ONE)), GOODNESS, "returns the same weights in every call"),
    (Module(linear), {"overlay": "append"}, "has no place for them"),
    (Module(linear), {"overlay": "replace"}, "has no place for them"),
    (Module(linear), {"overlay": "every_layer"}, "has no place for them"),
    (Module(linear), {"peer_normalization": 0.1, **GOODNESS}, "has no such units"),
    (Module(flattening), {"overlay": "add"}, "no weights that could learn; set its learned=False"),
    (
        Module(lambda shape: nn.Linear(64, 9).requires_grad_(False)),
        {"overlay": "add"},
        "no weights that could learn",
    ),
    (Module(normalizing), {"batch_size": 1, **GOODNESS}, "a batch holds 1 sample"),
    (Block([Module(linear), Conv2d(3)]), {**IMAGE, **GOODNESS}, "24 numbers without an order"),
    (Module(linear, learned=None), GOODNESS, "learned must be True or False"),
    (nn.Linear(64, 5), GOODNESS, "is not known; layers must be one of"),
    ("module", GOODNESS, "is not known; layers must be one of"),
]


@pytest.mark.parametrize(("kind", "params", "words"), REFUSED)
def test_what_a_module_cannot_be_is_refused_in_one_sentence(kind, params, words):
    with pytest.raises(ValueError, match=words) as refusal:
        model(layers=[kind], **params).fit(X, Y)
    assert "\n" not in str(refusal.value)


class Halving(nn.Linear):
    """One that may overwrite its input, which others read."""

    in_place = False

    def forward(self, x):
        return super().forward(x.mul_(0.5) if self.in_place else x * 0.5)


class Overwriting(Halving):
    in_place = True


@pytest.mark.parametrize(
    ("place", "params"),
    [
        (lambda kind: [kind, 20], {"goodness": "readout", "prediction": "head"}),
        (lambda kind: [kind, kind], {"overlay": "add", "negatives": "hard"}),
        (lambda kind: [Block([30, 64]), Block([64, kind], residual=True)], {}),
    ],
    ids=["first", "every", "in a block"],
)
def test_a_module_may_overwrite_its_input(place, params):
    rows = X.copy()
    fits = [
        model(layers=place(Module(lambda shape, cls=cls: cls(shape[0], 64))), **params)
        for cls in (Halving, Overwriting)
    ]
    plain, overwriting = (fit.fit(rows, Y).predict_proba(rows) for fit in fits)
    np.testing.assert_array_equal(plain, overwriting)
    np.testing.assert_array_equal(rows, X)


def test_the_layer_after_a_module_must_fit_its_output():
    with pytest.raises(ValueError, match="Conv2d reads images, but its input is 24 numbers"):
        model(layers=[Module(linear), Conv2d(3)], **IMAGE, **GOODNESS).fit(X, Y)


def test_a_module_without_weights_is_a_layer_where_the_goodness_has_weights():
    assert model(layers=[Module(flattening)], **GOODNESS, max_iter=30).fit(X, Y).score(X, Y) > 0.8
    fixed = Module(flattening, learned=False)
    assert model(layers=[fixed, 30], overlay="add", max_iter=30).fit(X, Y).score(X, Y) > 0.3


# Layers that do not learn -------------------------------------------------------------------------

RANDOM = [
    Dense(40, learned=False),
    Block([40, 30], learned=False),
    Module(linear, learned=False),
    Conv2d(6, learned=False),
    LocallyConnected2d(3, learned=False),
]


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("how", [{}, {"schedule": "greedy"}, {"schedule": [(0, 2), (1, 9)]}])
def test_a_random_layer_keeps_its_first_weights_and_does_not_count(kind, how):
    params = {**how, "max_iter": "auto"} if isinstance(how.get("schedule"), list) else how
    params = params | GOODNESS | (IMAGE if kind.reads_images else {})
    estimator = model(layers=[kind, 20], **{"max_iter": 10} | params, device="cpu")
    start = planned(estimator, X, 10)[0].layers
    fitted = estimator.fit(X, Y)
    assert same(start[0].affine.state_dict(), weights(fitted))
    assert not same(start[1].affine.state_dict(), weights(fitted, 1))
    assert fitted._fitted.plan.counted == (1,)
    assert fitted.score(X, Y) > 0.4


@pytest.mark.parametrize("kind", RANDOM)
def test_random_features_with_a_head_are_a_classifier(kind):
    params = dict(IMAGE) if kind.reads_images else {}
    params |= {"prediction": "head", "max_iter": 30, "device": "cpu"}
    estimator = model(layers=[kind, kind], **params, **GOODNESS)
    start = planned(estimator, X, 10)[0].layers
    fitted = estimator.fit(X, Y)
    assert fitted.score(X, Y) > 0.8
    assert fitted._fitted.plan.counted == (0, 1)
    assert all(same(layer.affine.state_dict(), weights(fitted, i)) for i, layer in enumerate(start))
    online = clone(estimator).partial_fit(X, Y, classes=range(10)).partial_fit(X, Y)
    assert same(start[0].affine.state_dict(), weights(online)) and online.score(X, Y) > 0.3


@pytest.mark.parametrize("rule", ["goodness", "last", "softmax_sum", "hybrid", Goodness([0])])
def test_goodness_that_has_not_learned_is_not_asked_by_a_rule_that_is_set_later(rule):
    fitted = model(layers=[Dense(20, learned=False), 9], prediction="head").fit(X, Y)
    fitted.set_params(prediction=rule)
    for ask in (lambda: fitted.predict(X), lambda: fitted.net_):
        with pytest.raises(ValueError, match=r"asks for the goodness of layers \[0\], which have"):
            ask()
    alone = fitted.set_params(prediction=Goodness([1])).predict(X)
    np.testing.assert_array_equal(alone, fitted.layer_scores(X)[:, 1].argmax(1))


@pytest.mark.parametrize("places", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("schedule", ["simultaneous", "greedy", "partial_fit"])
def test_random_layers_may_stand_anywhere(places, schedule):
    kinds = [Dense(20, learned=index not in places) for index in range(3)]
    if schedule == "partial_fit":
        fitted = model(layers=kinds).partial_fit(X, Y, classes=range(10)).partial_fit(X, Y)
    else:
        fitted = model(layers=kinds, schedule=schedule, max_iter=20).fit(X, Y)
        assert fitted.score(X, Y) > 0.3
    assert fitted._fitted.plan.counted == tuple({0, 1, 2} - {*places})
    assert fitted.net_.module_.depth == 3
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


FIXED = [Dense(20, learned=False), Dense(20, learned=False)]
UNLEARNED = [
    (FFClassifier, {"layers": FIXED}, "No layer learns, since all of layers="),
    (FFClassifier, {"layers": FIXED, "prediction": "hybrid"}, "layers .* have learned=False"),
    (FFClassifier, {"layers": [9, FIXED[0]], "prediction_layers": [0, 1]}, "have learned=False"),
    (FFClassifier, {"layers": [FIXED[0], 9], "schedule": [(0, 3)]}, "since those of schedule"),
    (
        FFClassifier,
        {"layers": [*FIXED, 9], "schedule": [(0, 3), ("head", 1)], "prediction": "head"},
        "never teaches layers",
    ),
    (FFTransformer, {"layers": FIXED}, "No layer learns"),
]


@pytest.mark.parametrize(("cls", "params", "words"), UNLEARNED)
def test_goodness_that_has_not_learned_is_not_asked(cls, params, words):
    params = {**params, "max_iter": "auto"} if "schedule" in params else params
    with pytest.raises(ValueError, match=words) as refusal:
        model(cls, **params).fit(X, Y)
    assert "\n" not in str(refusal.value)


def test_random_layers_of_a_transformer_are_features_unless_left_out():
    fitted = model(FFTransformer, layers=[Dense(20, learned=False), 9]).fit(X)
    assert fitted.transform(X).shape == (200, 29)
    assert model(FFTransformer, layers=fitted.layers, output_layers=[1]).fit(X).transform(
        X
    ).shape == (200, 9)


@pytest.mark.parametrize("groups", [2, 4])
def test_channels_in_groups_read_channels_of_their_group_alone(groups):
    kind = Conv2d(8, groups=groups)
    layer = kind.build((4, 6, 5), raw=True).double()
    layer.reset(torch.Generator().manual_seed(0))
    images = torch.randn(3, 4, 6, 5, dtype=torch.float64)
    found = layer(images.reshape(3, 1, -1)).reshape(3, 30, 8).transpose(1, 2).reshape(3, 8, 6, 5)
    n = 4 // groups
    for group in range(groups):
        weight = layer.weight[group * 8 // groups : (group + 1) * 8 // groups]
        seen = images[:, group * n : (group + 1) * n]
        expected = nn.functional.conv2d(seen, weight, padding=1)
        torch.testing.assert_close(
            found[:, group * 8 // groups : (group + 1) * 8 // groups], expected
        )
    assert layer.fan_in == 9 * n
    assert abs(layer.weight.var() * layer.fan_in - 1) < 0.4


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([Conv2d(4, groups=2)], "1 channels of its input .* leaves a rest"),
        ([Conv2d(4), Conv2d(9, groups=2)], "9 of its own into 2 groups"),
        ([Conv2d(4, groups=0)], "groups must be a whole number"),
    ],
)
def test_groups_that_leave_a_rest_are_refused(layers, words):
    with pytest.raises(ValueError, match=words):
        model(layers=layers, **IMAGE, **GOODNESS).fit(X, Y)


def test_a_network_with_groups_learns_and_may_not_change_them_in_a_warm_start():
    layers = [Conv2d(6), Conv2d(8, groups=2, pool="max")]
    fitted = model(layers=layers, **IMAGE, **GOODNESS, max_iter=20, warm_start=True).fit(X, Y)
    assert fitted.score(X, Y) > 0.6
    with pytest.raises(ValueError, match="hidden_layer_sizes or layers"):
        fitted.set_params(layers__1__groups=1).fit(X, Y)
