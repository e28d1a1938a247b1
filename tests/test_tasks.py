"""Callbacks of scikit-learn: what they are told of a fit, and that they leave it as it is."""

import copy
import pickle
import threading

import numpy as np
import pytest
import torch
from pressing import Press, classifier, interrupted, press
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklearn_ff import (
    DivergenceError,
    FFOutlierDetector,
    FFTransformer,
    InterruptedFitWarning,
    load,
    save,
)
from sklearn_ff.layers import Module

X, y = load_iris(return_X_y=True)


def transformer(**params):
    return FFTransformer((8, 6), **{"max_iter": 3, "random_state": 0, **params})


class Seen:
    """Records the tasks of fits, and what is there when they end; asks to end some of them."""

    def __init__(self, stop=(), fail=None, at=None):
        self.stop, self.fail, self.at = stop, fail, at
        self.begun, self.ended, self.torn = [], [], 0

    def setup(self, estimator, context):
        self.act("setup")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)
        self.act("begin " + context.task_name)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.ended.append((context.task_name, fitted_estimator))
        self.rows = X, y, metadata
        self.act("end " + context.task_name)
        return context.task_name in self.stop

    def teardown(self, estimator, context):
        self.torn += 1

    def act(self, place):
        if place == self.at:
            self.fail()

    def named(self, name):
        return [fitted for task, fitted in self.ended if task == name]


STAGES = {
    "simultaneous": ["layers 1-2"],
    "greedy": ["layer 1", "layer 2"],
    "listed": ["layer 2", "layers 1-2", "head"],
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_and_epochs_are_tasks_with_the_names_of_their_layers(name):
    seen, schedule = Seen(), [(1, 2), ("all", 1), ("head", 1)]
    params = {"schedule": schedule, "prediction": "head"} if name == "listed" else {}
    epochs = {"schedule": name, "max_iter": 2} if not params else {}
    model = classifier(**params, **epochs).set_callbacks(seen).fit(X, y)
    order = [task for task, _ in seen.ended]
    assert [task for task in order if task in STAGES["listed"] + STAGES["greedy"]] == STAGES[name]
    assert order[-1] == "fit" and seen.torn == 1
    assert sorted(seen.begun) == sorted(order)
    epochs = [task for task in order if task.startswith("epoch of ")]
    assert len(epochs) == model.n_iter_
    assert {task.removeprefix("epoch of ") for task in epochs} == set(STAGES[name])


@pytest.mark.parametrize("model", [classifier(dropout=0.2, prediction="hybrid"), transformer()])
def test_the_estimator_of_an_epoch_is_that_of_a_fit_which_ends_there(model):
    model = model.set_params(learning_rate="constant", learning_rate_init=1e-2, tol=None)
    seen = Seen()
    model.set_callbacks(seen).fit(X, y)
    for n_epochs, found in enumerate(seen.named("epoch of layers 1-2"), 1):
        short = clone(model).set_params(max_iter=n_epochs).set_callbacks().fit(X, y)
        read = "predict_proba" if hasattr(model, "predict_proba") else "score_samples"
        np.testing.assert_array_equal(getattr(found, read)(X), getattr(short, read)(X))
        assert found.loss_curve_ == short.loss_curve_ and found.n_iter_ == n_epochs
    assert n_epochs == 3


def noisy(shape):
    return torch.nn.Sequential(torch.nn.Linear(shape[0], 6), torch.nn.Dropout(0.3))


@pytest.mark.parametrize(
    "model",
    [
        classifier(),
        classifier(schedule="greedy", early_stopping=True),
        classifier().set_params(hidden_layer_sizes=(256,), layers=[4, Module(noisy)]),
        transformer(),
    ],
)
def test_a_fit_that_is_watched_has_the_same_result(model):
    plain = clone(model).fit(X, y)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    watched = clone(model).set_callbacks(Seen(), ScoringMonitor(scoring={"size": len_of})).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(watched.transform(X), plain.transform(X))
    np.testing.assert_array_equal(watched.history_["loss"], plain.history_["loss"])


def len_of(estimator, X, y):
    return estimator.transform(X).shape[1] + len(y)


def test_callbacks_are_handed_what_fit_is_given():
    pandas = pytest.importorskip("pandas")
    frame, weight, seen = pandas.DataFrame(X, columns=list("abcd")), np.ones(150), Seen()
    model = classifier().set_callbacks(seen)
    model.fit(frame, y, X_val=frame[:9], y_val=y[:9])
    assert seen.rows[0] is frame and seen.rows[1] is y and seen.rows[2] is None
    model.fit(frame, y, sample_weight=weight)
    assert list(seen.rows[2]) == ["sample_weight"]
    assert seen.named("layers 1-2")[-1].predict(frame).shape == (150,)  # without a warning


def test_partial_fit_is_one_task():
    seen = Seen()
    model = classifier().set_callbacks(seen)
    for _ in range(2):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert seen.begun == ["fit", "fit"] and seen.torn == 2
    assert seen.named("fit")[1].n_iter_ == 2


def detector(*callbacks, **params):
    small = transformer(batch_size=50, n_threads=1, callbacks=[*callbacks])
    return FFOutlierDetector(small, random_state=0, **params)


FOLDS = [f"network without fold {number}" for number in range(1, 6)]
WAYS = {
    "some rows held out": ("fit", {"validation_fraction": 0.2}, []),
    "few rows": ("fit", {}, FOLDS),
    "outliers among them": ("fit_predict", {"contamination": 0.1}, FOLDS),
    "among many": ("fit_predict", {"contamination": 0.1, "validation_fraction": 0.2}, FOLDS),
}


@pytest.mark.parametrize("method, params, folds", WAYS.values(), ids=[*WAYS])
def test_the_networks_of_a_detector_of_outliers_are_tasks(method, params, folds, capsys):
    seen, model = Seen(), detector(**params)
    model.set_callbacks(ProgressBar(max_propagation_depth=None), seen)
    getattr(model, method)(X)
    assert [name for name, _ in seen.ended] == ["network", *folds, "fit"] and seen.torn == 1
    assert seen.begun == ["fit", "network", *folds]
    again, found = detector(**params).fit(X), seen.named("fit")[0]
    for fitted in (model, found, pickle.loads(pickle.dumps(clone(model).set_callbacks().fit(X)))):
        np.testing.assert_array_equal(fitted.decision_function(X), again.decision_function(X))
    assert "_callback_fit_ctx" not in vars(model) | vars(found)
    shown = capsys.readouterr().out
    assert shown.count("FFTransformer - layers 1-2") >= 1 + len(folds)


# Ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stop, n_iter",
    [("epoch of layer 1", 1 + 3), ("layer 1", 3), ("epoch of layer 2", 3 + 1), ("fit", 6)],
)
def test_a_callback_ends_the_tasks_around(stop, n_iter):
    model = classifier(schedule="greedy", learning_rate="constant")
    model.set_params(tol=None if stop == "fit" else 1e-4).set_callbacks(Seen([stop]))
    assert model.fit(X, y).n_iter_ == n_iter  # without a warning of a loss that still falls


