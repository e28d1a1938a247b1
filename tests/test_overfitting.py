"""A loss of held-out rows that rises for long is warned of, and nothing else is."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_classification
from skorch.callbacks import Checkpoint

from sklearn_ff import FFClassifier, OverfittingWarning
from sklearn_ff._overfitting import overfitted

FALLS = np.linspace(1, 0, 40)
RISES = np.r_[np.linspace(1, 0.8, 8), np.linspace(0.8, 1.4, 32)]
SCORES = np.r_[np.linspace(0.5, 0.8, 8), np.linspace(0.8, 0.7, 32)]
CASES = {
    "rises": (FALLS, RISES, SCORES, (1, 9, 40)),
    "and the training loss too": (RISES, RISES, SCORES, None),
    "by less than it had fallen": (FALLS, np.r_[5.0, RISES[1:]], SCORES, None),
    "at the end alone": (FALLS, np.r_[FALLS[:32], 0.4 + FALLS[:8]], SCORES, None),
    "for a short time": (FALLS, np.r_[RISES[:30], np.full(10, 0.8)], SCORES, None),
    "and the score too": (FALLS, RISES, np.linspace(0.5, 0.9, 40), None),
    "as one of a million": (FALLS, 1 + 1e-6 * RISES, SCORES, None),
    "in few epochs": (FALLS[::3], RISES[::3], SCORES[::3], None),
    "without scores": (FALLS, RISES, np.full(40, np.nan), None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rise_counts_where_it_is_long_and_clear(name):
    train, valid, scores, found = CASES[name]
    assert overfitted(np.zeros(len(train)), train, valid, scores) == found


def test_every_stage_is_looked_at():
    stages = np.repeat([0, 1], 40)
    curves = [np.r_[one, two] for one, two in ((FALLS, FALLS), (RISES, FALLS), (SCORES, SCORES))]
    assert overfitted(stages, *curves) == (1, 9, 40)


NOISE = make_classification(600, 20, n_informative=5, flip_y=0.3, random_state=1)


def fitted(rows=NOISE, callbacks=None, **params):
    X, y = rows
    params = {"hidden_layer_sizes": (32, 32), "max_iter": 40, "random_state": 0, **params}
    model = FFClassifier(callbacks=callbacks, batch_size=64, **params)
    return model.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])


@pytest.mark.parametrize("schedule", ["simultaneous", "greedy"])
def test_advice_is_given_once(schedule):
    with pytest.warns(OverfittingWarning, match="of 40.*early_stopping=True") as caught:
        fitted(schedule=schedule)
    assert len(caught) == 1
    assert ("of stage" in str(caught[0].message)) == (schedule == "greedy")


@pytest.mark.parametrize("how", ["separable", "early stopping", "checkpoint"])
def test_no_advice_is_given_where_none_is_needed(how, tmp_path):
    saved = Checkpoint("valid_loss_best", dirname=str(tmp_path), load_best=True)
    rows = load_iris(return_X_y=True) if how == "separable" else NOISE
    callbacks = [saved] if how == "checkpoint" else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(rows, callbacks, early_stopping=how == "early stopping")
