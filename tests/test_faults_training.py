"""Promises about training, repetition, interrupts and pickles: fault table groups D to G."""

import copy
import pickle
import random
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import joblib
import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import cross_val_score
from skorch.callbacks import BatchScoring, Callback, EpochScoring, Freezer

from sklearn_ff import DivergenceError, FFClassifier, InterruptedFitWarning
from sklearn_ff._scoring import Accuracy, network_scores
from sklearn_ff._training import history_arrays
from sklearn_ff.core.callbacks import DivergenceGuard
from sklearn_ff.goodness import Goodness, TopK
from sklearn_ff.layers import Conv2d
from sklearn_ff.overlays import Add, Replace
from sklearn_ff.schedules import Simultaneous

X, y = load_iris(return_X_y=True)
DIGITS, DIGIT = load_digits(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


def weights(fitted):
    return {k: v.numpy() for k, v in fitted.net_.module_.state_dict().items()}


def all_scores(model, rows):
    return network_scores(model.net_.module_, model._fitted.plan, rows)


def same_weights(a, b):
    return all(np.array_equal(v, weights(b)[k]) for k, v in weights(a).items())


@pytest.mark.fault("D5")
@pytest.mark.parametrize("rate", [1e6, 1e20])
def test_divergence_is_named_and_the_last_finite_weights_are_kept(rate):
    fitted = classifier(learning_rate_init=rate)
    with pytest.raises(
        DivergenceError, match=r"(layer 1|scores) .* epoch \d+; .*learning_rate_init"
    ):
        fitted.fit(X, y)
    assert all(np.isfinite(value).all() for value in weights(fitted).values())
    assert np.isfinite(fitted.predict_proba(X)).all()


@pytest.mark.fault("D6")
def test_a_score_that_is_no_number_is_no_gain(monkeypatch):
    scores = iter([0.5, np.nan, 0.4, np.nan, 0.3, 0.2])
    monkeypatch.setattr(Accuracy, "__call__", lambda self, network: next(scores))
    fitted = classifier(early_stopping=True, n_iter_no_change=3).fit(X, y)
    np.testing.assert_array_equal(fitted.validation_scores_, [0.5, np.nan, 0.4, np.nan])
    assert fitted.best_validation_score_ == 0.5


@pytest.mark.fault("D6")
def test_the_weights_of_the_best_epoch_are_put_back(monkeypatch):
    seen = []

    def score(self, network):
        seen.append(network.layers[0].affine.bias.detach().clone())
        return float(-len(seen))

    monkeypatch.setattr(Accuracy, "__call__", score)
    fitted = classifier(early_stopping=True, n_iter_no_change=3).fit(X, y)
    assert fitted.n_iter_ == 4
    np.testing.assert_array_equal(weights(fitted)["layers.0.affine.bias"], seen[0])


@pytest.mark.fault("D7")
def test_a_constant_rate_that_runs_out_of_epochs_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        classifier(learning_rate="constant").fit(X, y)
    stopped = classifier(learning_rate="constant", tol=10.0, n_iter_no_change=3).fit(X, y)
    assert stopped.n_iter_ == 4


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "change", [{"hidden_layer_sizes": (9,)}, {"activation": "tanh"}, {"goodness": "readout"}]
)
def test_a_changed_architecture_is_an_error(change):
    warm = classifier(warm_start=True).fit(X, y)
    online = classifier().partial_fit(X, y, classes=[0, 1, 2])
    before = warm.predict_proba(X)
    with pytest.raises(ValueError, match=next(iter(change))):
        warm.set_params(**change).fit(X, y)
    with pytest.raises(ValueError, match=next(iter(change))):
        online.set_params(**change).partial_fit(X, y)
    np.testing.assert_array_equal(warm.predict_proba(X), before)


