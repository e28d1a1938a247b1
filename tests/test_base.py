"""An error leaves an estimator as it was."""

import copy

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier

X, y = load_iris(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


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


def test_fit_works_while_another_error_is_handled():
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        assert classifier().fit(X, y).n_iter_ == 20


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
