"""Training steps that are recorded on a GPU equal those that are not."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, FFTransformer, FFWarning, NoEffectWarning
from sklearn_ff._plan import captures_of, of_package
from sklearn_ff.core import capture
from sklearn_ff.goodness import goodness
from sklearn_ff.layers import Block, Conv2d, Module
from sklearn_ff.negatives import Hard
from sklearn_ff.objectives import Collaboration

rng = np.random.default_rng(0)
X = rng.random((600, 64), dtype=np.float32)
y = (2 * X[:, :8].sum(1)).astype(int) % 4
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
CASES = {
    "default": {},
    "readout": {"goodness": "readout"},
    "greedy": {"schedule": "greedy"},
    "all labels": {"negatives": "all"},
    "drawn once": {"negatives": "permuted"},
    "by goodness": {"negatives": "by_goodness"},
    "corrupted rows": {"negatives": "pair_sum", "prediction": "head"},
    "dropout": {"dropout": 0.3},
    "peers": {"peer_normalization": 0.03},
    "sgd": {"optimizer": "sgd", "optimizer_params": {"momentum": 0.9}, "learning_rate_init": 0.05},
    "adamw": {"optimizer": "adamw"},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate_init": 1e-3},
    "adagrad": {"optimizer": "adagrad"},
    "one for each": {"optimizer": ["adam", "sgd"]},
    "weighted classes": {"class_weight": "balanced"},
    "collaboration": {"objective": "collaboration"},
    "penalty": {"alpha": 1.0},
    "low precision": {"precision": "bfloat16"},
    "double precision": {"precision": "float64"},
    "images": {
        "layers": [Conv2d(8, norm="batch", pool="max"), Conv2d(8)],
        "image_shape": (1, 8, 8),
        "goodness": "readout",
    },
    "block": {"layers": [Block([32, 32]), 16]},
}
SMALL = {"hidden_layer_sizes": (40, 30), "max_iter": 3, "batch_size": 64, "random_state": 0}


def fitted(compile, **params):
    return FFClassifier(**SMALL | {"compile": compile} | params).fit(X, y)


@on_gpu
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:.*ConvergenceWarning|compile=True")
def test_recorded_steps_equal_others(case):
    plain, recorded = fitted(False, **CASES[case]), fitted("auto", **CASES[case])
    np.testing.assert_allclose(recorded.loss_curve_, plain.loss_curve_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        recorded.decision_function(X), plain.decision_function(X), rtol=1e-4, atol=1e-5
    )


@on_gpu
def test_partial_fit_and_a_transformer_record_too():
    for compile in (False, True):
        model = FFClassifier(**SMALL, compile=compile)
        losses = [model.partial_fit(X, y, classes=range(4)).loss_ for _ in range(3)]
        features = FFTransformer(**SMALL, compile=compile).fit(X).loss_
        if not compile:
            expected = losses, features
    np.testing.assert_allclose(losses, expected[0], rtol=1e-5)
    np.testing.assert_allclose(features, expected[1], rtol=1e-5)


def looks(h):
    """A goodness that waits for the device."""
    return h.square().mean(-1) * (1.0 if float(h.detach().sum()) >= 0 else 2.0)


@on_gpu
def test_what_cannot_be_recorded_runs_as_before():
    expected = fitted(False, goodness=looks).loss_
    with pytest.warns(FFWarning, match="could not be recorded"):
        assert fitted(True, goodness=looks).loss_ == pytest.approx(expected, rel=1e-5)
    assert fitted("auto", goodness=looks).loss_ == pytest.approx(expected, rel=1e-5)


def test_on_a_cpu_it_has_no_effect():
    with pytest.warns(NoEffectWarning, match="compile=True"):
        model = fitted(True, device="cpu")
    assert model.loss_ == fitted(False, device="cpu").loss_


class OwnAdam(torch.optim.Adam):
    pass


@pytest.mark.parametrize(
    "part, expected",
    [
        (Hard(), True),
        (Collaboration(), True),
        (Block([8, 8]), True),
        ("adam", True),
        (torch.optim.SGD, True),
        (OwnAdam, False),
        (goodness.get(lambda h: h.sum(-1)), False),
        (Collaboration(lambda scores, layer: scores[:, 0]), False),
        (Module(lambda n: torch.nn.Linear(n, 3)), False),
        (Block([8, Module(lambda n: torch.nn.Linear(n, 3))]), False),
    ],
    ids=[
        "negatives",
        "objective",
        "block",
        "name",
        "of torch",
        "optimizer",
        "function",
        "in a part",
        "module",
        "in a block",
    ],
)
def test_parts_of_a_user_are_recorded_only_where_it_is_asked_for(part, expected):
    for compile, captures in [("auto", expected), (True, "asked"), (False, False)]:
        settings = SimpleNamespace(compile=compile)
        assert captures_of(settings, "cuda", [Hard(), part]) == captures
        assert captures_of(settings, "cpu", [Hard(), part]) is False


def test_the_default_parts_are_of_the_package():
    plan = fitted("auto")._fitted.plan
    parts = (plan.activation, plan.negatives, plan.goodness, plan.objective, plan.normalization)
    assert all(map(of_package, parts))


class FakeRecording:
    made = 0

    def __init__(self, net, batch):
        type(self).made += 1

    def replay(self, net, batch):
        return net.learn(batch)


@pytest.fixture
def net(monkeypatch):
    """A net that has been trained, as in the middle of an epoch, and recordings that are counted.

    They need the generator of a GPU, which stands in the place of the CPU's here.
    """
    found = fitted("auto", device="cpu").net_
    vars(found).update(stage_number_=0, learning_=list(found.module_.layers))
    vars(found).update(learn=lambda batch: "learned", watched_=False, listeners_=[])
    found.draws = SimpleNamespace(
        generator=SimpleNamespace(clone_state=lambda: None, graphsafe_set_state=lambda state: None)
    )
    monkeypatch.setattr(capture, "Recording", FakeRecording)
    FakeRecording.made = 0
    return found


def batch(n=64):
    return torch.zeros(n, 64), torch.zeros(n, dtype=torch.int64), torch.ones(n), None


def test_a_step_is_recorded_after_the_first_ones_and_full_batches_alone(net):
    step = capture.Captured(net, True)
    for number in range(6):
        assert step(batch()) == "learned"
        assert FakeRecording.made == (number >= capture.WARM_UP)
    step(batch(24))
    assert FakeRecording.made == 1


@pytest.mark.parametrize("change", ["options", "layers", "stage", "place", "rate", "epoch"])
def test_it_is_recorded_again_when_what_it_depends_on_has_changed(net, change):
    step = capture.Captured(net, True)
    for _ in range(5):
        step(batch())
    group, layer = net.optimizer_.param_groups[0], net.module_.layers[0]
    if change == "options":
        group["betas"] = (0.5, 0.9)
    elif change == "layers":
        net.learning_ = net.learning_[1:]
    elif change == "stage":
        net.stage_number_ = 1
    elif change == "place":
        layer.affine.weight.data = layer.affine.weight.data.clone()
    elif change == "rate":
        group["lr"] = 0.3
    else:
        step.forget()
    step(batch())
    assert FakeRecording.made == (1 if change == "rate" else 2)


def test_a_failed_recording_leaves_no_gradients_and_warns_once(net, monkeypatch):
    def fail(net, batch):
        net.module_.layers[0].affine.weight.grad = torch.ones(40, 64)
        raise RuntimeError("operation not permitted\nmore lines")

    monkeypatch.setattr(capture, "Recording", fail)
    step = capture.Captured(net, True)
    with pytest.warns(FFWarning, match=r"operation not permitted\)") as found:
        assert [step(batch()) for _ in range(6)] == ["learned"] * 6
    assert len(found) == 1 and not step.able
    assert all(weight.grad is None for weight in net.module_.parameters())


class OfBatches(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


def test_options_that_change_in_every_batch_end_the_recording(net):
    step = capture.Captured(net, False)
    for number in range(20):
        net.optimizer_.param_groups[0]["betas"] = (0.9, 1 - 1 / (number + 2))
        assert step(batch()) == "learned"
    assert FakeRecording.made == capture.MOST and not step.able and not step.recorded


def test_only_steps_that_no_callback_looks_into_can_be_recorded(net):
    assert capture.may_capture(net)
    net.watched_ = True
    assert not capture.may_capture(net)
    net.watched_, net.listeners_ = False, [print]
    assert not capture.may_capture(net)
    net.listeners_, net.passes = [], ("positive", "negative")
    assert not capture.may_capture(net)
    net.passes = (None,)
    hook = net.module_.layers[0].register_forward_hook(lambda *given: None)
    assert not capture.may_capture(net)
    hook.remove()
    net.callbacks = [("mine", OfBatches())]
    assert not capture.may_capture(net)
    net.captures = "asked"
    assert capture.may_capture(net)
    net.optimizer_.param_groups[0]["fused"] = None
    assert not capture.may_capture(net)


@pytest.mark.parametrize("captures", ["asked", True, False])
def test_that_nothing_is_recorded_is_said_where_it_was_asked_for(net, captures):
    net.captures = captures
    assert (capture.captured(net) is None) == (not captures)
    net.passes = ("positive", "negative")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert capture.captured(net) is None
    assert [w.category for w in found] == [FFWarning] * (captures == "asked")