@pytest.mark.fault("D8")
def test_a_code_changed_where_its_repr_is_abbreviated_is_an_error():
    rows = np.random.default_rng(0).normal(size=(30, 600))
    code = np.eye(3, 600)
    other = code.copy()
    other[1, 300] = 5.0
    assert repr(code) == repr(other)
    warm = classifier(warm_start=True, overlay=Add(code)).fit(rows, y[::5])
    with pytest.raises(ValueError, match="overlay"):
        warm.set_params(overlay=Add(other)).fit(rows, y[::5])


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "part, change",
    [
        ({"goodness": TopK(3)}, {"goodness__k": 1}),
        ({"goodness": [TopK(3), TopK(4)]}, {"goodness__1__k": 1}),
        ({"overlay": Replace("first")}, {"overlay__features": "last"}),
    ],
)
def test_a_part_changed_in_place_is_an_error_and_reaches_no_prediction(part, change):
    layers = {"hidden_layer_sizes": (9, 8)}
    model = classifier(warm_start=True, **layers, **part).fit(X, y)
    before = model.decision_function(X)
    np.testing.assert_array_equal(model.set_params(**change).decision_function(X), before)
    with pytest.raises(ValueError, match=next(iter(part))):
        model.fit(X, y)


class Scaled(torch.nn.Module):
    """An activation whose repr does not show what it does."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, a):
        return torch.relu(a) * self.factor


class Weighed(Goodness):
    """A goodness with a parameter of any kind."""

    def __init__(self, by=None):
        self.by = by

    def score(self, h):
        return h.square().mean(-1)


LONG = np.arange(2000.0)


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "one, other",
    [
        (LONG, LONG + (LONG == 900)),
        ({"a": LONG}, {"a": LONG + (LONG == 900)}),
        (torch.ones(2000), torch.arange(2000.0)),
        (csr_array([[1, 0]]), csr_array([[5, 0]])),
        (torch.nn.Linear(3, 4), torch.nn.Linear(3, 4)),
        (torch.nn.Sequential(Scaled(1.0)), torch.nn.Sequential(Scaled(5.0))),
        (Weighed(LONG), Weighed(LONG + (LONG == 900))),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_a_parameter_of_a_part_is_compared_by_value(one, other, listed):
    def given(value):
        return [Weighed(value)] if listed else Weighed(value)

    model = classifier(warm_start=True, goodness=given(one), max_iter=1).fit(X, y)
    model.set_params(goodness=given(copy.deepcopy(one))).fit(X, y)
    with pytest.raises(ValueError, match="goodness"):
        model.set_params(goodness=given(other)).fit(X, y)


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "value",
    [
        np.array([np.nan]),
        torch.nn.Parameter(torch.ones(3)),
        torch.ones(3, dtype=torch.bfloat16),
        torch.nn.LazyLinear(3),
        lambda: 0,
        np.int64(5),
    ],
)
def test_an_unchanged_part_continues_with_any_parameters(value):
    model = classifier(goodness=Weighed(value)).partial_fit(X, y, classes=[0, 1, 2])
    assert model.partial_fit(X, y).n_iter_
    if isinstance(value, np.int64):
        assert model.set_params(goodness__by=5).partial_fit(X, y).n_iter_


@pytest.mark.fault("D8")
def test_another_activation_of_the_same_repr_is_an_error():
    model = classifier(warm_start=True, activation=Scaled(1.0)).fit(X, y)
    assert model.set_params(activation=Scaled(1.0)).fit(X, y).n_iter_
    with pytest.raises(ValueError, match="activation"):
        model.set_params(activation=Scaled(50.0)).fit(X, y)


@pytest.mark.fault("D8")
def test_a_warm_start_goes_on_from_the_weights_it_has():
    cold = classifier(max_iter=1).fit(X, y)
    warm = classifier(max_iter=40, warm_start=True).fit(X, y).set_params(max_iter=1).fit(X, y)
    assert warm.loss_ < cold.loss_


@pytest.mark.fault("D9")
@pytest.mark.parametrize("seed", range(5))
def test_it_learns_blobs_and_xor(seed):
    A, labels = make_blobs(300, random_state=seed)
    assert FFClassifier(random_state=seed).fit(A, labels).score(A, labels) > 0.83
    bits = np.random.default_rng(seed).integers(0, 2, (400, 2))
    noise = np.random.default_rng(seed + 100).normal(scale=0.1, size=(400, 2))
    xor = bits[:, 0] ^ bits[:, 1]
    fitted = FFClassifier(random_state=seed).fit((bits + noise)[:200], xor[:200])
    assert fitted.score((bits + noise)[200:], xor[200:]) > 0.95


@pytest.mark.fault("D9")
@pytest.mark.parametrize("seed", range(5))
def test_it_learns_digits(seed):
    order = np.random.default_rng(seed).permutation(len(DIGIT))
    learn, hold = order[:1300], order[1300:]
    fitted = FFClassifier(random_state=seed, max_iter=20).fit(DIGITS[learn], DIGIT[learn])
    assert fitted.score(DIGITS[hold], DIGIT[hold]) >= 0.95


@pytest.mark.fault("D10")
@pytest.mark.parametrize(
    "bad", [-np.ones(150), np.full(150, np.nan), np.zeros(150), np.ones(149), np.ones((150, 2))]
)
def test_bad_sample_weights_are_refused(bad):
    with pytest.raises(ValueError):
        classifier().fit(X, y, sample_weight=bad)


PROCESS = """
import hashlib, numpy as np
from sklearn.datasets import load_digits
from sklearn_ff import FFClassifier
X, y = load_digits(return_X_y=True)
m = FFClassifier(max_iter=2, random_state=0, n_threads=1, dropout=0.1).fit(X, y)
print(hashlib.sha256(m.predict_proba(X).tobytes()).hexdigest())
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.fault("E1")
def test_two_processes_agree_to_the_bit():
    first, second = run(PROCESS), run(PROCESS)
    assert first.stdout == second.stdout != "", first.stderr


