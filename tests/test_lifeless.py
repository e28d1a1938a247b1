"""Layers that respond to everything alike are named, with what helps."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.layers import Conv2d

X, y = load_iris(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 30, "random_state": 0, **params})


@pytest.mark.fault("B9")
def test_a_layer_that_never_wakes_is_named():
    def dead(a):
        return a * 0

    with pytest.warns(UserWarning, match=r"Layers \[1\] respond alike to every row or candidate"):
        fitted = classifier(activation=dead).fit(X, y)
    np.testing.assert_allclose(fitted.predict_proba(X), 1 / 3)


IMAGES, OF = np.random.default_rng(0).random((60, 192)), np.arange(60) % 3


def test_channels_first_is_advised_for_channels_last():
    model = FFClassifier(layers=[Conv2d(4)], overlay="channel", image_shape=(8, 8, 3))
    with pytest.warns(UserWarning, match=r"channels come first, so give \(3, 8, 8\)"):
        model.fit(IMAGES, OF)


@pytest.mark.filterwarnings("ignore:image_shape=.* has no effect")
def test_channels_last_are_reported():
    rows = np.random.default_rng(0).normal(size=(20, 98))
    with pytest.warns(UserWarning, match=r"channels come first, so give \(2, 7, 7\)"):
        FFClassifier((4,), max_iter=1, image_shape=(7, 7, 2), random_state=0).fit(
            rows, np.arange(20) % 2
        )


SLOWLY = {"optimizer": "sgd", "learning_rate_init": 1e-3}  # that a penalty does not overshoot


@pytest.mark.parametrize("model", [FFClassifier(8), FFTransformer(8, **SLOWLY)])
def test_a_penalty_that_makes_layers_constant_is_reported(model):
    model.set_params(alpha=1e6, random_state=0, batch_size="all")
    with pytest.warns(ConvergenceWarning, match=r"Layers \[1\] respond alike.*lower alpha=1e\+06"):
        model.fit(X, y)
    found = model.predict_proba(X) if hasattr(model, "predict_proba") else model.score_samples(X)
    assert np.isfinite(found).all()


def test_a_penalty_that_makes_the_head_constant_is_reported():
    model = FFClassifier(8, prediction="head", head=SoftmaxHead(alpha=1e6), random_state=0)
    with pytest.warns(
        ConvergenceWarning, match=r"softmax head .* lower alpha=1e\+06 of SoftmaxHead"
    ):
        model.fit(X, y)


@pytest.mark.parametrize("alpha", [1e4, 1e6])
@pytest.mark.parametrize(
    "params, names",
    [
        ({}, "alpha"),
        ({"hidden_layer_sizes": (32, 32)}, "alpha"),
        ({"objective": "softmax", "negatives": "all"}, "alpha"),
        ({"goodness": "readout"}, "alpha"),
        ({"negatives": "pair_sum", "prediction": "head"}, "head__alpha"),
        ({"prediction": "head"}, "head__alpha"),
        ({"prediction": "hybrid"}, "head__alpha"),
    ],
)
def test_equal_scores_for_all_rows_are_reported(params, names, alpha):
    rows, labels = load_breast_cancer(return_X_y=True)
    alpha *= 300 if names == "head__alpha" else 1
    head = SoftmaxHead() if names == "head__alpha" else None
    model = FFClassifier(32, max_iter=20, head=head, random_state=0)
    model.set_params(**{names: alpha}, **params)
    message = f"alike.*lower alpha={alpha:g}".replace("+", ".")
    with pytest.warns(ConvergenceWarning, match=message):
        model.fit(rows, labels)


@pytest.mark.parametrize("goodness", ["mean_square", "readout"])
@pytest.mark.parametrize("names", ["alpha", "head__alpha"])
def test_noise_is_not_taken_for_the_work_of_a_penalty(names, goodness):
    rng = np.random.default_rng(0)
    noise, rare = rng.normal(size=(2000, 3)), (rng.random(2000) < 0.03).astype(int)
    prediction = "goodness" if names == "alpha" else "head"
    model = FFClassifier(8, goodness=goodness, prediction=prediction, random_state=0)
    model.set_params(head=None if names == "alpha" else SoftmaxHead())
    model.set_params(**{names: 1e-2}).fit(noise, rare)  # without a warning


@pytest.mark.parametrize(
    "params, remedy",
    [
        ({"activation": lambda a: a * 0}, "lower learning_rate_init"),
        ({"activation": lambda a: a * 0 + 1, "goodness": "readout"}, "lower learning_rate_init"),
        ({"optimizer_params": {"weight_decay": 1e3}}, "lower 'weight_decay'"),
        ({"scaling": None, "rows": 1e-12 * X}, "scale the columns"),
        ({"goodness": "readout", "rows": 0 * X}, "give rows that differ"),
    ],
)
def test_lifeless_layers_are_named_for_every_cause(params, remedy):
    rows = params.get("rows", X)
    model = FFClassifier(8, random_state=0)
    model.set_params(**{name: value for name, value in params.items() if name != "rows"})
    with pytest.warns(ConvergenceWarning, match=rf"Layers \[1\] respond alike.*{remedy}"):
        model.fit(rows, y)
    assert np.isfinite(model.predict_proba(rows)).all()
