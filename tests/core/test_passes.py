"""Layers whose parts state their gradients learn by these formulas as they do by autograd."""

import copy

import pytest
import torch
from devices import arrays
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils.parametrize import register_parametrization

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.activations import TorchActivation
from sklearn_ff.core import engine
from sklearn_ff.core.capture import has_hooks
from sklearn_ff.goodness import MeanSquare
from sklearn_ff.layers import Dense
from sklearn_ff.negatives import All, Uniform
from sklearn_ff.objectives import Softmax, Swish
from sklearn_ff.overlays import Append

X, y = (part[:120] for part in load_digits(return_X_y=True))
CASES = {
    "default": {},
    "all labels in all layers": {"overlay": "every_layer", "negatives": All()},
    "codes among the features": {"overlay": "add", "objective": Softmax(2.0)},
    "replaced columns": {"overlay": "replace", "objective": "symba", "goodness": "sum_square"},
    "strength and penalty": {"overlay": Append(2.5), "alpha": 1.0, "normalization": "layer_norm"},
    "greedy, with a head": {"schedule": "greedy", "prediction": "hybrid", "objective": "logistic"},
    "halves of bfloat16": {"precision": "bfloat16", "device": "cpu"},
}
ROWS = {"rows": {}, "labels": {"supervised": True}}


class Seen(Callback):
    """Notes whether layers learn by formulas."""

    found = set()  # of the class: the estimator trains with a copy of this callback

    def __init__(self, hook=False, change=lambda layer: None):
        self.hook, self.change = hook, change

    def on_train_begin(self, net, **kwargs):
        self.found.clear()

    def on_epoch_begin(self, net, **kwargs):
        self.change(net.module_.layers[1])
        if self.hook:
            net.module_.layers[1].goodness.register_full_backward_hook(lambda *given: None)

    def on_grad_computed(self, net, **kwargs):
        self.found |= {learns_by_formulas(layer) for layer in net.module_.layers}


def learns_by_formulas(layer):
    return getattr(layer, "formulas", False)


def fitted(kind=FFClassifier, **params):
    base = {"precision": "float64", "optimizer": "sgd", "batch_size": 50, "max_iter": 2}
    base |= {"layers": [9, 7, 5], "random_state": 0, "n_threads": 1}
    return kind(**base | params).fit(X, y)


def by_autograd(monkeypatch, *args, **params):
    with monkeypatch.context() as patch:
        patch.setattr(engine, "has_hooks", lambda network: True)
        return fitted(*args, **params)


def assert_same(model, other, rtol=1e-10):
    for name, value in arrays(other).items():
        torch.testing.assert_close(arrays(model)[name], value, rtol=rtol, atol=1e-12, msg=name)


@pytest.mark.parametrize("case", CASES)
def test_formulas_equal_autograd(case, monkeypatch):
    params = CASES[case]
    rtol = 1e-3 if "bfloat16" in case else 1e-10
    model = fitted(**params, callbacks=[Seen()])
    assert Seen.found == {True}
    assert_same(model, by_autograd(monkeypatch, **params), rtol)


@pytest.mark.parametrize("case", ROWS)
def test_features_are_learned_by_formulas_too(case, monkeypatch):
    model = fitted(FFTransformer, **ROWS[case], callbacks=[Seen()])
    assert True in Seen.found  # one above normalised rows
    assert_same(model, by_autograd(monkeypatch, FFTransformer, **ROWS[case]))


def test_formulas_add_up_over_the_parts_of_a_batch(monkeypatch):
    whole = fitted(negatives="hard")
    monkeypatch.setattr(engine, "CANDIDATE_BYTES", 20 * 5 * 2 * 9 * 8)
    assert_same(fitted(negatives="hard"), whole)


class Bent(Swish):
    def loss(self, scores, layer):
        return super().loss(scores, layer) + scores.square().sum(1)


class WithMean(MeanSquare):
    fades = True

    def score(self, h):
        return super().score(h) + 0.0


class Weighed(MeanSquare):
    """States the gradient of its score, but builds a module with weights."""

    fades = True
    gradient = MeanSquare.gradient

    def build(self, n_units, n_classes):
        return nn.Sequential(nn.Linear(n_units, 1), nn.Flatten(-2))


class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def loss(self, scores, layer):
        return Swish().loss(scores * self.scale, layer)