@pytest.mark.fault("E2")
def test_threads_change_little_and_nothing_if_they_are_fixed():
    one = classifier(max_iter=2, n_threads=1).fit(DIGITS, DIGIT)
    two = classifier(max_iter=2, n_threads=2).fit(DIGITS, DIGIT)
    for name, value in weights(one).items():
        np.testing.assert_allclose(weights(two)[name], value, rtol=1e-3, atol=1e-4)
    assert same_weights(one, classifier(max_iter=2, n_threads=1).fit(DIGITS, DIGIT))


@pytest.mark.fault("E3")
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_scores_equal_serial_ones(backend):
    model = classifier(max_iter=3, n_threads=1)
    alone = cross_val_score(model, DIGITS, DIGIT, cv=2)
    with joblib.parallel_config(backend):
        np.testing.assert_array_equal(cross_val_score(model, DIGITS, DIGIT, cv=2, n_jobs=2), alone)


def globals_of_torch():
    return (
        torch.random.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
    )


def test_an_interrupt_after_the_last_batch_is_reported():
    class Late(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                signal.raise_signal(signal.SIGINT)

    with pytest.warns(InterruptedFitWarning, match="interrupted after"):
        model = classifier(max_iter=3, callbacks=[Late()]).fit(X, y)
    assert model.n_iter_ == 3


@pytest.mark.fault("E4")
@pytest.mark.parametrize("rate", [1e-3, 1e20])
def test_nothing_global_is_changed(rate):
    before = globals_of_torch()
    model = classifier(learning_rate_init=rate, n_threads=1, dropout=0.1, negatives="hard")
    if rate > 1:
        with pytest.raises(DivergenceError):
            model.fit(X, y)
    else:
        model.fit(X, y).predict(X)
    assert globals_of_torch() == before


@pytest.mark.fault("E5")
def test_two_fits_at_once_equal_their_solo_runs():
    models = [classifier(random_state=seed, max_iter=3) for seed in (0, 1)]
    alone = [clone(model).fit(DIGITS, DIGIT) for model in models]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda model: clone(model).fit(DIGITS, DIGIT), models))
    for a, b in zip(alone, both, strict=True):
        np.testing.assert_allclose(a.predict_proba(X_DIGITS), b.predict_proba(X_DIGITS), atol=1e-4)


X_DIGITS = DIGITS[:100]


@pytest.mark.fault("E6")
def test_a_seed_repeats_a_fit_and_none_does_not():
    assert same_weights(classifier().fit(X, y), classifier().fit(X, y))
    free = [classifier(random_state=None).fit(X, y) for _ in range(2)]
    assert not same_weights(*free)
    state = np.random.RandomState(0)
    model = classifier(random_state=state)
    assert not same_weights(copy.deepcopy(model.fit(X, y)), model.fit(X, y))


