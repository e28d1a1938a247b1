"""Numbers of the softmax head that cannot be computed with are refused by name."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff.heads import SoftmaxHead

X, y = load_iris(return_X_y=True)
BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
HUGE = [np.inf, np.nan, 1e300, 1e39]


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("name", ["alpha", "learning_rate_init"])
def test_numbers_of_the_head_are_refused_by_name(name, value):
    if name == "learning_rate_init" and 0 < value < 1e10:
        pytest.skip("a rate may be this large")
    with pytest.raises(ValueError, match=rf"SoftmaxHead\({name}="):
        FFClassifier(head=SoftmaxHead(**{name: value}), **BRIEF).fit(X, y)
