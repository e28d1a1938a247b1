"""Callbacks as they are given: locks, sinks and writers reach a fit, and no name breaks it."""

import json
import pickle
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
import torch
from optuna_integration import SkorchPruningCallback
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    WandbLogger,
)

from sklearn_ff import FFClassifier, FFTransformer

X, y = load_iris(return_X_y=True)
HELD_OUT = {"X_val": X[::3], "y_val": y[::3]}


def classifier(*callbacks, **params):
    defaults = {"max_iter": 4, "batch_size": 64, "random_state": 0, "n_threads": 1}
    return FFClassifier((8, 6), **{**defaults, **params}, callbacks=list(callbacks))


def weights(model):
    return {name: value.clone() for name, value in model.net_.module_.state_dict().items()}


class Keep(Callback):
    """Holds a lock, as writers and trials do, and the net."""

    def __init__(self, sink=None):
        self.lock, self.sink = threading.Lock(), [] if sink is None else sink

    def on_epoch_end(self, net, **kwargs):
        with self.lock:
            self.sink.append(net.history[-1, "train_loss"])
        self.net_ = net


# Instances ---------------------------------------------------------------------------------------


def test_a_callback_may_hold_a_lock_and_a_list():
    sink = []
    keep = Keep(sink)
    model = classifier(keep).fit(X, y)
    assert sink == model.loss_curve_ and keep.net_ is model.net_
    assert model.fit(X, y).callbacks == [keep] and len(sink) == 8


def test_the_transformer_uses_them_as_given_too():
    sink = []
    FFTransformer(8, max_iter=3, random_state=0, callbacks=[Keep(sink)]).fit(X)
    assert len(sink) == 3


def test_pairs_as_tuples_or_lists_and_classes_are_called():
    sink = []
    classifier(("a", Keep(sink)), ["b", Keep(sink)], EpochTimer).fit(X, y)
    assert len(sink) == 8


@pytest.mark.parametrize("entry", [(3, Keep()), ("a", Keep(), 1), ["a"]])
def test_pairs_of_another_form_are_refused(entry):
    with pytest.raises(ValueError, match=r"pairs \(name, instance\)"):
        classifier(entry).fit(X, y)


NAMES = ["flat", "decay", "guard", "log", "validation", "epoch_timer", "guard_", "PrintLog"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("params", [{}, {"early_stopping": True, "verbose": 1}])
def test_any_name_may_be_given(name, params, capsys):
    keep = Keep()
    model = classifier((name, keep), **params).fit(X, y)
    assert dict(model.net_.callbacks_)[name] is keep and len(keep.sink) == model.n_iter_
    plain = classifier(**params).fit(X, y)
    assert model.loss_curve_ == plain.loss_curve_, "the package's own take part as ever"


def test_an_unnamed_class_may_have_any_name_too():
    for name in ("flat", "guard", "epoch_timer"):
        kind = type(name, (Keep,), {})
        assert classifier(kind(), learning_rate="constant", tol=None).fit(X, y).n_iter_ == 4


def test_one_name_for_two_callbacks_is_refused():
    with pytest.raises(ValueError, match="Found duplicate user-set callback name 'a'"):
        classifier(("a", Keep()), ("a", Keep())).fit(X, y)


class Rows(Callback):
    """Holds the net, and a reference to the training rows that keeps nothing alive."""

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        self.net_, self.rows_ = net, weakref.ref(dataset_train)
        self.fails_ and self.fail()

    fails_ = False

    def fail(self):
        raise RuntimeError("a fault of the callback")


@pytest.mark.parametrize("fails", [False, True])
def test_no_callback_keeps_training_rows_alive(fails):
    rows = Rows()
    rows.fails_ = fails
    model = classifier(rows, early_stopping=True)
    if fails:
        with pytest.raises(RuntimeError):
            model.fit(X, y)
    else:
        model.fit(X, y)
    assert rows.rows_() is None
    held = [*vars(rows.net_).values(), *vars(rows.net_.module_).values()]
    assert not any(isinstance(value, (np.ndarray, torch.Tensor)) for value in held)


def test_a_fitted_estimator_with_callbacks_pickles_and_clones():
    scheduler = LRScheduler("StepLR", step_size=1)
    callbacks = [scheduler, EarlyStopping("train_loss"), Freezer("layers.0.*"), ProgressBar()]
    model = classifier(*callbacks, learning_rate="constant", tol=None).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    for other in (clone(model), again):
        np.testing.assert_array_equal(other.fit(X, y).predict(X), model.fit(X, y).predict(X))


# What is not recorded ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stage", [{}, {"schedule": "greedy"}, {"schedule": [("all", 4)], "max_iter": "auto"}]
)
@pytest.mark.parametrize("split", [True, False])
@pytest.mark.filterwarnings("ignore:n_iter_no_change=.* has no effect")
def test_held_out_rows_have_a_loss(stage, split):
    model = classifier(early_stopping=split, n_iter_no_change=50, **stage)
    model.fit(X, y, **({} if split else HELD_OUT))
    losses = np.array(model.net_.history[:, "valid_loss"])
    assert len(losses) == model.n_iter_ and np.isfinite(losses).all()
    best = model.net_.history[:, "valid_loss_best"]
    for part in np.split(np.arange(model.n_iter_), range(4, model.n_iter_, 4)):
        lowest = np.minimum.accumulate([np.inf, *losses[part][:-1]])
        assert [best[i] for i in part] == (losses[part] < lowest).tolist()