INTERRUPT = """
import os, signal, sys, warnings
import numpy as np
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from sklearn_ff import FFClassifier, InterruptedFitWarning
X, y = load_digits(return_X_y=True)

class Interrupt(Callback):
    def __init__(self, when):
        self.when = when
    def fire(self, when, net):
        if when == self.when and len(net.history) >= 2 and not hasattr(self, "fired_"):
            self.fired_ = True
            os.kill(os.getpid(), signal.SIGINT)
    def on_epoch_begin(self, net, **kw): self.fire("begin", net)
    def on_batch_begin(self, net, **kw): self.fire("batch", net)
    def on_grad_computed(self, net, **kw): self.fire("gradient", net)
    def on_epoch_end(self, net, **kw): self.fire("end", net)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    m = FFClassifier((32, 32), max_iter=50, random_state=0, early_stopping={early},
                     schedule={schedule!r}, callbacks=[Interrupt({when!r})]).fit(X, y)
assert any(issubclass(w.category, InterruptedFitWarning) for w in caught), caught
assert m.n_iter_ < 5, m.n_iter_
assert m.score(X, y) > 0.5 and np.isfinite(m.predict_proba(X)).all()
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
print("kept")
"""


@pytest.mark.fault("F1")
@pytest.mark.parametrize("when", ["begin", "batch", "gradient", "end"])
@pytest.mark.parametrize(
    "early, schedule", [(False, "simultaneous"), (True, "simultaneous"), (False, "greedy")]
)
def test_an_interrupt_keeps_what_is_learned(when, early, schedule):
    code = INTERRUPT.replace("{early}", str(early))
    code = code.replace("{schedule!r}", repr(schedule)).replace("{when!r}", repr(when))
    done = run(code)
    assert done.stdout.strip() == "kept", done.stderr


UNTRAINED = """
import os, signal
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from sklearn_ff import FFClassifier
X, y = load_iris(return_X_y=True)

class Interrupt(Callback):
    def on_train_begin(self, net, **kw): os.kill(os.getpid(), signal.SIGINT)

m = FFClassifier(callbacks=[Interrupt()])
try:
    m.fit(X, y)
except KeyboardInterrupt:
    try:
        m.predict(X)
    except NotFittedError:
        print("unfitted")
"""


@pytest.mark.fault("F2")
def test_an_interrupt_before_any_update_goes_through():
    done = run(UNTRAINED)
    assert done.stdout.strip() == "unfitted", done.stderr


def broken(scores):
    raise RuntimeError("a fault of the user's part")


@pytest.mark.fault("F6")
def test_an_error_in_a_users_part_does_not_change_the_estimator():
    fresh = classifier(objective=broken)
    with pytest.raises(RuntimeError, match="user's part"):
        fresh.fit(X, y)
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    fitted = classifier(warm_start=True).fit(X, y)
    before = fitted.predict_proba(X)
    with pytest.raises(RuntimeError, match="user's part"):
        fitted.set_params(objective=broken).fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X), before)


class Stop(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_a_callback_that_raises_keyboard_interrupt_means_stop():
    with warnings.catch_warnings():
        warnings.simplefilter("error", InterruptedFitWarning)
        assert classifier(callbacks=[Stop()]).fit(X, y).n_iter_ == 1


def through_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


def through_memory_map(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib", mmap_mode="r")


WAYS = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "cloudpickle": lambda model, _: pickle.loads(cloudpickle.dumps(model)),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "joblib": through_joblib,
    "memory map": through_memory_map,
}


@pytest.mark.fault("G1")
@pytest.mark.parametrize("way", WAYS)
def test_copies_predict_to_the_bit(way, tmp_path):
    fitted = classifier(max_iter=2, prediction="hybrid").fit(DIGITS, DIGIT)
    again = WAYS[way](fitted, tmp_path)
    np.testing.assert_array_equal(again.predict_proba(DIGITS), fitted.predict_proba(DIGITS))


@pytest.mark.fault("G1")
def test_a_pickle_holds_the_weights_and_little_else():
    fitted = classifier(max_iter=2, hidden_layer_sizes=(500, 500)).fit(DIGITS, DIGIT)
    size = sum(value.nbytes for value in weights(fitted).values())
    assert len(pickle.dumps(fitted)) < 1.2 * size
    assert b"_rebuild_tensor" not in pickle.dumps(fitted)


@pytest.mark.fault("G1")
def test_partial_fit_goes_on_after_a_pickle_as_without():
    fitted = classifier(dropout=0.1).partial_fit(DIGITS, DIGIT, classes=range(10))
    again = pickle.loads(pickle.dumps(fitted))
    assert same_weights(fitted.partial_fit(DIGITS, DIGIT), again.partial_fit(DIGITS, DIGIT))


def test_fit_then_partial_fit_learns_and_survives_a_pickle():
    fitted = classifier().fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    before = weights(copy.deepcopy(fitted))
    fitted.partial_fit(X, y)
    assert not np.array_equal(
        before["layers.0.affine.bias"], weights(fitted)["layers.0.affine.bias"]
    )
    np.testing.assert_array_equal(again.partial_fit(X, y).predict_proba(X), fitted.predict_proba(X))


def test_fit_works_while_another_error_is_handled():
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        assert classifier().fit(X, y).n_iter_ == 20


@pytest.mark.fault("G9")
def test_no_training_row_is_kept():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(500, 7))
    fitted = classifier(max_iter=2, early_stopping=True).fit(A, (A[:, 0] > 0).astype(int))
    held = [v for v in reachable(fitted) if v.ndim and len(v) >= 40 and 7 in v.shape]
    assert all(v.shape == (256, 7) for v in held)


