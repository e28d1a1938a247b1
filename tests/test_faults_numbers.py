"""Numbers that cannot be computed with are refused by name; what diverges predicts finitely."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from sklearn_ff import FFClassifier
from sklearn_ff.exceptions import DivergenceError
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.negatives import Hard
from sklearn_ff.objectives import Logistic, Margin, SymBa
from sklearn_ff.overlays import Add, Append, Channel, EveryLayer, Replace, Spatial

X, y = load_iris(return_X_y=True)
BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
HUGE = [np.inf, np.nan, 1e300, 1e39]


@pytest.mark.parametrize("value", [*HUGE, 1e-50])
@pytest.mark.parametrize("part", [Append, EveryLayer, Add, Channel, Replace, Spatial])
def test_a_strength_is_refused_by_name(part, value):
    with pytest.raises(ValueError, match=rf"{part.__name__}\(strength=.* strength must be"):
        FFClassifier(overlay=part(strength=value), **BRIEF).fit(X, y)


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize(
    "name, part",
    [
        ("threshold", Logistic),
        ("threshold_negative", Logistic),
        ("sharpness", Logistic),
        ("sharpness", SymBa),
        ("margin", Margin),
        ("penalty", Margin),
    ],
)
def test_numbers_of_an_objective_are_refused_by_name(part, name, value):
    with pytest.raises(ValueError, match=rf"{part.__name__}\({name}=.*{name} must be"):
        FFClassifier(objective=part(**{name: value}), **BRIEF).fit(X, y)


@pytest.mark.parametrize("value", [*HUGE, 1e-300])
def test_a_temperature_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"Hard\(temperature="):
        FFClassifier(negatives=Hard(temperature=value), **BRIEF).fit(X, y)


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("name", ["alpha", "peer_normalization"])
def test_rates_of_penalties_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        FFClassifier(**{name: value}, **BRIEF).fit(X, y)


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("name", ["alpha", "learning_rate_init"])
def test_numbers_of_the_head_are_refused_by_name(name, value):
    if name == "learning_rate_init" and 0 < value < 1e10:
        pytest.skip("a rate may be this large")
    with pytest.raises(ValueError, match=rf"SoftmaxHead\({name}="):
        FFClassifier(head=SoftmaxHead(**{name: value}), **BRIEF).fit(X, y)


@pytest.mark.parametrize("value", HUGE)
def test_codes_of_an_overlay_are_refused(value):
    matrix = np.ones((3, 4))
    matrix[1, 2] = value
    with pytest.raises(ValueError, match=r"(?s)label code of Add.* must be finite"):
        FFClassifier(overlay=Add(matrix), **BRIEF).fit(X, y)


@pytest.mark.parametrize("value", [np.nan, np.inf, "a", 1e300, -1.0])
def test_class_weights_are_refused_by_name(value):
    with pytest.raises(ValueError, match="class_weight"):
        FFClassifier(class_weight={0: value, 1: 1.0, 2: 1.0}, **BRIEF).fit(X, y)


@pytest.mark.parametrize("value", [1e307, 1e200, 1e-310])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_of_rows_are_refused_by_name(value, method):
    clf = FFClassifier(**BRIEF)
    given = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match="largest weight of sample_weight is"):
        getattr(clf, method)(X, y, sample_weight=np.full(150, value), **given)


def test_a_product_of_weights_that_vanishes_is_refused():
    weight = np.ones(150)
    weight[0] = 1e-200
    clf = FFClassifier(class_weight={0: 1e-200, 1: 1.0, 2: 1.0}, **BRIEF)
    with pytest.raises(ValueError, match=r"sample_weight times class_weight.* too small .* 1 rows"):
        clf.fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("options", [{"eps": 0.0}, {"eps": np.nan}, {"betas": (2.0, 0.9)}])
def test_options_that_break_an_optimizer_are_refused(options):
    with pytest.raises(ValueError, match="optimizer_params"):
        FFClassifier(optimizer_params=options, **BRIEF).fit(X, y)


@pytest.mark.parametrize(
    "params",
    [
        {"learning_rate_init": 1e30},
        {"learning_rate_init": 1e300},
        {"learning_rate_init": 1e30, "optimizer": "sgd"},
        {"alpha": 1e10, "optimizer": "sgd"},
        {"head": SoftmaxHead(alpha=1e10), "optimizer": "sgd", "prediction": "head"},
        {"overlay": Append(strength=1e10)},
        {"objective": SymBa(sharpness=1e10), "optimizer": "sgd"},
        {"peer_normalization": 1e10, "optimizer": "sgd"},
        {"optimizer": "sgd", "optimizer_params": {"momentum": 1e10}},
        {"optimizer": "sgd", "optimizer_params": {"weight_decay": 1e30}},
        {"objective": Logistic(1e10, 1e10), "goodness": "sum_square"},
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_diverges_predicts_finitely_or_not_at_all(params, precision, method):
    clf = FFClassifier(**{**BRIEF, **params}, precision=precision)
    given = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    try:
        for _ in range(1 if method == "fit" else 3):
            getattr(clf, method)(X, y, **given)
    except (DivergenceError, ValueError):
        pass
    try:
        p = clf.predict_proba(X)
    except NotFittedError:
        return
    assert np.isfinite(p).all() and np.isfinite(clf.scale_)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
