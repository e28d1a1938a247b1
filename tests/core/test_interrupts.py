"""Ctrl-C: the first press keeps what is learned, the second one passes; nothing is ever torn."""

import os
import signal
import sys
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch
from pressing import Press, classifier, interrupted, press
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback, Checkpoint

import sklearn_ff
from sklearn_ff import FFTransformer, InterruptedFitWarning

X, y = load_iris(return_X_y=True)
PACKAGE = os.path.dirname(sklearn_ff.__file__)


def weights(net):
    return {name: value.clone() for name, value in net.module_.state_dict().items()}


def same(a, b):
    return all(torch.equal(value, b[name]) for name, value in a.items())


class Batches(Callback):
    """The weights after every batch."""

    def initialize(self):
        self.weights_ = []
        return self

    def on_batch_end(self, net, **kwargs):
        self.weights_.append(weights(net))


def assert_usable(model):
    proba = model.predict_proba(X)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-5)
    assert np.isfinite(model.scale_) and model.n_features_in_ == 4
    assert len(model.loss_curve_) == model.n_iter_ == len(model.history_["loss"])


# The first press -----------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["on_grad_computed", "on_batch_end"])
@pytest.mark.parametrize("schedule", ["simultaneous", "greedy", [("all", 3), ("head", 2)]])
def test_a_press_in_the_first_epoch_keeps_the_batch(hook, schedule):
    batches = Batches()
    model = classifier(batches, Press(hook), schedule=schedule, prediction="hybrid")
    interrupted(model, X, y)
    assert model.n_iter_ == 0 and np.isnan(model.loss_)
    assert len(batches.weights_) == 1 and same(weights(model.net_), batches.weights_[0])
    assert_usable(model)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_stage_begin", "on_epoch_begin"])
def test_a_press_before_the_first_update_passes(hook):
    model = classifier(Press(hook))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize("at", [2, 5, 8])