def reachable(thing, seen=None):
    """Every array and tensor that can be reached from an object."""
    seen = {} if seen is None else seen
    if id(thing) in seen or isinstance(thing, (str, bytes, int, float, type)):
        return []
    seen[id(thing)] = thing
    if isinstance(thing, (np.ndarray, torch.Tensor)):
        return [thing]
    inner = list(thing.values()) if isinstance(thing, dict) else []
    inner += list(thing) if isinstance(thing, (list, tuple, set)) else []
    inner += list(getattr(thing, "__dict__", {}).values())
    return [found for part in inner for found in reachable(part, seen)]


class Fault(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("a fault of the user's callback")


@pytest.mark.fault("F6")
def test_a_failed_partial_fit_changes_nothing_that_follows():
    model = classifier(dropout=0.1, negatives="hard").partial_fit(X, y, classes=[0, 1, 2])
    twin = copy.deepcopy(model).set_params(callbacks=[Fault()])
    with pytest.raises(RuntimeError):
        twin.partial_fit(X, y)
    twin.set_params(callbacks=None).partial_fit(X, y)
    np.testing.assert_array_equal(twin.predict_proba(X), model.partial_fit(X, y).predict_proba(X))


@pytest.mark.fault("G1")
def test_a_pickle_does_not_depend_on_later_parameters():
    fitted = classifier().fit(X, y)
    before = fitted.predict_proba(X)
    fitted.set_params(learning_rate_init=[0.1, 0.2, 0.3], optimizer="bogus")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), before)


@pytest.mark.parametrize("change", [{"optimizer": "rmsprop"}, {"learning_rate_init": 1e-4}])
def test_partial_fit_takes_up_changed_training_parameters(change):
    model = classifier().partial_fit(X, y, classes=[0, 1, 2])
    assert model.set_params(**change).partial_fit(X, y).n_iter_ == 2


def test_partial_fit_with_class_weights_and_a_batch_without_the_class():
    model = classifier(class_weight={0: 2.0})
    assert model.partial_fit(X[y > 0], y[y > 0], classes=[0, 1, 2]).n_iter_ == 1


@pytest.mark.fault("D6")
@pytest.mark.parametrize("prediction", ["head", "hybrid"])
@pytest.mark.parametrize("counted", ["skip_first", [0, 2]])
def test_a_greedy_layer_that_does_not_count_is_judged_by_its_own_goodness(prediction, counted):
    fitted = classifier(
        hidden_layer_sizes=(16, 16, 16),
        schedule="greedy",
        prediction=prediction,
        prediction_layers=counted,
        early_stopping=True,
        n_iter_no_change=3,
        overlay="every_layer",
        max_iter=6,
    ).fit(DIGITS[:600], DIGIT[:600])
    scores = np.array(fitted.validation_scores_)
    assert len(scores) == fitted.n_iter_
    for layer in {0, 1} - set(fitted._fitted.plan.counted):
        stage = scores[np.isfinite(fitted.history_["loss"][:, layer])]
        assert len(np.unique(stage)) > 1


@pytest.mark.fault("D6")
def test_the_best_score_is_that_of_the_weights_kept(monkeypatch):
    scores = iter([0.9, 0.8, 0.7, 0.3, 0.5, 0.4, 0.2])
    monkeypatch.setattr(Accuracy, "__call__", lambda self, network: next(scores))
    params = {"schedule": "greedy", "early_stopping": True, "n_iter_no_change": 2}
    fitted = classifier(hidden_layer_sizes=(8, 8), **params).fit(X, y)
    assert fitted.validation_scores_ == [0.9, 0.8, 0.7, 0.3, 0.5, 0.4, 0.2]
    assert fitted.best_validation_score_ == 0.5