def test_it_is_the_training_loss_of_these_rows():
    """A rate of nearly zero leaves weights as they are: both losses are then the same."""
    still = {"learning_rate": "constant", "learning_rate_init": 1e-12, "tol": None, "max_iter": 1}
    weight = {0: 1.0, 1: 3.0, 2: 0.5}
    for params in ({}, {"class_weight": weight}, {"goodness": "readout", "objective": "softmax"}):
        model = classifier(negatives="all", batch_size=150, **still, **params)
        model.fit(X, y, X_val=X, y_val=y)
        row = model.net_.history[-1]
        assert row["valid_loss"] == pytest.approx(row["train_loss"], rel=1e-6)


@pytest.mark.parametrize("negatives", ["uniform", "hard", "all", "permuted", "pair_sum", "noise"])
def test_it_moves_no_random_number_of_the_fit(negatives):
    params = {"negatives": negatives}
    if negatives in ("pair_sum", "noise"):
        params["prediction"] = "head"
    plain = classifier(**params).fit(X, y)
    validated = classifier(**params).fit(X, y, **HELD_OUT)
    assert plain.loss_curve_ == validated.loss_curve_
    assert np.isfinite(validated.net_.history[:, "valid_loss"]).all()


def test_a_head_that_learns_alone_has_its_own():
    schedule = [("all", 2), ("head", 2)]
    model = classifier(schedule=schedule, max_iter="auto", prediction="head").fit(X, y, **HELD_OUT)
    head = model.net_.module_.head
    assert head is not None and np.isfinite(model.net_.history[:, "valid_loss"]).all()


@pytest.mark.parametrize("entry", [EarlyStopping(), Checkpoint(), LRScheduler])
def test_what_is_not_recorded_is_named_with_what_is(entry, tmp_path):
    if isinstance(entry, Checkpoint):
        entry = Checkpoint(dirname=str(tmp_path))
    if entry is LRScheduler:
        entry = LRScheduler("ReduceLROnPlateau", monitor="valid_loss")
    model = classifier(entry, learning_rate="constant", tol=None)
    with pytest.raises(ValueError) as error:
        model.fit(X, y)
    for said in (type(entry).__name__, "valid_loss", "'train_loss'", "early_stopping=True"):
        assert said in str(error.value)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert model.fit(X, y, **HELD_OUT).n_iter_ == 4


def test_a_key_error_of_the_user_is_unchanged():
    class Own(Callback):
        def on_epoch_end(self, net, **kwargs):
            {}["mine"]

    with pytest.raises(KeyError, match=r"^'mine'$"):
        classifier(Own()).fit(X, y)


