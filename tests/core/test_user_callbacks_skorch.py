"""skorch's callbacks in earnest: they do with these layers what they do with any network."""

import copy
import json
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
    ProgressBar,
    TrainEndCheckpoint,
)
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from sklearn_ff import FFClassifier, InterruptedFitWarning

X, y = load_iris(return_X_y=True)


def fit(*callbacks, **params):
    defaults = {"max_iter": 4, "batch_size": 64, "random_state": 0, "n_threads": 1}
    model = FFClassifier((8, 6), **{**defaults, **params}, callbacks=list(callbacks))
    return model.fit(X, y)


def constant(*callbacks, **params):
    """With a constant rate; a loss that is flat at once ends the fit after four epochs."""
    params = {"learning_rate": "constant", "tol": 1e9, "n_iter_no_change": 3, **params}
    return fit(*callbacks, **{"max_iter": 20, **params})


def callback(model, name):
    """A user's callback that took part in the fit."""
    return dict(model.net_.callbacks_)[name]


def weights(model):
    return {name: value.clone() for name, value in model.net_.module_.state_dict().items()}


def same(a, b):
    return all(torch.equal(value, b[name]) for name, value in a.items())


class Watch(Callback):
    """Rates before every batch, and the norm of every gradient that it is shown."""

    def on_train_begin(self, net, **kwargs):
        self.rates_, self.norms_ = [], []

    def on_batch_begin(self, net, **kwargs):
        self.rates_.append([group["lr"] for group in net.optimizer_.param_groups])

    def on_grad_computed(self, net, named_parameters, **kwargs):
        squares = [p.grad.double().square().sum() for _, p in named_parameters]
        self.norms_.append(float(sum(squares)) ** 0.5)


# Learning rates ---------------------------------------------------------------------------------


def test_lr_scheduler_changes_the_rate_of_every_layer():
    rates = [0.01, 0.002]
    plain = constant(Watch(), learning_rate_init=rates)
    stepped = constant(
        LRScheduler(StepLR, step_size=1, gamma=0.5), Watch(), learning_rate_init=rates
    )
    assert plain.n_iter_ == stepped.n_iter_ == 4
    np.testing.assert_allclose(callback(plain, "Watch").rates_, np.tile(rates, (12, 1)))
    expected = np.outer(np.repeat(0.5 ** np.arange(4), 3), rates)
    np.testing.assert_allclose(callback(stepped, "Watch").rates_, expected)
    np.testing.assert_allclose(stepped.net_.history[:3, "event_lr"], [0.01, 0.005, 0.0025])
    assert plain.loss_curve_[0] == stepped.loss_curve_[0], "the first epoch is the same"
    assert plain.loss_curve_[1] != stepped.loss_curve_[1]
    assert not same(weights(plain), weights(stepped))


def test_lr_scheduler_may_step_at_every_batch():
    model = constant(LRScheduler(StepLR, step_size=1, gamma=0.9, step_every="batch"), Watch())
    expected = 5e-3 * 0.9 ** np.arange(12)
    np.testing.assert_allclose(callback(model, "Watch").rates_, np.tile(expected, (2, 1)).T)
    recorded = [batch["event_lr"] for epoch in model.net_.history for batch in epoch["batches"]]
    np.testing.assert_allclose(recorded, expected)


def test_lr_scheduler_may_watch_the_training_loss():
    plateau = LRScheduler(ReduceLROnPlateau, patience=0, threshold=1e9, threshold_mode="abs")
    rates = np.array(callback(constant(plateau, Watch()), "Watch").rates_)
    np.testing.assert_allclose(rates[::3, 0], [5e-3, 5e-3, 5e-4, 5e-5], rtol=1e-6)


def test_our_own_decay_without_a_scheduler():
    rates = np.array(callback(fit(Watch(), learning_rate_init=[0.01, 0.002]), "Watch").rates_)
    np.testing.assert_allclose(rates, np.outer(1 - np.arange(12) / 12, [0.01, 0.002]))


# Gradients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1e-2, 1e-4])
@pytest.mark.parametrize("prediction, n_modules", [("goodness", 2), ("hybrid", 3)])
def test_gradient_norm_clipping_clips_each_layer(limit, prediction, n_modules):
    callbacks = [("before", Watch()), GradientNormClipping(limit), ("after", Watch())]
    model = fit(*callbacks, prediction=prediction, optimizer="sgd", learning_rate_init=1.0)
    before, after = (np.array(callback(model, name).norms_) for name in ("before", "after"))
    assert len(before) == len(after) == 4 * 3 * n_modules
    assert (after <= limit * (1 + 1e-4)).all()
    assert (before > limit).mean() > 0.3, "there is something to clip"
    expected = np.minimum(before, limit)
    np.testing.assert_allclose(after, expected, rtol=1e-3)