class StopThird(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


@pytest.mark.fault("D6")
def test_the_best_weights_are_put_back_when_a_callback_stops_training(monkeypatch):
    seen = []

    def score(self, network):
        seen.append(network.layers[0].affine.bias.detach().clone())
        return float(-len(seen))

    monkeypatch.setattr(Accuracy, "__call__", score)
    fitted = classifier(early_stopping=True, callbacks=[StopThird()]).fit(X, y)
    assert fitted.n_iter_ == 3 and fitted.best_validation_score_ == -1
    np.testing.assert_array_equal(weights(fitted)["layers.0.affine.bias"], seen[0])


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "first, change",
    [
        ({"scaling": "standard"}, {"scaling": "shared"}),
        ({"scaling": "auto"}, {"scaling": None}),
        ({"precision": "float32"}, {"precision": "float64"}),
        ({"precision": "auto"}, {"precision": "float32"}),
        ({"precision": "float64"}, {"precision": "bfloat16"}),
    ],
)
def test_changed_scaling_or_precision_is_an_error(first, change):
    warm = classifier(warm_start=True, **first).fit(X, y)
    online = classifier(**first).partial_fit(X, y, classes=[0, 1, 2])
    before = warm.predict_proba(X), online.predict_proba(X)
    for call in (warm.set_params(**change).fit, online.set_params(**change).partial_fit):
        with pytest.raises(ValueError, match=rf"architecture has changed .*{next(iter(change))}"):
            call(X, y)
    np.testing.assert_array_equal(warm.predict_proba(X), before[0])
    np.testing.assert_array_equal(online.predict_proba(X), before[1])


@pytest.mark.fault("D8")
def test_auto_keeps_what_the_first_fit_chose():
    model = classifier(scaling="standard", precision="float32").partial_fit(X, y, classes=range(3))
    model.set_params(scaling="auto", precision="auto").partial_fit(X, y)
    assert (model.scaling_, model.precision_) == ("standard", "float32")
    model.set_params(scaling="standard", precision="bfloat16").partial_fit(X, y)
    assert model.precision_ == "bfloat16"
    assert model.set_params(precision="auto").partial_fit(X, y).precision_ == "bfloat16"


@pytest.mark.parametrize("scale", [1 / 150, 1e-6])
def test_small_weights_count_as_ones(scale):
    plain, small = classifier().fit(X, y), classifier().fit(X, y, np.full(len(y), scale))
    np.testing.assert_allclose(small.class_count_, plain.class_count_)
    np.testing.assert_allclose(small.predict_proba(X), plain.predict_proba(X), atol=1e-4)


def test_whole_weights_count_as_copies():
    weight = 1 + np.arange(len(y)) % 3
    weighted = classifier().fit(X, y, weight)
    copies = classifier().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert weighted.class_count_.tolist() == copies.class_count_.tolist()


def test_small_weights_in_partial_fit_count_as_ones():
    plain, small = (classifier().partial_fit(X, y, classes=range(3)) for _ in range(2))
    plain.partial_fit(X, y)
    small.partial_fit(X, y, sample_weight=np.full(len(y), 1e-3))
    assert small.scale_ == pytest.approx(plain.scale_)


def test_partial_fit_with_few_rows_moves_the_scale_a_little():
    model = classifier(learning_rate_init=1e-4)
    for _ in range(3):
        model.partial_fit(DIGITS, DIGIT, classes=range(10))
    before = model.scale_
    model.partial_fit(DIGITS[:2], [DIGIT[1], DIGIT[0]])
    assert 0.95 < model.scale_ / before < 1.05
    assert model.class_count_.sum() == 3 * len(DIGIT) + 2


def test_partial_fit_goes_on_where_fit_ended():
    model = classifier(warm_start=True).fit(X, y)
    scale, history = model.scale_, model.history_
    model.partial_fit(X[:50], y[:50])
    np.testing.assert_array_equal(model.class_count_, [100, 50, 50])
    assert model.n_iter_ == len(model.loss_curve_) == 21
    np.testing.assert_array_equal(model.history_["loss"][:20], history["loss"])
    assert 0.2 < model.scale_ / scale < 5
    model.fit(X, y)  # tells of itself alone, as every fit
    assert model.n_iter_ == 20 and model.class_count_.sum() == 150


