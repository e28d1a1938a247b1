"""Parameters of a wrong type or range are refused by name."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_ff import FFClassifier, FFTransformer

X, y = load_iris(return_X_y=True)
ILLEGAL = [
    {"alpha": -1},
    {"batch_size": 0},
    {"dropout": np.nan},
    {"n_threads": -1},
    {"schedule": 3},
    {"random_state": "a"},
    {"shuffle": "no"},
]


@pytest.mark.fault("A3")
@pytest.mark.parametrize("first", ["fit", "partial_fit"])
@pytest.mark.parametrize("params", ILLEGAL, ids=lambda params: next(iter(params)))
@pytest.mark.parametrize("estimator", [FFClassifier, FFTransformer])
def test_partial_fit_looks_at_the_parameters_of_a_fitted_estimator(estimator, params, first):
    model = estimator(8, max_iter=2, random_state=0)
    if first == "fit":
        model.fit(X, y)
    else:
        model.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(InvalidParameterError, match=f"'{next(iter(params))}' parameter"):
        model.set_params(**params).partial_fit(X, y)


BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
HUGE = [np.inf, np.nan, 1e300, 1e39]


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("name", ["alpha", "peer_normalization"])
def test_rates_of_penalties_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        FFClassifier(**{name: value}, **BRIEF).fit(X, y)
