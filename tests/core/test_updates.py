"""Steps of the optimizer: of one layer at a time, or of all at the end of a batch."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier
from sklearn_ff.core import updates

X, y = load_iris(return_X_y=True)
PARAMS = {
    "default": {},
    "rates": {"learning_rate_init": [0.01, 0.02]},
    "optimizers": {"optimizer": ["adam", "sgd"]},
    "penalty": {"alpha": 1.0, "optimizer": "sgd", "optimizer_params": {"momentum": 0.9}},
    "greedy": {"schedule": "greedy"},
}


class Steps(Callback):
    """Counts the steps of the optimizer."""

    def __init__(self):
        self.number = 0

    def on_train_begin(self, net, **kwargs):
        net.optimizer_.register_step_post_hook(lambda *_: setattr(self, "number", self.number + 1))


class Looks(Steps):
    """A callback that looks at gradients."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        pass


def fitted(**params):
    base = {"hidden_layer_sizes": (8, 6), "batch_size": 50, "max_iter": 2, "random_state": 0}
    return FFClassifier(**base | {"negatives": "hard"} | params).fit(X, y)


@pytest.mark.parametrize("case", PARAMS)
def test_updates_at_the_end_of_a_batch_equal_others(case, monkeypatch):
    late = fitted(**PARAMS[case]).net_.module_.state_dict()
    monkeypatch.setattr(updates, "MOST_WEIGHTS", 0)
    for name, value in fitted(**PARAMS[case]).net_.module_.state_dict().items():
        assert torch.equal(late[name], value), name


@pytest.mark.parametrize(
    "cls, params, steps", [(Steps, {}, 1), (Steps, PARAMS["rates"], 1), (Looks, {}, 3)]
)
def test_one_step_serves_all_layers_unless_somebody_looks_at_gradients(cls, params, steps):
    counted = cls()
    fitted(callbacks=[counted], **params)
    assert counted.number == steps * 2 * 3  # epochs and batches


def test_groups_with_equal_options_are_stepped_as_one():
    groups = [{"params": [i], "lr": lr, "l2": i} for i, lr in enumerate([0.1, 0.2, 0.1])]
    assert [group["params"] for group in updates.joined(groups)] == [[0, 2], [1]]


class Evaluates(Callback):
    """Leaves a layer in evaluation mode after every epoch."""

    def __init__(self):
        self.modes = []

    def on_batch_end(self, net, **kwargs):
        self.modes.append(net.module_.layers[1].training)

    def on_epoch_end(self, net, **kwargs):
        net.module_.layers[1].eval()


def test_every_epoch_begins_in_training_mode():
    callback = Evaluates()
    fitted(callbacks=[callback])
    assert np.all(callback.modes)