@pytest.mark.parametrize("scoring", [EpochScoring("accuracy"), BatchScoring("accuracy")])
def test_scoring_callbacks_are_refused_with_what_to_use_instead(scoring):
    for entry in (scoring, ("score", scoring)):
        with pytest.raises(ValueError, match=r"Scoring.*X_val.*early_stopping"):
            classifier(callbacks=[entry]).fit(X, y)


@pytest.mark.parametrize("entry", ["a", 3, None, object, ("name", "a")])
def test_what_is_no_callback_is_refused(entry):
    with pytest.raises(ValueError) as error:
        classifier(callbacks=[entry]).fit(X, y)
    assert repr(entry) in str(error.value) and "skorch.callbacks.Callback" in str(error.value)


def test_callbacks_may_be_pairs_with_names():
    assert classifier(callbacks=[("stop", Stop())]).fit(X, y).n_iter_ == 1


@pytest.mark.parametrize(
    "pattern, message",
    [("*", "every layer"), ("layers.0.affine.bias", "the bias"), ("head.*", "softmax head")],
)
def test_frozen_weights_that_stop_the_training_are_refused(pattern, message):
    model = classifier(negatives="hard", hidden_layer_sizes=(8, 8), callbacks=[Freezer(pattern)])
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


def test_a_frozen_layer_stays_as_it_was():
    model = classifier(hidden_layer_sizes=(8, 8), max_iter=1).partial_fit(X, y, classes=range(3))
    before = weights(copy.deepcopy(model))
    model.set_params(callbacks=[Freezer("layers.0.*")]).partial_fit(X, y)
    for name in ("affine.weight", "affine.bias"):
        assert np.array_equal(weights(model)[f"layers.0.{name}"], before[f"layers.0.{name}"])
        assert not np.array_equal(weights(model)[f"layers.1.{name}"], before[f"layers.1.{name}"])
    assert np.isnan(model.history_["loss"][1, 0]) and np.isfinite(model.history_["loss"][1, 1])


def test_frozen_layers_have_no_history():
    params = {"hidden_layer_sizes": (8, 8, 8), "max_iter": 2}
    model = classifier(callbacks=[Freezer("layers.0.*")], **params).fit(X, y)
    for column in model.history_.values():
        assert np.isnan(column[:, 0]).all() and np.isfinite(column[:, 1:]).all()
    again = classifier(callbacks=[Freezer("layers.1.*")], **params).fit(X, y)
    for column in again.history_.values():
        assert np.isnan(column[:, 1]).all() and np.isfinite(column[:, [0, 2]]).all()


@pytest.mark.fault("D5")
@pytest.mark.parametrize("params", [{}, {"prediction": "head"}, {"precision": "float32"}])
@pytest.mark.parametrize("rate", [1e5, 1e8, 1e15])
def test_weights_of_huge_scores_are_not_kept(rate, params):
    model = classifier(hidden_layer_sizes=(16, 16), normalization=None, **params)
    model.partial_fit(X, y, classes=[0, 1, 2]).set_params(learning_rate_init=rate)
    with pytest.raises(DivergenceError, match="learning_rate_init"):
        for _ in range(5):
            model.partial_fit(X, y)
    assert np.abs(all_scores(model, X)).max() < DivergenceGuard.LIMIT
    assert np.isfinite(model.predict_proba(1e6 * X)).all()


def test_a_share_of_rows_is_between_zero_and_one():
    rows = [{"statistics": [[1.0], [2.0], [3.0], [share]], "layers": [0]} for share in (1.1, -0.1)]
    assert history_arrays(rows, 1)["ranking_accuracy"].tolist() == [[1.0], [0.0]]


