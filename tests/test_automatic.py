"""What "auto" means for the rate and the number of epochs."""

import warnings

import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning

from sklearn_ff import FFClassifier
from sklearn_ff.layers import Conv2d
from sklearn_ff.schedules import Simultaneous

DIGITS, DIGIT = load_digits(return_X_y=True)


@pytest.mark.slow
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


@pytest.mark.parametrize("epochs, rate", [(9, 5e-3 * (10 / 9) ** 0.5), (4, 5e-3 * 2.5**0.5)])
def test_few_epochs_of_many_batches_have_a_higher_rate(epochs, rate):
    clf = FFClassifier(4, batch_size=2, max_iter=epochs, n_threads=1, random_state=0)
    clf.fit(DIGITS[:800], DIGIT[:800])
    assert clf.learning_rate_init_ == pytest.approx(rate)


def test_a_constant_rate_is_low_and_so_is_that_of_images():
    images = FFClassifier(layers=[Conv2d(4)], image_shape=(1, 2, 2), overlay="channel", n_threads=1)
    assert images.fit(*load_iris(return_X_y=True)).learning_rate_init_ == 5e-3
    clf = FFClassifier(4, n_threads=1, random_state=0).partial_fit(
        *load_iris(return_X_y=True), classes=[0, 1, 2]
    )
    assert clf.learning_rate_init_ == 5e-3


@pytest.mark.slow
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