# A study -----------------------------------------------------------------------------------------


class Prune(Callback):
    def __init__(self, trial):
        self.trial = trial

    def on_epoch_end(self, net, **kwargs):
        self.trial.report(net.history[-1, "valid_score"], len(net.history))
        if self.trial.should_prune():
            raise optuna.TrialPruned("no use")


@pytest.mark.parametrize("kind", [Prune, lambda trial: SkorchPruningCallback(trial, "valid_loss")])
def test_a_study_of_optuna_prunes(kind):
    optuna.logging.disable_default_handler()
    by_loss = kind is not Prune

    def objective(trial):
        rate = trial.suggest_float("rate", 1e-7, 1e-2, log=True)
        model = classifier(kind(trial), learning_rate_init=rate, max_iter=8)
        model.fit(X, y, **HELD_OUT)
        return model.net_.history[-1, "valid_loss" if by_loss else "valid_score"]

    study = optuna.create_study(
        direction="minimize" if by_loss else "maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.enqueue_trial({"rate": 1e-2})
    study.enqueue_trial({"rate": 1e-7})
    study.optimize(objective, n_trials=3)
    states = [trial.state.name for trial in study.trials]
    assert states[:2] == ["COMPLETE", "PRUNED"]


# Every callback of skorch -------------------------------------------------------------------------


class Writer:
    """Stands for what TensorBoard and others write to; holds a lock, as these do."""

    def __init__(self, folder="."):
        self.lock, self.logged, self.closed, self.dir = threading.Lock(), [], False, str(folder)

    def add_scalar(self, tag, scalar_value, global_step):
        self.logged.append((tag, float(scalar_value), global_step))

    def close(self):
        self.closed = True

    def watch(self, module):
        self.module = module

    def log(self, values):
        self.logged.append({name: float(value) for name, value in values.items()})

    def log_scalar(self, name, value, step):
        self.logged.append((name, float(value)))

    def log_metric(self, run_id, key, value, step):
        self.logged.append((key, float(value)))

    def set_terminated(self, run_id):
        self.closed = True


def test_tensorboard_writes_numbers():
    writer = Writer()
    model = classifier(TensorBoard(writer)).fit(X, y, **HELD_OUT)
    found = {tag: value for tag, value, step in writer.logged if step == 4}
    assert found["Loss/train_loss"] == model.loss_ and "Loss/valid_loss" in found
    assert writer.closed and not {"statistics", "layers"} & set(found)


def test_wandb_logs_numbers_and_saves_the_best(tmp_path):
    run = Writer(tmp_path)
    model = classifier(WandbLogger(run)).fit(X, y, **HELD_OUT)
    assert run.logged[-1]["train_loss"] == model.loss_ and len(run.logged) == 4
    assert (tmp_path / "best_model.pth").exists()


def test_sacred_and_mlflow_log_numbers():
    experiment, client = Writer(), Writer()
    run = SimpleNamespace(info=SimpleNamespace(run_id="1"))
    mlflow = MlflowLogger(run, client, create_artifact=False)
    model = classifier(SacredLogger(experiment), mlflow).fit(X, y)
    for logged in (experiment.logged, client.logged):
        assert [v for k, v in logged if k == "train_loss"] == model.loss_curve_
    assert client.closed


def test_print_log_prints_no_lists():
    lines = []
    classifier(PrintLog(sink=lines.append)).fit(X, y)
    assert lines[0].split() == ["epoch", "stage", "train_loss", "dur"] and len(lines) == 6


@pytest.mark.parametrize("kind", [Checkpoint, EarlyStopping])
def test_defaults_work_with_held_out_rows(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = classifier(kind(), max_iter=8).fit(X, y, **HELD_OUT)
    assert model.n_iter_ == 8
    if kind is Checkpoint:
        saved = torch.load("params.pt", weights_only=True)
        rows = json.loads((tmp_path / "history.json").read_text())
        assert rows[-1]["valid_loss"] == min(model.net_.history[:, "valid_loss"])
        assert saved.keys() == weights(model).keys()


def test_checkpoint_may_load_the_best(tmp_path):
    third = Checkpoint(lambda net: len(net.history) == 3, dirname=str(tmp_path), load_best=True)
    model = classifier(third, max_iter=6).fit(X, y)
    assert model.loss_curve_ == classifier(max_iter=6).fit(X, y).loss_curve_[:3]
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in weights(model).items())


@pytest.mark.parametrize("learning_rate", ["linear", "constant"])
@pytest.mark.parametrize("kind", [TrainEndCheckpoint, Checkpoint])
def test_a_checkpoint_is_taken_up_by_a_new_estimator(kind, learning_rate, tmp_path):
    options = {"monitor": "train_loss_best"} if kind is Checkpoint else {}
    saving = kind(dirname=str(tmp_path), **options)
    params = {"learning_rate": learning_rate, "tol": None}
    first = classifier(saving, **params).fit(X, y)

    class Start(Callback):
        def on_train_begin(self, net, **kwargs):
            self.weights_ = {n: v.clone() for n, v in net.module_.state_dict().items()}

    start, saving = Start(), kind(dirname=str(tmp_path), **options)
    second = classifier(saving, LoadInitState(saving), start, **{**params, "random_state": 1})
    second.fit(X, y)
    assert all(torch.equal(start.weights_[name], value) for name, value in weights(first).items())
    assert second.loss_curve_[:4] == first.loss_curve_
    assert second.n_iter_ == 8 and len(second.history_["loss"]) == 8


def test_nothing_is_taken_up_where_nothing_is_saved(tmp_path):
    saving = TrainEndCheckpoint(dirname=str(tmp_path))
    model = classifier(saving, LoadInitState(saving)).fit(X, y)
    assert model.loss_curve_ == classifier().fit(X, y).loss_curve_


POLICIES = [
    ("StepLR", {"step_size": 2}),
    ("MultiStepLR", {"milestones": [1, 3]}),
    ("ExponentialLR", {"gamma": 0.5}),
    ("CosineAnnealingLR", {"T_max": 3}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.5**epoch}),
    ("WarmRestartLR", {"base_period": 2}),
    ("ReduceLROnPlateau", {"patience": 0, "threshold": 1e9}),
    ("CyclicLR", {"base_lr": 1e-4, "max_lr": 1e-2, "cycle_momentum": False}),
]