def test_clipped_gradients_are_those_that_the_optimizer_uses():
    params = {"optimizer": "sgd", "learning_rate_init": 1.0, "max_iter": 1, "batch_size": 150}
    start = weights(fit(GradientNormClipping(1e-30), **params))
    clipped = weights(fit(GradientNormClipping(1e-3), **params))
    for layer in ("layers.0.", "layers.1."):
        moves = [clipped[n] - start[n] for n in start if n.startswith(layer) and "peers" not in n]
        distance = torch.cat([move.flatten() for move in moves]).norm()
        assert float(distance) == pytest.approx(1e-3, rel=1e-3)


# Checkpoints ------------------------------------------------------------------------------------


def test_checkpoint_saves_the_weights_of_the_best_epoch(tmp_path):
    class Keep(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.kept_ = [*getattr(self, "kept_", []), copy.deepcopy(net.module_.state_dict())]

    saving = Checkpoint(monitor="train_loss_best", dirname=tmp_path)
    model = fit(Keep(), saving, max_iter=6)
    best = int(np.argmin(model.loss_curve_))
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert same(saved, callback(model, "Keep").kept_[best])
    assert model.net_.history[best, "event_cp"]
    history = json.loads((tmp_path / "history.json").read_text())
    assert [row["train_loss"] for row in history] == model.loss_curve_[: best + 1]


def test_checkpoint_monitors_held_out_rows(tmp_path):
    saving = Checkpoint(monitor="valid_score_best", dirname=tmp_path)
    model = fit(saving, max_iter=6, early_stopping=True)
    scores = np.array(model.validation_scores_)
    best = scores > np.maximum.accumulate([-np.inf, *scores[:-1]])
    assert model.net_.history[:, "event_cp"] == best.tolist()
    assert same(torch.load(tmp_path / "params.pt", weights_only=True), weights(model))


@pytest.mark.parametrize("learning_rate", ["linear", "cosine", "constant"])
def test_checkpoint_may_pickle_the_whole_net(tmp_path, learning_rate):
    saving = Checkpoint(monitor="train_loss_best", f_pickle="net.pkl", dirname=tmp_path)
    model = fit(saving, learning_rate=learning_rate, early_stopping=True)
    with open(tmp_path / "net.pkl", "rb") as file:
        net = pickle.load(file)
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert same(saved, net.module_.state_dict())
    best = int(np.argmin(model.loss_curve_))
    assert net.history[:, "train_loss"] == model.loss_curve_[: best + 1]


def test_saved_weights_load_back(tmp_path):
    model = fit(TrainEndCheckpoint(dirname=tmp_path))
    trained, proba = weights(model), model.predict_proba(X)
    with torch.no_grad():
        for parameter in model.net_.module_.parameters():
            parameter.normal_()
    assert not np.allclose(model.predict_proba(X), proba)
    model.net_.load_params(f_params=tmp_path / "train_end_params.pt")
    assert same(weights(model), trained)
    np.testing.assert_array_equal(model.predict_proba(X), proba)


# Stopping early ---------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["simultaneous", "greedy"])
def test_early_stopping_ends_training_and_leaves_a_fitted_estimator(schedule):
    stop = EarlyStopping("train_loss", patience=2, threshold=1e9, threshold_mode="abs")
    with warnings.catch_warnings():
        warnings.simplefilter("error", InterruptedFitWarning)
        model = fit(stop, max_iter=50, schedule=schedule)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.net_.history) == 3
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-6)
    assert model.n_features_in_ == 4 and model.classes_.tolist() == [0, 1, 2]


