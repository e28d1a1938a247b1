"""Layers whose parts state their gradients learn by these formulas as they do by autograd."""

import pytest
import torch
from devices import arrays
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.core import engine
from sklearn_ff.goodness import MeanSquare
from sklearn_ff.layers import Dense
from sklearn_ff.negatives import All
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

    def __init__(self, hook=False):
        self.hook = hook

    def on_train_begin(self, net, **kwargs):
        self.found.clear()

    def on_epoch_begin(self, net, **kwargs):
        if self.hook:
            net.module_.layers[1].goodness.register_full_backward_hook(lambda *given: None)

    def on_batch_end(self, net, **kwargs):
        self.found |= {layer.formulas for layer in net.module_.layers}


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


@pytest.mark.parametrize(
    "params",
    [
        {"objective": Bent()},
        {"goodness": WithMean()},
        {"dropout": 0.1},
        {"peer_normalization": 0.1},
        {"negatives": "by_goodness"},
        {"activation": "tanh"},
        {"layers": [Dense(9, norm="batch"), Dense(7, norm="batch")]},
        {"callbacks": [Seen(hook=True)]},
    ],
    ids=lambda params: next(iter(params)),
)
def test_anything_that_formulas_do_not_know_is_left_to_autograd(params):
    fitted(**{"callbacks": [Seen()]} | params)
    assert Seen.found == {False}


def test_nothing_is_left_of_formulas_after_a_fit():
    assert not any(layer.formulas for layer in fitted().net_.module_.layers)