def raising(error):
    def fail():
        raise error("the callback has failed")

    return fail


PLACES = ["setup", "begin fit", "begin layer 1", "end epoch of layer 1", "end layer 2", "end fit"]


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_of_a_callback_leaves_the_estimator_as_it_was(at, error):
    seen = Seen(fail=raising(error), at=at)
    model = classifier(schedule="greedy").set_callbacks(seen)
    inside = error is KeyboardInterrupt and at in ("end epoch of layer 1", "end layer 2")
    before = set(vars(model))
    if inside:  # ends the training, as of skorch's callbacks
        assert model.fit(X, y).n_iter_ in (1, 6)
    else:
        with pytest.raises(error):
            model.fit(X, y)
        assert set(vars(model)) == before
    assert seen.torn == 1


def waited_for():
    """Threads that the interpreter waits for at its end."""
    return [thread for thread in threading.enumerate() if not thread.daemon]


@pytest.mark.parametrize("cause", ["validation", "divergence", "skorch callback", "second press"])
def test_no_thread_is_waited_for_after_an_error(cause):
    class Fails(Callback):
        def on_batch_end(self, net, **kwargs):
            raise RuntimeError("no")

    calls = {"skorch callback": [Fails()], "second press": [Press("on_batch_end", 2, times=2)]}
    model = classifier(*calls.get(cause, []))
    model.set_params(**({"learning_rate_init": 1e30} if cause == "divergence" else {}))
    before = waited_for()
    model.set_callbacks(ProgressBar())
    labels = y[:3] if cause == "validation" else y
    with pytest.raises((ValueError, DivergenceError, RuntimeError, KeyboardInterrupt)):
        model.fit(X, labels)
    assert waited_for() == before
    assert not hasattr(model, "_callback_fit_ctx")


