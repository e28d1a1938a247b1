"""Own objectives: their weights follow from the seed, and what they return is checked."""

import pickle

import pytest
import torch
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff.objectives import Collaboration, Objective


class Weighted(Objective):
    """One with weights that torch draws when they are made."""

    def build(self, layer):
        return WeightedLoss(layer)


class WeightedLoss(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(layer.n_units))

    def loss(self, scores, layer):
        return -(5 * scores).log_softmax(1)[:, 0] - layer.activations[:, 0] @ self.weight.tanh()


def small_fit(objective, **params):
    X, y = load_iris(return_X_y=True)
    params = {"hidden_layer_sizes": (8, 6), "max_iter": 2, "random_state": 0} | params
    return FFClassifier(objective=objective, **params).fit(X, y)


@pytest.mark.parametrize("objective", [Weighted(), Collaboration(Weighted())], ids=repr)
def test_weights_of_an_own_objective_follow_from_the_seed_and_leave_the_global_generator(objective):
    first = small_fit(objective)
    torch.rand(1)
    before = torch.get_rng_state()
    again, other = small_fit(objective), small_fit(objective, random_state=1)
    pickle.loads(pickle.dumps(first))
    assert torch.equal(torch.get_rng_state(), before)
    first, again, other = (clf.net_.module_.state_dict() for clf in (first, again, other))
    [*names] = (name for name in first if "objective" in name)
    assert len(names) == 2
    for name in names:
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])


class Building(Objective):
    def __init__(self, built=None, returned=None):
        self.built = built
        self.returned = returned

    def build(self, layer):
        return self if self.built is None else self.built

    def loss(self, scores, layer):
        return self.returned(scores)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (Building(torch.nn.Identity()), "builds a Identity, which has no method `loss`"),
        (Building(returned=torch.mean), r"shape \(64,\) was expected, but it returned \(\)"),
        (Building(returned=torch.sin), r"shape \(64,\) was expected, but it returned \(64, 3\)"),
    ],
    ids=["no loss", "one number", "a number per candidate"],
)
def test_an_own_objective_that_returns_something_else_is_refused(objective, message):
    with pytest.raises(ValueError, match=message):
        small_fit(objective, batch_size=64)
