"""Callbacks of the user: which are refused, how they are copied, and what they load."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EpochScoring,
    LoadInitState,
    TrainEndCheckpoint,
)

from sklearn_ff import FFClassifier, FFTransformer

X, y = load_iris(return_X_y=True)


class Locked(Callback):
    """Counts epochs under a lock."""

    def __init__(self):
        self.lock, self.n_epochs = threading.Lock(), 0

    def on_epoch_end(self, net, **kwargs):
        with self.lock:
            self.n_epochs += 1


class Counting(Callback):
    """Counts epochs; can be copied."""

    n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


def model(*callbacks, cls=FFClassifier, **params):
    return cls(8, max_iter=2, callbacks=list(callbacks), random_state=0, **params)


@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
@pytest.mark.parametrize("named", [False, True])
def test_a_clone_shares_callbacks_that_cannot_be_copied(cls, named):
    locked = Locked()
    clone(model(("locked", locked) if named else locked, Counting(), cls=cls)).fit(X, y)
    assert locked.n_epochs == 2


def test_a_clone_copies_what_can_be_copied():
    counting = Counting()
    original = model(counting)
    copied = clone(original).fit(X, y)
    assert counting.n_epochs == 0 and copied.callbacks[0].n_epochs == 2
    assert original.callbacks == [counting]


@pytest.mark.parametrize("given", [None, [], ()])
def test_clones_without_callbacks_stay_so(given):
    assert clone(FFClassifier(callbacks=given)).callbacks == given


@pytest.mark.parametrize("pipeline", [False, True])
def test_model_selection_runs_with_what_cannot_be_copied(pipeline):
    locked = Locked()
    estimator = model(locked)
    estimator = make_pipeline(StandardScaler(), estimator) if pipeline else estimator
    cross_val_score(estimator, X, y, cv=2, error_score="raise")
    assert locked.n_epochs == 4
    name = "ffclassifier__alpha" if pipeline else "alpha"
    GridSearchCV(estimator, {name: [0, 1]}, cv=2, error_score="raise").fit(X, y)
    assert locked.n_epochs == 4 + 8 + 2


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("way", [pickle.dumps, copy.deepcopy])
def test_what_cannot_be_pickled_is_named(way, fitted):
    estimator = model(Counting(), ("mine", Locked()))
    estimator = estimator.fit(X, y) if fitted else estimator
    with pytest.raises(TypeError, match=r"callbacks holds Locked, .*lock.*callbacks=None"):
        way(estimator)
    way(estimator.set_params(callbacks=None))


def test_a_shallow_copy_shares_callbacks():
    locked = Locked()
    estimator = model(locked).fit(X, y)
    twin = copy.copy(estimator)
    assert twin.callbacks[0] is locked
    np.testing.assert_array_equal(twin.predict_proba(X), estimator.predict_proba(X))


def test_callbacks_that_only_some_picklers_know_pass():
    function = model(Counting())
    function.callbacks[0].module = json  # no pickle, but cloudpickle
    assert function.__getstate__()["callbacks"][0].module is json


@pytest.mark.parametrize("directory", ["none", "given"])
def test_loading_what_is_never_saved_is_refused(directory, tmp_path):
    path = {} if directory == "none" else {"dirname": str(tmp_path / "models")}
    with pytest.raises(ValueError, match=r"LoadInitState loads .*no file .*train_end_history.json"):
        model(LoadInitState(TrainEndCheckpoint(**path))).fit(X, y)


@pytest.mark.parametrize("again", [False, True])
def test_what_was_saved_is_loaded_without_the_checkpoint(again, tmp_path):
    saving = TrainEndCheckpoint(dirname=str(tmp_path))
    first = model(saving).fit(X, y)
    saving = TrainEndCheckpoint(dirname=str(tmp_path)) if again else saving
    assert model(LoadInitState(saving)).fit(X, y).loss_curve_[:2] == first.loss_curve_


def test_both_callbacks_stay_together_in_clones(tmp_path):
    saving = TrainEndCheckpoint(dirname=str(tmp_path))
    estimator = model(LoadInitState(saving), saving)
    assert len(cross_val_score(estimator, X, y, cv=2, error_score="raise")) == 2


@pytest.mark.parametrize("kind", [TrainEndCheckpoint, Checkpoint])
def test_weights_of_another_network_are_refused(kind, tmp_path):
    options = {"monitor": "train_loss_best"} if kind is Checkpoint else {}
    saving = kind(dirname=str(tmp_path), **options)
    model(saving).fit(X, y)
    with pytest.raises(ValueError, match="LoadInitState loads weights of another network"):
        model(LoadInitState(saving)).set_params(hidden_layer_sizes=9).fit(X, y)


def classifier(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


class Stop(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


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
