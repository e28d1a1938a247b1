"""What may not change where learning goes on, and what may."""

import copy

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff.goodness import Goodness, TopK
from sklearn_ff.objectives import Softmax
from sklearn_ff.overlays import Add, Replace

X, y = load_iris(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "change", [{"hidden_layer_sizes": (9,)}, {"activation": "tanh"}, {"goodness": "readout"}]
)
def test_a_changed_architecture_is_an_error(change):
    warm = classifier(warm_start=True).fit(X, y)
    online = classifier().partial_fit(X, y, classes=[0, 1, 2])
    before = warm.predict_proba(X)
    with pytest.raises(ValueError, match=next(iter(change))):
        warm.set_params(**change).fit(X, y)
    with pytest.raises(ValueError, match=next(iter(change))):
        online.set_params(**change).partial_fit(X, y)
    np.testing.assert_array_equal(warm.predict_proba(X), before)


@pytest.mark.fault("D8")
def test_a_code_changed_where_its_repr_is_abbreviated_is_an_error():
    rows = np.random.default_rng(0).normal(size=(30, 600))
    code = np.eye(3, 600)
    other = code.copy()
    other[1, 300] = 5.0
    assert repr(code) == repr(other)
    warm = classifier(warm_start=True, overlay=Add(code)).fit(rows, y[::5])
    with pytest.raises(ValueError, match="overlay"):
        warm.set_params(overlay=Add(other)).fit(rows, y[::5])


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "part, change",
    [
        ({"goodness": TopK(3)}, {"goodness__k": 1}),
        ({"goodness": [TopK(3), TopK(4)]}, {"goodness__1__k": 1}),
        ({"overlay": Replace("first")}, {"overlay__features": "last"}),
    ],
)
def test_a_part_changed_in_place_is_an_error_and_reaches_no_prediction(part, change):
    layers = {"hidden_layer_sizes": (9, 8)}
    model = classifier(warm_start=True, **layers, **part).fit(X, y)
    before = model.decision_function(X)
    np.testing.assert_array_equal(model.set_params(**change).decision_function(X), before)
    with pytest.raises(ValueError, match=next(iter(part))):
        model.fit(X, y)


class Scaled(torch.nn.Module):
    """An activation whose repr does not show what it does."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, a):
        return torch.relu(a) * self.factor


class Weighed(Goodness):
    """A goodness with a parameter of any kind."""

    def __init__(self, by=None):
        self.by = by

    def score(self, h):
        return h.square().mean(-1)


LONG = np.arange(2000.0)


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "one, other",
    [
        (LONG, LONG + (LONG == 900)),
        ({"a": LONG}, {"a": LONG + (LONG == 900)}),
        (torch.ones(2000), torch.arange(2000.0)),
        (csr_array([[1, 0]]), csr_array([[5, 0]])),
        (torch.nn.Linear(3, 4), torch.nn.Linear(3, 4)),
        (torch.nn.Sequential(Scaled(1.0)), torch.nn.Sequential(Scaled(5.0))),
        (Weighed(LONG), Weighed(LONG + (LONG == 900))),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_a_parameter_of_a_part_is_compared_by_value(one, other, listed):
    def given(value):
        return [Weighed(value)] if listed else Weighed(value)

    model = classifier(warm_start=True, goodness=given(one), max_iter=1).fit(X, y)
    model.set_params(goodness=given(copy.deepcopy(one))).fit(X, y)
    with pytest.raises(ValueError, match="goodness"):
        model.set_params(goodness=given(other)).fit(X, y)


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "value",
    [
        np.array([np.nan]),
        torch.nn.Parameter(torch.ones(3)),
        torch.ones(3, dtype=torch.bfloat16),
        torch.nn.LazyLinear(3),
        lambda: 0,
        np.int64(5),
    ],
)
def test_an_unchanged_part_continues_with_any_parameters(value):
    model = classifier(goodness=Weighed(value)).partial_fit(X, y, classes=[0, 1, 2])
    assert model.partial_fit(X, y).n_iter_
    if isinstance(value, np.int64):
        assert model.set_params(goodness__by=5).partial_fit(X, y).n_iter_


@pytest.mark.fault("D8")
def test_another_activation_of_the_same_repr_is_an_error():
    model = classifier(warm_start=True, activation=Scaled(1.0)).fit(X, y)
    assert model.set_params(activation=Scaled(1.0)).fit(X, y).n_iter_
    with pytest.raises(ValueError, match="activation"):
        model.set_params(activation=Scaled(50.0)).fit(X, y)


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    "first, change",
    [
        ({"scaling": "standard"}, {"scaling": "shared"}),
        ({"scaling": "auto"}, {"scaling": None}),
        ({"precision": "float32"}, {"precision": "float64"}),
        ({"precision": "auto"}, {"precision": "float32"}),
        ({"precision": "float64"}, {"precision": "bfloat16"}),
    ],
)
def test_changed_scaling_or_precision_is_an_error(first, change):
    warm = classifier(warm_start=True, **first).fit(X, y)
    online = classifier(**first).partial_fit(X, y, classes=[0, 1, 2])
    before = warm.predict_proba(X), online.predict_proba(X)
    for call in (warm.set_params(**change).fit, online.set_params(**change).partial_fit):
        with pytest.raises(ValueError, match=rf"architecture has changed .*{next(iter(change))}"):
            call(X, y)
    np.testing.assert_array_equal(warm.predict_proba(X), before[0])
    np.testing.assert_array_equal(online.predict_proba(X), before[1])


@pytest.mark.fault("D8")
def test_auto_keeps_what_the_first_fit_chose():
    model = classifier(scaling="standard", precision="float32").partial_fit(X, y, classes=range(3))
    model.set_params(scaling="auto", precision="auto").partial_fit(X, y)
    assert (model.scaling_, model.precision_) == ("standard", "float32")
    model.set_params(scaling="standard", precision="bfloat16").partial_fit(X, y)
    assert model.precision_ == "bfloat16"
    assert model.set_params(precision="auto").partial_fit(X, y).precision_ == "bfloat16"


@pytest.mark.parametrize("again", ["fit", "partial_fit"])
@pytest.mark.parametrize("name, given", [("objective", Softmax()), ("negatives", "uniform")])
def test_a_part_that_becomes_auto_is_chosen_anew(name, given, again):
    model = classifier(warm_start=True, max_iter=2, **{name: given}).fit(X, y)
    getattr(model.set_params(**{name: "auto"}), again)(X, y)
    fresh = classifier(max_iter=2).fit(X, y)
    assert repr(getattr(model, f"{name}_")) == repr(getattr(fresh, f"{name}_"))