def test_a_press_between_two_layers_keeps_whole_batches(at):
    batches = Batches()
    model = interrupted(classifier(batches, Press("on_grad_computed", at)), X, y)
    n_batches = -(-at // 2)
    assert len(batches.weights_) == n_batches and model.n_iter_ == n_batches // 3
    assert same(weights(model.net_), batches.weights_[-1])
    assert_usable(model)


def test_an_epoch_of_one_batch_is_complete():
    model = interrupted(classifier(Press("on_grad_computed"), batch_size=150), X, y)
    assert model.n_iter_ == 1 and np.isfinite(model.loss_)


@pytest.mark.parametrize("hook, at", [("on_stage_end", 1), ("on_stage_begin", 2)])
@pytest.mark.parametrize("schedule", ["greedy", [(0, 3), (1, 3)]])
def test_a_press_between_stages_does_not_build_the_next_layer(hook, at, schedule):
    model = interrupted(classifier(Press(hook, at), schedule=schedule), X, y)
    assert model.n_iter_ == 3 and model.score(X, y) > 0.5
    assert np.isnan(model.history_["loss"][:, 1]).all()
    proba = model.predict_proba(X)
    with torch.no_grad():
        next(model.net_.module_.layers[1].parameters()).mul_(100)
    np.testing.assert_array_equal(model.predict_proba(X), proba)


@pytest.mark.parametrize("hook", ["on_stage_end", "on_train_end"])
def test_a_press_after_the_last_update_is_reported(hook):
    model = interrupted(classifier(Press(hook)), X, y)
    plain = classifier().fit(X, y)
    assert model.n_iter_ == 3
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


class AfterTraining:
    """A goodness that presses at its first call after the end of training."""

    def __init__(self, times=1):
        self.over, self.times = False, times

    def __call__(self, h):
        if self.over:
            self.over = False
            for _ in range(self.times):
                press()
        return h.square().mean(-1)


class Over(Callback):
    def __init__(self, goodness):
        self.goodness = goodness

    def on_train_end(self, net, **kwargs):
        self.goodness.over = True


def test_a_press_while_probabilities_are_scaled_keeps_the_network():
    goodness = AfterTraining()
    model = interrupted(classifier(Over(goodness), goodness=goodness), X, y)
    plain = classifier(goodness="mean_square").fit(X, y)
    assert model.n_iter_ == 3
    assert model.scale_ == pytest.approx(plain.scale_)
    with pytest.raises(KeyboardInterrupt):
        other = AfterTraining(times=2)
        classifier(Over(other), goodness=other).fit(X, y)


class WhileHeldOutRowsAreScored:
    """A goodness that presses in one of its calls without a gradient, which score rows."""

    def __init__(self, times=1):
        self.calls, self.times = 0, times

    def __call__(self, h):
        if not torch.is_grad_enabled():
            self.calls += 1
            if self.calls == 3:
                for _ in range(self.times):
                    press()
        return h.square().mean(-1)


def test_a_press_while_held_out_rows_are_scored():
    held_out = {"X_val": X[::5], "y_val": y[::5]}
    model = classifier(goodness=WhileHeldOutRowsAreScored())
    interrupted(model, X, y, **held_out)
    assert model.n_iter_ < 3
    assert_usable(model)
    twice = classifier(goodness=WhileHeldOutRowsAreScored(2))
    with pytest.raises(KeyboardInterrupt):
        twice.fit(X, y, **held_out)
    assert not hasattr(twice, "net_")


class WhileWeightsAreCopied(Callback):
    """Press while the `at`-th copy of the weights is taken."""

    def __init__(self, at, times):
        self.at, self.times = at, times

    def on_train_begin(self, net, **kwargs):
        self.copies_ = 0
        net.module_.layers[1].register_state_dict_pre_hook(self.count)

    def count(self, *args):
        self.copies_ += 1
        if self.copies_ == self.at:
            for _ in range(self.times):
                press()


@pytest.mark.parametrize("at", [1, 2])
def test_a_press_while_the_best_weights_are_copied(at):
    model = classifier(WhileWeightsAreCopied(at, 1), early_stopping=True)
    interrupted(model, X, y)
    assert model.n_iter_ in (1, 2)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert_usable(model)
    twice = classifier(WhileWeightsAreCopied(at, 2), early_stopping=True)
    with pytest.raises(KeyboardInterrupt):
        twice.fit(X, y)
    assert not hasattr(twice, "net_")


def test_partial_fit_keeps_what_it_has_learned():
    batches = Batches()
    model = classifier(batches, Press("on_grad_computed", 4))
    with pytest.warns(InterruptedFitWarning):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert len(batches.weights_) == 2 and same(weights(model.net_), batches.weights_[-1])
    model.set_params(callbacks=None).partial_fit(X, y)
    assert model.n_iter_ == 1
    assert_usable(model)


def test_features_are_kept_too():
    model = FFTransformer((8, 6), callbacks=[Press("on_grad_computed", 2)], random_state=0)
    assert np.isfinite(interrupted(model, X).transform(X)).all()


def test_what_has_diverged_before_the_press_is_not_kept():
    class Ruin(Callback):
        def on_batch_end(self, net, **kwargs):
            with torch.no_grad():
                next(net.module_.layers[0].parameters()).fill_(np.nan)

    model = classifier(Ruin(), Press("on_batch_end"))
    with pytest.raises(sklearn_ff.DivergenceError):
        model.fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


# The second press ----------------------------------------------------------------------------


HOOKS = ["on_grad_computed", "on_batch_end", "on_epoch_end", "on_stage_end", "on_train_end"]


@pytest.mark.fault("F3")
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("way", ["fit", "partial_fit", "warm start"])
def test_a_second_press_raises_and_does_not_change_the_estimator(hook, way):
    model = classifier(warm_start=way == "warm start")
    model.fit(X, y)
    before, proba = vars(model).copy(), model.predict_proba(X)
    model.set_params(callbacks=[Press(hook, times=2)])
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, y) if way == "partial_fit" else model.fit(X, y)
    assert {**vars(model), "callbacks": []} == {**before, "callbacks": []}
    np.testing.assert_array_equal(model.predict_proba(X), proba)


def test_a_second_press_passes_though_a_callback_catches_it():
    class Deaf(Callback):
        def on_batch_end(self, net, **kwargs):
            for _ in range(2):
                with suppress(KeyboardInterrupt):
                    press()

    model = classifier(Deaf())
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert not hasattr(model, "net_")


def test_a_callback_can_end_training_after_a_press():
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    assert interrupted(classifier(Press("on_epoch_end"), Stop()), X, y).n_iter_ == 1


@pytest.mark.parametrize("hook", ["on_grad_computed", "on_stage_begin", "on_train_end"])
def test_a_callback_can_end_training_in_every_hook(hook):
    class Stop(Callback):
        pass

    def ask(*args, **kwargs):
        if batches.weights_:
            raise KeyboardInterrupt

    batches = Batches()
    setattr(Stop, hook, ask)
    model = classifier(batches, Stop(), schedule="greedy").fit(X, y)
    assert same(weights(model.net_), batches.weights_[-1])


