"""Callbacks that freeze: whole layers, by epochs; a part of one, or the head, is refused."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from devices import arrays as weights
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback, Freezer, ParamMapper, Unfreezer
from skorch.utils import freeze_parameter, unfreeze_parameter

from sklearn_ff import FFClassifier

X, y = load_iris(return_X_y=True)


def classifier(*callbacks, **params):
    defaults = {"max_iter": 4, "batch_size": 64, "random_state": 0, "n_threads": 1}
    return FFClassifier((8, 6), **{**defaults, **params}, callbacks=list(callbacks))


PARTS = [
    ("layers.*.affine.*", "weight, bias of layer 1, but not its label.weight"),
    ("layers.1.affine.weight", "weight of layer 2, but not its bias"),
    ("layers.*.bias", "the bias of layer 1"),
    ("layers.0.label.*", "label.weight of layer 1, but not its weight, bias"),
    ("*weight", "weight, label.weight of layer 1"),
    ("head.bias", "bias of the softmax head, but not its weight"),
    ("head.*", "softmax head"),
]


@pytest.mark.parametrize("pattern, named", PARTS)
@pytest.mark.parametrize("params", [{}, {"schedule": "greedy"}])
def test_a_part_of_a_layer_or_the_head_is_not_frozen_alone(pattern, named, params):
    model = classifier(Freezer(pattern), negatives="hard", **params)
    with pytest.raises(ValueError, match=rf"frozen (?=the ).*{named}.*Freezer\('layers\.0\.\*'\)"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_a_part_of_a_layer_with_weights_of_its_own_goodness_is_not_frozen_alone():
    model = classifier(Freezer("layers.0.goodness.*"), goodness="readout", objective="softmax")
    with pytest.raises(ValueError, match=r"frozen the goodness\.score\.weight"):
        model.fit(X, y)


def test_patterns_that_make_up_a_layer_freeze_it():
    patterns = ["layers.0.affine.*", "layers.0.label.*"]
    together = classifier(Freezer(patterns)).fit(X, y)
    apart = classifier(*[Freezer(pattern) for pattern in patterns]).fit(X, y)
    for model in (together, apart):
        assert np.isnan(model.history_["loss"][:, 0]).all()
        assert np.isfinite(model.history_["loss"][:, 1]).all()


def test_a_layer_may_be_frozen_and_learn_again_by_epochs():
    epochs = []

    class See(Callback):
        def on_epoch_end(self, net, **kwargs):
            epochs.append(next(net.module_.layers[0].parameters()).detach().clone())

    freezing = [Freezer("layers.0.*", at=2), See(), Unfreezer("layers.0.*", at=4)]
    model = classifier(*freezing).fit(X, y)
    moved = [not torch.equal(a, b) for a, b in pairwise(epochs)]
    assert moved == [False, False, True]
    assert np.isnan(model.history_["loss"][:, 0]).tolist() == [False, True, True, False]


def test_a_part_that_learns_again_alone_is_refused():
    freezing = [Freezer("layers.0.*"), Unfreezer("layers.0.affine.bias", at=3)]
    with pytest.raises(ValueError, match=r"frozen the weight, label.weight of layer 1"):
        classifier(*freezing).fit(X, y)


def test_freezing_may_alternate():
    def turns(net):
        return freeze_parameter if len(net.history) % 2 else unfreeze_parameter

    model = classifier(ParamMapper("layers.0.*", schedule=turns)).fit(X, y)
    assert np.isnan(model.history_["loss"][:, 0]).tolist() == [True, False, True, False]


@pytest.mark.parametrize("kind", [Freezer, Unfreezer, ParamMapper])
def test_a_pattern_that_no_weight_matches_is_refused(kind):
    with pytest.raises(
        ValueError, match=r"\['hidden\.\*'\].*weights are layers\.0\.affine\.weight"
    ):
        classifier(kind("hidden.*")).fit(X, y)


def learner(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


@pytest.mark.parametrize(
    "pattern, message",
    [("*", "every layer"), ("layers.0.affine.bias", "the bias"), ("head.*", "softmax head")],
)
def test_frozen_weights_that_stop_the_training_are_refused(pattern, message):
    model = learner(negatives="hard", hidden_layer_sizes=(8, 8), callbacks=[Freezer(pattern)])
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


def test_a_frozen_layer_stays_as_it_was():
    model = learner(hidden_layer_sizes=(8, 8), max_iter=1).partial_fit(X, y, classes=range(3))
    before = weights(copy.deepcopy(model))
    model.set_params(callbacks=[Freezer("layers.0.*")]).partial_fit(X, y)
    for name in ("affine.weight", "affine.bias"):
        assert np.array_equal(weights(model)[f"layers.0.{name}"], before[f"layers.0.{name}"])
        assert not np.array_equal(weights(model)[f"layers.1.{name}"], before[f"layers.1.{name}"])
    assert np.isnan(model.history_["loss"][1, 0]) and np.isfinite(model.history_["loss"][1, 1])


def test_frozen_layers_have_no_history():
    params = {"hidden_layer_sizes": (8, 8, 8), "max_iter": 2}
    model = learner(callbacks=[Freezer("layers.0.*")], **params).fit(X, y)
    for column in model.history_.values():
        assert np.isnan(column[:, 0]).all() and np.isfinite(column[:, 1:]).all()
    again = learner(callbacks=[Freezer("layers.1.*")], **params).fit(X, y)
    for column in again.history_.values():
        assert np.isnan(column[:, 1]).all() and np.isfinite(column[:, [0, 2]]).all()


def test_a_frozen_layer_does_not_learn_under_greedy_either():
    frozen = Freezer("layers.1.*")
    greedy = learner(hidden_layer_sizes=(8, 8), schedule="greedy", callbacks=[frozen])
    with pytest.raises(ValueError, match=r"frozen every layer .* \(layers \[2\]\)"):
        greedy.fit(X, y)