def test_a_stop_before_the_last_epoch_warns_of_no_loss_still_falling():
    class StopAtTwo(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    assert fit(StopAtTwo(), learning_rate="constant", max_iter=30).n_iter_ == 2


def test_early_stopping_lets_a_loss_that_falls_go_on():
    stop = EarlyStopping("train_loss", patience=20, threshold=1e-6)
    assert fit(stop, max_iter=15).n_iter_ == 15


def test_early_stopping_can_restore_the_best_weights():
    class Worse(Callback):
        """From the third epoch on, the loss in the history rises."""

        def on_epoch_end(self, net, **kwargs):
            if len(net.history) > 2:
                net.history.record("train_loss", 100.0 + len(net.history))

    stop = EarlyStopping("train_loss", patience=3, load_best=True)
    model = fit(Worse(), stop, max_iter=50, learning_rate="linear")
    assert model.n_iter_ == 5

    class StopAtTwo(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    assert same(weights(model), weights(fit(StopAtTwo(), max_iter=50)))


# What is printed --------------------------------------------------------------------------------


def test_verbose_prints_a_line_per_epoch(capsys):
    model = fit(verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "layers_learning", "train_loss", "dur"]
    assert len(lines) == 2 + 4
    for epoch, line in enumerate(lines[2:], 1):
        assert line.split()[0] == str(epoch)
        assert f"{model.loss_curve_[epoch - 1]:.4f}" in line


def test_verbose_with_held_out_rows_prints_their_score(capsys):
    model = fit(verbose=1, early_stopping=True, n_iter_no_change=50)
    lines = capsys.readouterr().out.splitlines()
    columns = ["epoch", "layers_learning", "train_loss", "valid_loss", "valid_score", "dur"]
    assert lines[0].split() == columns
    for score, line in zip(model.validation_scores_, lines[2:], strict=True):
        assert f"{score:.4f}" in line


def test_silent_by_default(capsys):
    fit()
    assert capsys.readouterr() == ("", "")


def test_a_print_log_of_the_users_own(capsys):
    lines = []
    fit(PrintLog(keys_ignored=["statistics", "layers"], sink=lines.append))
    assert len(lines) == 2 + 4
    assert "train_loss" in lines[0]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("schedule, epochs", [("simultaneous", 4), ("greedy", 8)])
def test_progress_bar_counts_batches(capsys, schedule, epochs):
    model = fit(ProgressBar(detect_notebook=False), verbose=1, schedule=schedule)
    shown = capsys.readouterr()
    assert "0/3" in shown.err, "three batches of 64 rows"
    assert len(shown.out.splitlines()) == 2 + epochs == 2 + model.n_iter_


# Instances as they are given --------------------------------------------------------------------


class Counter(Callback):
    def __init__(self, seen):
        self.seen = seen

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(len(net.history))
        self.net_ = net


def test_callbacks_are_used_without_a_copy():
    seen = []
    counter, scheduler = Counter(seen), LRScheduler(StepLR, step_size=1)
    model = constant(counter, scheduler)
    assert callback(model, "Counter") is counter and callback(model, "LRScheduler") is scheduler
    assert seen == [1, 2, 3, 4] and counter.seen is seen
    model.fit(X, y)
    assert seen == [1, 2, 3, 4] * 2, "a second fit begins anew"


def test_callbacks_are_called_in_the_given_order():
    order = []

    class Tell(Callback):
        def __init__(self, name):
            self.name = name

        def on_epoch_end(self, net, **kwargs):
            order.append(self.name)

    fit(("z", Tell("first")), ("a", Tell("second")), max_iter=1)
    assert order == ["first", "second"]


class Ends(Callback):
    def on_train_begin(self, net, **kwargs):
        self.told_ = []

    def on_epoch_end(self, net, **kwargs):
        self.told_.append(len(net.history))


class StopAtThree(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("schedule", ["simultaneous", "greedy"])
@pytest.mark.parametrize("how", ["flat loss", "validation", "callback"])
def test_callbacks_are_called_for_the_last_epoch_too(capsys, schedule, how):
    ends, params = Ends(), {"schedule": schedule, "verbose": 1}
    if how == "flat loss":
        model = constant(ends, **params)
    elif how == "validation":
        model = fit(ends, early_stopping=True, tol=1e9, n_iter_no_change=2, max_iter=20, **params)
    else:
        model = fit(StopAtThree(), ends, max_iter=20, **params)
        assert model.n_iter_ == 3
    assert model.n_iter_ < 20
    assert callback(model, "Ends").told_ == list(range(1, model.n_iter_ + 1))
    assert len(capsys.readouterr().out.splitlines()) == 2 + model.n_iter_


# History ----------------------------------------------------------------------------------------

VALID = {"valid_loss", "valid_loss_best", "valid_score", "valid_score_best"}
KEYS = {"batches", "epoch", "train_loss", "train_loss_best", "stage", "layers", "statistics", "dur"}


def test_history_of_the_net():
    history = fit().net_.history
    assert history[:, "epoch"] == [1, 2, 3, 4]
    assert all(set(row) == KEYS for row in history)
    assert history[:, "layers"] == [[0, 1]] * 4
    assert np.shape(history[:, "statistics"]) == (4, 4, 2)
    assert all(seconds > 0 for seconds in history[:, "dur"])


def test_history_of_the_net_marks_the_best_epochs():
    model = fit(learning_rate_init=0.3, max_iter=12)
    losses = np.array(model.net_.history[:, "train_loss"])
    assert losses.tolist() == model.loss_curve_
    best = losses < np.minimum.accumulate([np.inf, *losses[:-1]])
    assert model.net_.history[:, "train_loss_best"] == best.tolist()
    assert not best.all(), "so high a rate makes the loss rise somewhere"


def test_history_of_the_net_with_held_out_rows():
    model = fit(early_stopping=True, n_iter_no_change=50)
    assert all(set(row) == KEYS | VALID for row in model.net_.history)
    assert model.net_.history[:, "valid_score"] == model.validation_scores_


def test_history_of_a_greedy_fit_names_the_layer_that_learned():
    history = fit(schedule="greedy").net_.history
    assert history[:, "layers"] == [[0]] * 4 + [[1]] * 4
    assert np.shape(history[:, "statistics"]) == (8, 4, 1)


class ByInstance(Callback):
    """Takes its hook when training begins."""

    def on_train_begin(self, net, **kwargs):
        self.heard_ = []
        self.on_grad_computed = lambda net, named_parameters, **kwargs: self.heard_.append(1)


def test_a_hook_on_gradients_may_sit_on_the_instance():
    model = FFClassifier(8, callbacks=[ByInstance()], max_iter=3, random_state=0)
    model.fit(*load_iris(return_X_y=True))
    assert len(callback(model, "ByInstance").heard_) == 3
