"""The L2 penalty, as in MLPClassifier, and weight decay by the optimizer."""

import warnings

import numpy as np
import pytest
from devices import array
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.objectives import Margin
from sklearn_ff.schedules import Simultaneous

X, y = load_iris(return_X_y=True)
TABLES = {"iris": load_iris, "breast_cancer": load_breast_cancer}


def one_step(cls=FFClassifier, rows=X, **params):
    """The first layer before and after one step of gradient descent, and its share of a penalty."""
    given = {"hidden_layer_sizes": (8,), "max_iter": 1, "precision": "float64", "random_state": 0}
    given |= {"optimizer": "sgd", "learning_rate": "constant", "learning_rate_init": 0.5}
    weight = params.pop("sample_weight", None)
    fit = {} if weight is None else {"sample_weight": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = cls(**{**given, **params}).fit(rows, y, **fit)
    return model.net_.module_.layers[0]


def pulled(alpha, **params):
    """How far the penalty of `alpha` has moved weights and biases."""
    layers = [one_step(alpha=a, **params) for a in (alpha, 0.0)]
    return [
        array(getter(layers[0]) - getter(layers[1]))
        for getter in (lambda s: s.affine.weight, lambda s: s.affine.bias)
    ]


def lengths(model):
    weights = [layer.affine.weight.detach() for layer in model.net_.module_.layers]
    return [float(weight.norm()) for weight in weights]


@pytest.mark.parametrize("alpha", [0.1, 1, 10])
@pytest.mark.parametrize("name", TABLES)
def test_values_that_MLPClassifier_bears_do_no_harm(name, alpha):
    rows, labels = TABLES[name](return_X_y=True)
    learn, hold = train_test_split(np.arange(len(labels)), stratify=labels, random_state=0)
    model = make_pipeline(StandardScaler(), FFClassifier(alpha=alpha, random_state=0))
    model.fit(rows[learn], labels[learn])
    assert model.score(rows[hold], labels[hold]) > 0.9
    assert log_loss(labels[hold], model.predict_proba(rows[hold])) < 0.25
    assert model[-1].scale_ < 1e3


@pytest.mark.parametrize("width", [16, 512])
def test_a_penalty_does_not_depend_on_the_width(width):
    model = FFClassifier(width, alpha=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.93


@pytest.mark.parametrize(
    "params, factor",
    [
        ({}, 10 / 8),
        ({"goodness": "sum_square"}, 10),
        ({"objective": Margin()}, 1 / 8),
        ({"rows": sparse.csr_array(X), "scaling": None}, 10 / 8),
        ({"sample_weight": np.full(150, 4.0)}, 10 / 8 / 4),
        ({"cls": FFTransformer, "objective": "symba"}, 10 / 8),
    ],
)
def test_the_gradient_is_that_of_a_penalty_divided_by_the_rows(params, factor):
    start = one_step(**params | {"learning_rate_init": 1e-30})
    W, b = pulled(3.0, **params)
    expected = -0.5 * 3.0 * factor / 150 * array(start.affine.weight)
    np.testing.assert_allclose(W, expected, rtol=1e-5, atol=1e-12)
    np.testing.assert_array_equal(b, 0)


@pytest.mark.parametrize("batch_size", ["all", 50])
def test_an_epoch_of_any_batches_pulls_by_all_rows_in_every_update(batch_size):
    """With a rate so small that the weights hardly move, updates add up."""
    updates = 1 if batch_size == "all" else 3
    W = [pulled(1e4, batch_size=size, learning_rate_init=1e-9)[0] for size in (batch_size, "all")]
    np.testing.assert_allclose(W[0], updates * W[1], rtol=1e-3)


def test_two_passes_share_the_penalty_of_one():
    given = {"goodness": "sum_square", "objective": "logistic", "learning_rate_init": 1e-9}
    W = [
        pulled(1e4, schedule=Simultaneous(phases), **given)[0]
        for phases in ("by_epoch", "together")
    ]
    np.testing.assert_allclose(*W, rtol=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop", "nadam"])
@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
def test_weights_shrink_with_every_optimizer(optimizer, fit):
    norms = []
    for alpha in (0.0, 1e3):
        model = FFClassifier((8, 8), alpha=alpha, optimizer=optimizer, random_state=0)
        model.set_params(learning_rate_init=1e-2, max_iter=10, learning_rate="constant", tol=None)
        for _ in range(10 if fit == "partial_fit" else 1):
            getattr(model, fit)(X, y, **({"classes": [0, 1, 2]} if fit == "partial_fit" else {}))
        norms.append(lengths(model))
    assert (np.array(norms[1]) < 0.97 * np.array(norms[0])).all()


def test_a_warm_start_takes_the_penalty_of_now():
    model = FFClassifier(8, warm_start=True, random_state=0).fit(X, y)
    before = lengths(model)[0]
    model.set_params(alpha=30.0).fit(X, y)
    assert lengths(model)[0] < 0.8 * before


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_optimizers_decay_weights_only_if_set(optimizer):
    model = FFClassifier(8, optimizer=optimizer, prediction="head", random_state=0).fit(X, y)
    assert [g["weight_decay"] for g in model.net_.optimizer_.param_groups] == [0, 0]
    model.set_params(optimizer_params={"weight_decay": 0.1}).fit(X, y)
    assert [g["weight_decay"] for g in model.net_.optimizer_.param_groups] == [0.1, 0.1]
    model.set_params(head=SoftmaxHead(optimizer_params={"weight_decay": 0.2})).fit(X, y)
    assert [g["weight_decay"] for g in model.net_.optimizer_.param_groups] == [0.1, 0.2]


def test_head_options_are_checked_by_name():
    model = FFClassifier(8, prediction="head", head=SoftmaxHead(optimizer_params={"lr": 1.0}))
    with pytest.raises(ValueError, match=r"optimizer_params of SoftmaxHead=.* sets 'lr'"):
        model.fit(X, y)