def test_hybrid_prediction_with_an_untrained_head_is_repeatable():
    model = classifier(prediction="hybrid", max_iter=5).fit(DIGITS, DIGIT)
    with torch.no_grad():
        for p in model.net_.module_.head.parameters():
            p.zero_()
    scores = all_scores(model, DIGITS)
    goodness = network_scores(
        model.net_.module_, model._fitted.plan, DIGITS, model._fitted.plan.counted
    )
    assert np.isfinite(scores).all()
    # The first two labels by their goodness; the others below the lowest of these.
    np.testing.assert_allclose(scores[:, :2], goodness[:, :2], rtol=1e-5)
    assert (scores[:, 2:].max(1) < scores[:, :2].min(1)).all()
    np.testing.assert_array_equal(scores, all_scores(model, DIGITS))
    one_by_one = np.vstack([all_scores(model, DIGITS[i : i + 1]) for i in range(50)])
    np.testing.assert_allclose(one_by_one, scores[:50], rtol=1e-4)


MEMORY = """
import resource, warnings
import numpy as np
from sklearn_ff import FFClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.normal(size=(160, 100)).astype(np.float32), np.arange(160) % 80
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
FFClassifier((8,), max_iter=1).fit(X, y % 3).predict(X)
before = peak()
m = FFClassifier((500, 500), negatives="all", precision="float32", batch_size=160, random_state=0)
m.partial_fit(X, y, classes=np.arange(1000)).predict_proba(np.tile(X, (3, 1)))
print(peak() - before)
"""


@pytest.mark.fault("C5")
def test_a_thousand_classes_take_less_than_600_megabytes():
    done = run(MEMORY)
    assert float(done.stdout) < 600, done.stderr


def test_a_frozen_layer_does_not_learn_under_greedy_either():
    frozen = Freezer("layers.1.*")
    greedy = classifier(hidden_layer_sizes=(8, 8), schedule="greedy", callbacks=[frozen])
    with pytest.raises(ValueError, match=r"frozen every layer .* \(layers \[2\]\)"):
        greedy.fit(X, y)


@pytest.mark.fault("F2")
def test_a_callback_that_ends_training_before_it_began_leaves_nothing_fitted():
    class Impatient(Callback):
        def on_train_begin(self, net, **kwargs):
            raise KeyboardInterrupt

    impatient = classifier(callbacks=[Impatient()])
    with pytest.raises(KeyboardInterrupt, match="before it began"):
        impatient.fit(X, y)
    with pytest.raises(NotFittedError):
        impatient.predict(X)


@pytest.mark.parametrize(
    "params, rate",
    [
        ({"max_iter": 200}, 6 / 200),
        ({"max_iter": 400}, 6 / 400),
        ({"max_iter": 10}, 3e-2),
        ({"max_iter": 2000}, 5e-3),
        ({"max_iter": 200, "learning_rate": "constant"}, 5e-3),
        ({"max_iter": 200, "learning_rate_init": 0.1}, 0.1),
        ({}, 6 / 200),
    ],
)
def test_few_updates_go_as_far_as_many(params, rate):
    clf = FFClassifier(4, n_threads=1, random_state=0, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(*load_iris(return_X_y=True))
    assert clf.learning_rate_init_ == pytest.approx(rate)
    assert clf.max_iter_ == params.get("max_iter", 200)


def test_a_constant_rate_is_low_and_so_is_that_of_images():
    images = FFClassifier(layers=[Conv2d(4)], image_shape=(1, 2, 2), overlay="channel", n_threads=1)
    assert images.fit(*load_iris(return_X_y=True)).learning_rate_init_ == 5e-3
    clf = FFClassifier(4, n_threads=1, random_state=0).partial_fit(
        *load_iris(return_X_y=True), classes=[0, 1, 2]
    )
    assert clf.learning_rate_init_ == 5e-3


@pytest.mark.parametrize(
    "stages, rate",
    [
        ([(0, 400), (1, 400)], 6 / 400),
        ([("all", 200), ("head", 1000)], 6 / 200),
        ([("all", 1), ("head", 400)], 3e-2),
    ],
)
def test_the_rate_suits_the_longest_stage_of_layers(stages, rate):
    clf = FFClassifier((16, 16), random_state=0, schedule=stages, prediction="head", n_threads=1)
    assert clf.fit(*load_iris(return_X_y=True)).learning_rate_init_ == pytest.approx(rate)


@pytest.mark.parametrize("phases, epochs", [("together", 20), ("by_epoch", 10)])
def test_as_many_epochs_as_make_300_updates(phases, epochs):
    clf = FFClassifier(4, objective="logistic", schedule=Simultaneous(phases), random_state=0)
    clf.fit(DIGITS, DIGIT)
    assert clf.max_iter_ == epochs and 300 <= clf.net_.n_updates_ < 330