class Scaled(Swish):
    """States the slopes of its loss, but builds a module with weights."""

    with_slopes = Swish.with_slopes

    def build(self, layer):
        return Learned()


class Chosen(Uniform):
    def select(self, scores, layer, draws):
        return scores * 2


class Bounded(TorchActivation):
    function = property(lambda self: torch.tanh)


@pytest.mark.parametrize(
    "params",
    [
        {"objective": Bent()},
        {"objective": Scaled()},
        {"goodness": WithMean()},
        {"goodness": Weighed()},
        {"negatives": Chosen()},
        {"activation": Bounded()},
        {"dropout": 0.1},
        {"peer_normalization": 0.1},
        {"negatives": "by_goodness"},
        {"activation": "tanh"},
        {"layers": [Dense(9, norm="batch"), Dense(7, norm="batch")]},
        {"callbacks": [Seen(hook=True)]},
    ],
    ids=lambda params: " ".join(f"{k}={type(v).__name__}" for k, v in params.items()),
)
def test_anything_that_formulas_do_not_know_is_left_to_autograd(params):
    fitted(**{"callbacks": [Seen()]} | params)
    assert Seen.found == {False}


CHANGES = {
    "dropout": lambda layer: setattr(layer.activate, "dropout", 0.5),
    "activation": lambda layer: setattr(layer.activate, "overwriting", None),
    "peers": lambda layer: setattr(layer.peers, "rate", 0.1),
    "goodness": lambda layer: setattr(layer.goodness, "score", lambda h: h.square().sum(-1)),
    "objective": lambda layer: setattr(layer, "objective", copy.deepcopy(layer.objective)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_parts_that_a_callback_changes_are_left_to_autograd(change):
    fitted(callbacks=[Seen(change=change)])
    assert Seen.found == {False}


def test_nothing_is_left_of_formulas_after_a_fit():
    assert not any(map(learns_by_formulas, fitted().net_.module_.layers))


class Acting(Callback):
    """Calls a function of the net when a batch begins and when it ends."""

    def __init__(self, begin=lambda net: None, end=lambda net: None):
        self.begin, self.end = begin, end

    def on_batch_begin(self, net, **kwargs):
        self.begin(net)

    def on_batch_end(self, net, **kwargs):
        self.end(net)


def doubled(net):
    weight = net.module_.layers[1].affine.weight
    if not weight._backward_hooks:
        weight.register_hook(lambda gradient: 2 * gradient)


def without_bias(net):
    net.module_.layers[1].affine.bias.requires_grad_(False)


@pytest.mark.parametrize("change", [doubled, without_bias])
def test_what_a_callback_does_to_weights_within_an_epoch_counts_at_once(change, monkeypatch):
    params = {"callbacks": [Acting(change)], "max_iter": 1}
    assert_same(fitted(**params), by_autograd(monkeypatch, **params))


def test_callbacks_find_a_network_that_autograd_sees():
    found = []

    def look(net):
        x = torch.tensor(X[:2], device=net.device, requires_grad=True)
        found.extend(
            module(x).requires_grad for module in (net.module_, copy.deepcopy(net.module_))
        )

    fitted(callbacks=[Acting(end=look)], max_iter=1)
    assert found and all(found)


class Half(nn.Module):
    def forward(self, weight):
        return weight / 2


def test_parametrizations_and_hooks_of_all_modules_count_as_hooks():
    network = fitted(max_iter=1).net_.module_
    assert not has_hooks(network)
    handle = register_module_forward_hook(lambda *given: None)
    assert has_hooks(network)
    handle.remove()
    register_parametrization(network.layers[2].affine, "weight", Half())
    assert has_hooks(network)


class OneSlope(Swish):
    def with_slopes(self, scores, layer):
        loss, slopes = super().with_slopes(scores, layer)
        return loss, slopes[:, :1]


class Overwritten(MeanSquare):
    fades = True

    def gradient(self, h, slopes):
        return h.mul_(slopes[..., None])


@pytest.mark.parametrize(
    "params, message",
    [({"objective": OneSlope()}, "a slope per score"), ({"goodness": Overwritten()}, "overwrites")],
    ids=["slopes", "gradient"],
)
def test_stated_gradients_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        fitted(**params)


def test_an_activation_that_changes_its_function_learns_with_it():
    model = fitted(activation=Bounded(), max_iter=1)
    assert_same(model, fitted(activation="tanh", max_iter=1))