# Wherever it comes ---------------------------------------------------------------------------


class PressAtCalls:
    """Press when functions of the package are called for the n-th time."""

    def __init__(self, *numbers):
        self.numbers, self.calls = set(numbers), 0

    def __call__(self, frame, event, arg):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.calls += 1
            if self.calls in self.numbers:
                press()

    def __enter__(self):
        sys.setprofile(self)
        return self

    def __exit__(self, *args):
        sys.setprofile(None)


def fitted_with(presses, early_stopping):
    """How a fit ends: its model and the first warning or exception."""
    # With a callback, as where calls are counted: it costs some of its own.
    model = classifier(Batches(), max_iter=2, early_stopping=early_stopping)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with presses:
                model.fit(X, y)
        except KeyboardInterrupt:
            return model, KeyboardInterrupt
    return model, caught[0].category if caught else None


def test_a_press_while_ranks_are_asked_for_one_counts(monkeypatch):
    batches, pressed = Batches(), []

    def most(ranks, value):
        if getattr(batches, "weights_", []) and not pressed:
            pressed.append(press())
        return value

    monkeypatch.setattr("sklearn_ff._ranks.Alone.most", most)
    with pytest.warns(InterruptedFitWarning):
        model = classifier(batches, max_iter=2).fit(X, y)
    assert same(weights(model.net_), batches.weights_[-1])


@pytest.mark.slow  # Python says that it ignores errors where a generator is deleted
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_wherever_it_comes_weights_are_those_of_a_whole_batch(early_stopping):
    batches, counter = Batches(), PressAtCalls()
    with counter:
        model = classifier(batches, max_iter=2, early_stopping=early_stopping).fit(X, y)
    assert counter.calls > 500
    ends = []
    for number in np.linspace(1, counter.calls - 40, 40).astype(int):
        model, end = fitted_with(PressAtCalls(number), early_stopping)
        ends.append(end)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if end is KeyboardInterrupt:
            assert not hasattr(model, "net_") and not hasattr(model, "classes_")
        else:
            assert end is InterruptedFitWarning
            assert any(same(weights(model.net_), whole) for whole in batches.weights_)
            assert_usable(model)
    first = ends.index(InterruptedFitWarning)
    assert KeyboardInterrupt not in ends[first:], "what is learned is never lost"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("gap", [1, 7, 100])
def test_wherever_the_second_comes_it_passes(gap):
    counter = PressAtCalls()  # also where Python ignores errors, as where a generator is deleted
    with counter:
        classifier(max_iter=2, early_stopping=True).fit(X, y)
    for number in np.linspace(1, counter.calls - gap - 60, 12).astype(int):
        model, end = fitted_with(PressAtCalls(number, number + gap), early_stopping=True)
        assert end is KeyboardInterrupt
        assert set(vars(model)) == set(classifier().get_params())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# With a checkpoint that puts the best weights back ------------------------------------------------


@pytest.mark.parametrize("event_name", ["event_cp", None])
@pytest.mark.parametrize("left_by_another_fit", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_press_before_the_first_checkpoint_keeps_the_batch(
    first, left_by_another_fit, event_name, tmp_path
):
    def saving(**options):
        return Checkpoint("train_loss_best", dirname=str(tmp_path), **options)

    if left_by_another_fit:
        classifier(saving(), random_state=1).fit(X, y)
    best, batches = saving(load_best=True, event_name=event_name), Batches()
    callbacks = [batches, Press("on_batch_end", at=2)]
    model = classifier(*([best, *callbacks] if first else [*callbacks, best]))
    interrupted(model, X, y)
    assert_usable(model)
    assert same(weights(model.net_), batches.weights_[-1]) and model.n_iter_ == 0


def test_a_press_after_a_checkpoint_puts_the_best_weights_back(tmp_path):
    best = Checkpoint("train_loss_best", dirname=str(tmp_path), load_best=True)
    batches = Batches()
    model = classifier(best, batches, Press("on_batch_end", at=5))
    interrupted(model, X, y)
    assert_usable(model)
    assert same(weights(model.net_), batches.weights_[2]) and model.n_iter_ == 1


def test_a_checkpoint_that_never_saves_leaves_the_last_weights(tmp_path):
    best = Checkpoint(lambda net: False, dirname=str(tmp_path), load_best=True)
    model = classifier(best).fit(X, y)
    assert_usable(model)
    assert model.loss_curve_ == classifier().fit(X, y).loss_curve_
