"""`partial_fit`: what it goes on from, and what it refuses."""

import copy
import pickle

import numpy as np
import pytest
from devices import arrays as weights
from sklearn.datasets import load_digits, load_iris
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier

X, y = load_iris(return_X_y=True)
DIGITS, DIGIT = load_digits(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


def test_fit_then_partial_fit_learns_and_survives_a_pickle():
    fitted = classifier().fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    before = weights(copy.deepcopy(fitted))
    fitted.partial_fit(X, y)
    assert not np.array_equal(
        before["layers.0.affine.bias"], weights(fitted)["layers.0.affine.bias"]
    )
    np.testing.assert_array_equal(again.partial_fit(X, y).predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("change", [{"optimizer": "rmsprop"}, {"learning_rate_init": 1e-4}])
def test_partial_fit_takes_up_changed_training_parameters(change):
    model = classifier().partial_fit(X, y, classes=[0, 1, 2])
    assert model.set_params(**change).partial_fit(X, y).n_iter_ == 2


def test_partial_fit_with_class_weights_and_a_batch_without_the_class():
    model = classifier(class_weight={0: 2.0})
    assert model.partial_fit(X[y > 0], y[y > 0], classes=[0, 1, 2]).n_iter_ == 1


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


@pytest.mark.fault("C8")
def test_partial_fit_keeps_to_the_classes_of_its_first_call():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier().partial_fit(X, y)
    fitted = classifier().partial_fit(X, y, classes=[0, 1, 2])
    before = fitted.predict_proba(X)
    for bad in (
        lambda: fitted.partial_fit(X, y, classes=[0, 1]),
        lambda: fitted.partial_fit(X, y + 1),
        lambda: fitted.partial_fit(X, np.array(list("abc"))[y]),
        lambda: fitted.partial_fit(X[:, :2], y),
    ):
        with pytest.raises((ValueError, TypeError)):
            bad()
        np.testing.assert_array_equal(fitted.predict_proba(X), before)
    assert fitted.partial_fit(X[:10], y[:10]).n_iter_ == 2


@pytest.mark.fault("C8")
@pytest.mark.parametrize("params", [{"early_stopping": True}, {"class_weight": "balanced"}])
def test_partial_fit_refuses_what_it_cannot_honour(params):
    with pytest.raises(ValueError, match="partial_fit does not support"):
        classifier(**params).partial_fit(X, y, classes=[0, 1, 2])


class Rates(Callback):
    """Keep the rate of every batch."""

    def initialize(self):
        self.seen = getattr(self, "seen", [])
        return self

    def on_batch_begin(self, net, **kwargs):
        self.seen.append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.fault("C11")
def test_an_inverse_rate_goes_on_falling_from_call_to_call():
    params = {"learning_rate": "invscaling", "learning_rate_init": 0.1, "batch_size": 50}
    clf = classifier(max_iter=2, callbacks=[Rates()], **params).fit(X, y)
    for _ in range(2):
        clf = pickle.loads(pickle.dumps(clf)).partial_fit(X, y)
    expected = 0.1 / np.sqrt(1 + np.arange(12) / 100)
    np.testing.assert_allclose(clf.callbacks[0].seen, expected)