@pytest.mark.parametrize("policy, options", POLICIES)
def test_every_policy_of_rates_changes_them(policy, options):
    class Rates(Callback):
        def on_train_begin(self, net, **kwargs):
            self.rates_ = set()

        def on_batch_end(self, net, **kwargs):
            self.rates_.add(net.optimizer_.param_groups[0]["lr"])

    rates = Rates()
    every = "batch" if policy == "CyclicLR" else "epoch"
    callbacks = LRScheduler(policy, step_every=every, **options), rates
    model = classifier(*callbacks, learning_rate="constant", tol=None).fit(X, y)
    assert len(rates.rates_) > 1 and model.score(X, y) > 0.3


def test_initializer_sets_weights_before_the_first_batch():
    seen = []

    class See(Callback):
        def on_batch_begin(self, net, **kwargs):
            seen.append(float(net.module_.layers[1].affine.bias.detach()[0]))

    classifier(Initializer("layers.1.affine.bias", fn=lambda p: p.data.fill_(0.5)), See()).fit(X, y)
    assert seen[0] == 0.5


def test_clipping_and_a_timer_of_the_users_own():
    model = classifier(GradientNormClipping(1.0), EpochTimer()).fit(X, y)
    assert all(seconds > 0 for seconds in model.net_.history[:, "dur"])


def test_input_shape_setter_is_refused():
    with pytest.raises(ValueError, match=r"InputShapeSetter.*read from X"):
        classifier(InputShapeSetter()).fit(X, y)
