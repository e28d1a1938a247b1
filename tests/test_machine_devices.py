"""Other devices than the CPU: what crosses between them, and what they lack."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, FFMemoryError, _machine
from sklearn_ff._draws import Draws
from sklearn_ff._machine import Fork, check_memory
from sklearn_ff._optimizers import optimizer_class
from sklearn_ff._scoring import DEVICE_BYTES, slices
from sklearn_ff.exceptions import FFWarning
from sklearn_ff.negatives import Corruption

X, y = load_iris(return_X_y=True)
MISSING = "cuda:99"


def classifier(**params):
    given = {"hidden_layer_sizes": 8, "max_iter": 2, "random_state": 0, "device": "cpu"}
    return FFClassifier(**{**given, **params})


def elsewhere(model):
    """The pickled state of an estimator, as from a machine with many GPUs."""
    state = copy.deepcopy(model.__getstate__())
    state["_fitted"]["plan"]["device"] = MISSING
    if "generator" in state["_fitted"]:
        state["_fitted"]["generator"] = np.arange(16, dtype=np.uint8)  # as of CUDA
    return state


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_an_estimator_from_a_device_that_is_missing_lives_on_the_cpu(call):
    classes = {"classes": [0, 1, 2]} if call == "partial_fit" else {}
    model, again = getattr(classifier(), call)(X, y, **classes), []
    for _ in range(2):
        again.append(classifier())
        with pytest.warns(FFWarning, match=f"on the device '{MISSING}', which .* on the CPU"):
            again[-1].__setstate__(elsewhere(model))
        np.testing.assert_array_equal(again[-1].predict_proba(X), model.predict_proba(X))
    learned = [one.partial_fit(X, y).predict_proba(X) for one in again]
    np.testing.assert_array_equal(*learned)
    assert not np.array_equal(learned[0], model.predict_proba(X))


def test_pickled_draws_go_on_and_need_no_device():
    draws = Draws(torch.Generator().manual_seed(3), "cpu")
    again = pickle.loads(pickle.dumps(draws))
    assert torch.equal(again.uniform(5), draws.uniform(5))
    draws.device = MISSING
    far = pickle.loads(pickle.dumps(draws))
    assert far.device == "cpu" and torch.equal(far.uniform(5), again.uniform(5))


def test_a_fork_that_has_lost_cuda_computes_on_the_cpu(monkeypatch):
    monkeypatch.setattr(Fork, "lost_cuda", True)
    with pytest.warns(FFWarning, match="device='auto' means 'cpu' here: this process is a fork"):
        model = classifier(device="auto").fit(X, y)
    assert next(model.net_.module_.parameters()).device.type == "cpu"
    with pytest.raises(ValueError, match="device='cuda' is not available here: this process is a"):
        classifier(device="cuda").fit(X, y)


def test_the_memory_of_the_device_counts_too(monkeypatch):
    monkeypatch.setattr(_machine, "memory_of_cuda", lambda device: 1000)
    check_memory(62, "float32", "cuda")
    check_memory(10_000, "float32", "cpu")
    with pytest.raises(FFMemoryError, match=r"more than the 0\.0 GiB that are free on 'cuda'"):
        check_memory(63, "float32", "cuda")


OTHER = {
    "goodness": lambda h: h.square().mean(-1).to("meta"),
    "activation": lambda a: a.relu().to("meta"),
    "objective": lambda g: (g[:, 1] - g[:, 0]).to("meta"),
    "negatives": lambda y, n_classes, draws: ((y + 1) % n_classes)[:, None].to("meta"),
}


@pytest.mark.parametrize("name", [*OTHER, "rows"])
def test_a_callable_that_returns_another_device_is_named(name):
    given = {name: OTHER[name]} if name in OTHER else {"prediction": "head"}
    if name == "rows":
        name = "negatives"
        given["negatives"] = Corruption(lambda x, draws: x.flip(0).to("meta"))
    with pytest.raises(ValueError, match=f"given as {name} returned a tensor on meta; it must be "):
        classifier(**given).fit(X, y)


class Unfused(torch.optim.SGD):
    """An optimizer that one device has no fused form of."""

    def step(self, closure=None):
        if self.param_groups[0]["fused"]:
            raise RuntimeError("`fused=True` requires supported devices")
        return super().step(closure)


def test_an_optimizer_without_a_fused_form_on_the_device_is_used_as_it_is():
    assert optimizer_class(Unfused, {"momentum": 0.5}) == (Unfused, {"momentum": 0.5})
    assert classifier(optimizer=Unfused).fit(X, y).n_iter_ == 2
    with pytest.raises(ValueError, match="requires supported devices"):
        optimizer_class(Unfused, {"fused": True})


def flags():
    return [getattr(place, name) for place, name, _ in _machine.repeatable_convolutions.FLAGS]


class Looks(Callback):
    def on_epoch_end(self, net, **kwargs):
        net.seen_ = flags()


def test_convolutions_are_repeatable_during_a_fit_alone():
    before, ours = flags(), [value for *_, value in _machine.repeatable_convolutions.FLAGS]
    model = classifier(callbacks=[Looks()]).fit(X, y)
    assert model.net_.seen_ == ours != before
    with _machine.repeatable_convolutions:
        model.predict(X)
        assert flags() == ours, "another call that ends does not put them back"
    assert flags() == before


def test_parts_of_the_rows_are_larger_on_other_devices():
    fitted = classifier().fit(X, y)._fitted
    width, many = 1000, np.empty((100_000, 4))
    few = slices(copy.deepcopy(fitted.network).to("meta"), many, fitted.plan, width)
    assert len(few) == -(-100_000 // (DEVICE_BYTES // (8 * 1004)))
    assert len(slices(fitted.network, many, fitted.plan, width)) > 10 * len(few)


def test_no_warning_where_the_device_is_there():
    model = classifier().fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(model))