@pytest.mark.parametrize("schedule", ["simultaneous", "greedy"])
def test_a_press_closes_the_epoch_that_it_cuts_short(schedule):
    seen = Seen()
    model = classifier(Press("on_batch_end", at=4), schedule=schedule)
    interrupted(model.set_callbacks(ProgressBar(), seen), X, y)
    assert sorted(seen.begun) == sorted(task for task, _ in seen.ended)
    name = seen.begun[1]
    assert [fitted is None for fitted in seen.named(f"epoch of {name}")] == [False, True]
    np.testing.assert_array_equal(seen.named(name)[0].predict(X), model.predict(X))


def test_a_press_in_a_callback_keeps_what_is_learned():
    seen = Seen(fail=press, at="begin epoch of layers 1-2")
    model = classifier().partial_fit(X, y, classes=[0, 1, 2]).set_callbacks(seen)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)  # before the first batch there is nothing to keep
    seen.at = "end epoch of layers 1-2"
    interrupted(model, X, y)
    assert model.n_iter_ == 1 and seen.torn == 2


def test_an_error_in_a_network_of_a_detector_leaves_it_as_it_was():
    seen, model = Seen(fail=raising(KeyError), at="begin network without fold 2"), detector().fit(X)
    before, known = waited_for(), vars(model).copy()
    with pytest.raises(KeyError):
        model.set_callbacks(ProgressBar(), seen).fit(X[:100])
    assert waited_for() == before and seen.torn == 1
    assert vars(model.set_callbacks()) == known


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_a_press_keeps_the_one_network_of_a_detector_and_ends_where_others_follow(share):
    model = detector(Press("on_batch_end", at=4), validation_fraction=share)
    if share == 0.2:
        assert interrupted(model, X).transformer_.n_iter_ == 1
        return
    with pytest.raises(KeyboardInterrupt), pytest.warns(InterruptedFitWarning):
        model.fit(X)
    assert not hasattr(model, "transformer_")


# Around estimators ------------------------------------------------------------------------------


def test_bars_and_scores_show_in_a_pipeline(capsys):
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    pipe = make_pipeline(StandardScaler(), transformer(), classifier().set_callbacks(monitor))
    pipe.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capsys.readouterr().out
    assert "FFTransformer - layers 1-2" in shown and "FFClassifier - layers 1-2" in shown
    log = monitor.get_logs().data
    assert len([row for row in log if row["task_name"] == "epoch of layers 1-2"]) == 3
    assert all(0 <= row["accuracy"] <= 1 and row["neg_log_loss"] < 0 for row in log)


def test_a_search_in_two_processes_brings_scores_back(capsys):
    monitor = ScoringMonitor(scoring="accuracy")
    model = classifier().set_callbacks(monitor)
    search = GridSearchCV(model, {"alpha": [0.0, 1e-3]}, cv=2, n_jobs=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    epochs = [row for row in monitor.get_logs().data if row["task_name"].startswith("epoch")]
    assert len(epochs) == (2 * 2 + 1) * 3
    assert capsys.readouterr().out.count("FFClassifier - layers 1-2") >= 5
    assert search.best_estimator_.n_iter_ == 3


def test_scores_of_epochs_are_not_computed_unless_asked_for(monkeypatch):
    class Counts:
        def setup(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context): ...
        def teardown(self, estimator, context): ...

    monkeypatch.setattr("sklearn_ff._tasks.from_state", None)
    assert classifier().set_callbacks(Counts()).fit(X, y).n_iter_ == 3


# Copies -----------------------------------------------------------------------------------------


def test_a_shallow_copy_takes_no_weights_and_stays_as_it_is():
    model = classifier().partial_fit(X, y, classes=[0, 1, 2])
    twin, before = copy.copy(model), model.predict_proba(X)
    assert twin._fitted is model._fitted
    model.partial_fit(X, y).set_params(prediction="last")
    np.testing.assert_array_equal(twin.predict_proba(X), before)
    np.testing.assert_array_equal(twin.partial_fit(X, y).scale_, model.scale_)


def test_a_pickle_of_the_fitted_estimator_holds_no_task():
    seen = Seen()
    model = classifier().set_callbacks(seen).fit(X, y)
    found = seen.named("layers 1-2")[0]
    again = pickle.loads(pickle.dumps(found.set_callbacks()))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert "_callback_fit_ctx" not in vars(found)
    assert [name for name, _ in model.net_.callbacks_] == ["epoch_timer"]


def test_a_file_holds_no_callback(tmp_path):
    model = classifier().set_callbacks(Seen()).fit(X, y)
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert not hasattr(again, "_skl_callbacks")


def test_clones_share_callbacks_as_those_of_scikit_learn():
    seen = Seen()
    for model in (classifier(Callback()), classifier(), transformer()):
        assert clone(model.set_callbacks(seen))._skl_callbacks == [seen]
