"""Every objective against NumPy; its gradient in the even and in hopeless cases."""

import numpy as np
import pytest
import torch
from scipy.special import expit, logsumexp
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff.objectives import LayerFacts, Logistic, Margin, Softmax, Swish, SymBa, objectives

LAYER = LayerFacts(index=0, n_units=6, sharpness=10.0)
# Objectives of scores alone; one that matches labels reads activations too.
NAMES = [name for name in objectives.names if not objectives.get(name).matches_labels]


def softplus(x):
    return np.logaddexp(0, x)


def gap(g):
    return g[:, :1] - g[:, 1:]


def swish(x):
    return x * expit(x)


REFERENCES = {
    "collaboration": lambda g: REFERENCES["logistic"](g),  # without other layers
    "logistic": lambda g: (
        softplus(-10 * (g[:, 0] - 1)) + np.mean(softplus(10 * (g[:, 1:] - 1)), axis=1)
    ),
    "symba": lambda g: softplus(-10 * gap(g)).mean(1),
    "swish": lambda g: swish(-10 * gap(g)).mean(1),
    "margin": lambda g: np.maximum(0, 1 - gap(g)).mean(1),
    "softmax": lambda g: logsumexp(10 * g, axis=1) - 10 * g[:, 0],
}


def scores(n_negatives=3, rows=200, seed=0):
    return np.random.default_rng(seed).normal(0.5, 1, size=(rows, 1 + n_negatives))


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_negatives", [1, 4])
def test_objective_matches_reference(name, n_negatives):
    g = scores(n_negatives)
    loss = objectives.get(name).loss(torch.tensor(g), LAYER)
    assert loss.shape == (len(g),)
    close(loss, REFERENCES[name](g))


def test_parameters_of_objectives_match_reference():
    g = scores()
    t = torch.tensor(g)
    close(SymBa(sharpness=2.5).loss(t, LAYER), softplus(-2.5 * gap(g)).mean(1))
    close(Swish(sharpness=2.5).loss(t, LAYER), swish(-2.5 * gap(g)).mean(1))
    close(Softmax(sharpness=0.5).loss(t, LAYER), logsumexp(g / 2, axis=1) - g[:, 0] / 2)
    expected = (np.maximum(0, 0.3 - gap(g)) + 0.7 * g[:, 1:]).mean(1)
    close(Margin(margin=0.3, penalty=0.7).loss(t, LAYER), expected)


STATED = [Logistic(), Logistic(0.4, 3.0, 0.2), SymBa(), Swish(), Softmax(0.5)]
STATED += [Margin(0.3, 0.7), Margin(0)]  # the latter is at its edge in an even row


@pytest.mark.parametrize("n_negatives", [1, 4])
@pytest.mark.parametrize("part", STATED, ids=repr)
def test_stated_slopes_are_the_gradient_of_the_loss(part, n_negatives):
    g = torch.tensor(scores(n_negatives), requires_grad=True)
    with torch.no_grad():
        g[0] = 0.5
    loss = part.loss(g, LAYER)
    loss.sum().backward()
    stated, slopes = part.with_slopes(g.detach(), LAYER)
    close(stated, loss.detach())
    close(slopes, g.grad)


@pytest.mark.parametrize(
    "threshold, theta",
    [
        (2, 2.0),
        (2.5, 2.5),
        (np.float64(0.5), 0.5),
        ("width", 6.0),
        ([9.0, 3.0], 3.0),
        ((9.0, "width"), 6.0),
    ],
)
def test_logistic_thresholds_match_reference(threshold, theta):
    g, layer = scores(), LayerFacts(index=1, n_units=6, sharpness=10.0)
    loss = Logistic(threshold=threshold, sharpness=2.0).loss(torch.tensor(g), layer)
    close(loss, softplus(-2 * (g[:, 0] - theta)) + softplus(2 * (g[:, 1:] - theta)).mean(1))


@pytest.mark.parametrize("negative, theta_negative", [(0.25, 0.25), (0, 0.0), ("width", 6.0)])
def test_logistic_threshold_negative_matches_reference(negative, theta_negative):
    g = scores()
    part = Logistic(threshold=2.0, sharpness=3.0, threshold_negative=negative)
    expected = softplus(3 * (2 - g[:, 0])) + softplus(3 * (g[:, 1:] - theta_negative)).mean(1)
    close(part.loss(torch.tensor(g), LAYER), expected)


@pytest.mark.parametrize("name", ["threshold", "threshold_negative"])
@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0] * 4, ()])
def test_logistic_with_other_than_one_threshold_per_layer_is_refused(name, values):
    given = Logistic(**{name: values})
    for objective in (given, [given] * 3):
        clf = FFClassifier((5, 5, 5), objective=objective)
        with pytest.raises(ValueError, match=rf"^{name} has {len(values)} entries for 3 layers"):
            clf.fit(np.eye(4), [0, 1, 0, 1])


@pytest.mark.parametrize("threshold", ["widht", None, ["tall"]])
def test_logistic_with_a_strange_threshold_is_refused(threshold):
    with pytest.raises(ValueError, match=r"not understood.*'width'"):
        Logistic(threshold=threshold).check()


def test_a_callable_is_an_objective():
    g = scores()
    part = objectives.get(lambda scores: scores[:, 1:].sum(1) - scores[:, 0])
    close(part.loss(torch.tensor(g), LAYER), g[:, 1:].sum(1) - g[:, 0])


@pytest.mark.fault("D3")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("positive", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("negative", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("name", NAMES)
def test_extreme_scores_have_finite_loss_and_gradient(name, positive, negative, dtype):
    g = torch.tensor([[positive, negative, negative], [positive, -negative, negative]], dtype=dtype)
    g.requires_grad_()
    loss = objectives.get(name).loss(g, LAYER)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert g.grad.isfinite().all()


@pytest.mark.fault("D3")
@pytest.mark.parametrize("n_negatives", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_from_an_even_start_the_positive_candidate_is_raised_and_the_negative_lowered(
    name, n_negatives
):
    g = torch.full((2, 1 + n_negatives), 0.8, dtype=torch.float64, requires_grad=True)
    part = objectives.get(name)
    even = part.loss(g, LAYER)
    even.sum().backward()
    assert (g.grad[:, 0] < 0).all()
    assert (g.grad[:, 1:] > 0).all()
    better = g.detach().clone()
    better[:, 0] += 0.05
    assert (part.loss(better, LAYER) < even).all()


@pytest.mark.parametrize("name", NAMES)
def test_sharpness_is_that_of_the_goodness_unless_given(name):
    assert objectives.get(name).factor(LAYER) == LAYER.sharpness
    if "sharpness" in objectives.get(name).get_params():
        assert objectives.get(name).set_params(sharpness=3).factor(LAYER) == 3


X, y = load_iris(return_X_y=True)
BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
HUGE = [np.inf, np.nan, 1e300, 1e39]


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
