"""Negative labels: never the true one, all others reachable, seeded, of the stated frequency."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff._draws import Draws
from sklearn_ff.negatives import All, ByGoodness, Hard, Permuted, Uniform, negatives

N = 100_000
CLASSES = [2, 3, 10, 50]
LABELS = [name for name in negatives.names if not negatives.get(name).of_rows]


def draws(seed=0, dtype=torch.float32):
    return Draws(torch.Generator().manual_seed(seed), "cpu", dtype)


def labels(K, n=N):
    return torch.arange(n) % K


def mild_belief(K, n=N, dtype=torch.float32):
    return 0.1 * torch.randn(n, K, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.fault("C7")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("K", CLASSES)
@pytest.mark.parametrize("name", ["uniform", "hard", "all"])
def test_a_negative_label_is_never_the_true_one_and_all_others_occur(name, K, dtype):
    y = labels(K)
    part = negatives.get(name)
    assert part.never_true
    drawn = part.draw(y, K, draws(dtype=dtype), mild_belief(K, dtype=dtype))
    assert drawn.shape == (N, K - 1 if name == "all" else 1)
    assert drawn.dtype == torch.int64
    assert drawn.min() >= 0 and drawn.max() < K
    assert not (drawn == y[:, None]).any()
    seen = torch.zeros(K, K, dtype=torch.bool)
    seen[y.repeat_interleave(drawn.shape[1]), drawn.flatten()] = True
    assert torch.equal(seen, ~torch.eye(K, dtype=torch.bool))


@pytest.mark.fault("C7")
@pytest.mark.parametrize("name", LABELS)
def test_the_same_seed_gives_the_same_draws(name):
    K, y = 10, labels(10, 1000)
    belief = mild_belief(K, 1000)
    part = negatives.get(name)
    first, again = (part.draw(y, K, draws(3), belief) for _ in range(2))
    assert torch.equal(first, again)
    other = part.draw(y, K, draws(4), belief)
    assert torch.equal(first, other) == (name in ("all", "by_goodness"))  # these give all labels


@pytest.mark.fault("C7")
@pytest.mark.parametrize("name", LABELS)
def test_drawing_does_not_change_labels_and_belief(name):
    K, y = 4, labels(4, 100)
    belief = mild_belief(K, 100)
    before = y.clone(), belief.clone()
    negatives.get(name).draw(y, K, draws(), belief)
    assert torch.equal(y, before[0])
    assert torch.equal(belief, before[1])


def frequencies(drawn, K):
    return np.bincount(drawn.flatten().numpy(), minlength=K) / drawn.numel()


def assert_frequent(observed, expected):
    np.testing.assert_array_less(
        np.abs(observed - expected), 5 * np.sqrt(expected * (1 - expected) / N) + 1e-12
    )


@pytest.mark.fault("C7")
def test_uniform_is_uniform():
    K = 7
    expected = np.full(K, 1 / (K - 1))
    expected[2] = 0
    y = torch.full((N,), 2)
    assert_frequent(frequencies(Uniform().draw(y, K, draws()), K), expected)


@pytest.mark.fault("C7")
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_hard_follows_the_belief(temperature):
    logits = np.array([3.0, 0.5, -1.0, 1.5, 0.0])
    masked = logits / temperature
    masked[0] = -np.inf
    belief = torch.tensor(logits, dtype=torch.float32).expand(N, -1)
    y = torch.zeros(N, dtype=torch.int64)
    drawn = Hard(temperature=temperature).draw(y, 5, draws(), belief)
    assert_frequent(frequencies(drawn, 5), softmax(masked))


@pytest.mark.fault("C7")
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("n_negatives", [1, 2])
def test_by_goodness_follows_the_scores_of_the_layer(temperature, n_negatives):
    """The positive candidate first; then others in proportion to softmax(β g / temperature)."""
    layer = SimpleNamespace(objective=SimpleNamespace(sharpness=10.0))
    g = np.array([0.9, 0.05, -0.1, 0.15, 0.0])
    part = ByGoodness(n_negatives, temperature)
    scores = torch.tensor(g, dtype=torch.float32).expand(N, -1).clone().requires_grad_()
    found = part.select(scores, layer, draws())
    assert found.shape == (N, 1 + n_negatives) and bool((found[:, 0] == scores[:, 0]).all())
    assert not (found[:, 1:] == scores[0, 0]).any()
    if n_negatives == 1:
        observed = [float((found[:, 1] == scores[0, c]).float().mean()) for c in range(1, 5)]
        assert_frequent(np.array(observed), softmax(10 * g[1:] / temperature))
    found.sum().backward()
    assert bool((scores.grad.sum(1) == 1 + n_negatives).all()), "a gradient for what was selected"


def test_each_layer_draws_by_its_own_goodness():
    X, y = load_iris(return_X_y=True)
    seen = []

    class Seen(ByGoodness):
        def select(self, scores, layer, draws):
            found = super().select(scores, layer, draws)
            seen.append((layer.index, scores.shape[1], found.shape[1]))
            return found

    clf = FFClassifier((8, 6), negatives=Seen(), max_iter=30, batch_size=50, random_state=0)
    assert clf.fit(X, y).score(X, y) > 0.8
    assert seen[:2] == [(0, 3, 2), (1, 3, 2)]


@pytest.mark.fault("C7")
@pytest.mark.parametrize("true_logit", [1e4, 1e30, -1e4])
def test_hard_masks_the_true_label_however_strong_the_belief(true_logit):
    belief = torch.zeros(1000, 3)
    belief[:, 1] = true_logit
    y = torch.ones(1000, dtype=torch.int64)
    assert not (Hard().draw(y, 3, draws(), belief) == 1).any()


@pytest.mark.fault("C7")
def test_the_extremes_of_a_uniform_number_are_safe():
    class Extreme(Draws):
        def uniform(self, *shape):
            u = torch.rand(shape, generator=self.generator).round()  # zeros and ones
            return u * (1 - 2**-24)

    y = labels(5, 1000)
    drawn = Uniform().draw(y, 5, Extreme(torch.Generator().manual_seed(0), "cpu"))
    assert not (drawn == y[:, None]).any()


@pytest.mark.fault("C7")
@pytest.mark.parametrize("cls", [Uniform, Hard])
@pytest.mark.parametrize("n_negatives", [1, 3, 9, 20])
def test_several_negatives_are_distinct(cls, n_negatives):
    K, y = 10, labels(10, 2000)
    drawn = cls(n_negatives=n_negatives).draw(y, K, draws(), mild_belief(K, 2000))
    assert drawn.shape == (2000, min(n_negatives, K - 1))
    assert not (drawn == y[:, None]).any()
    ordered = drawn.sort(1).values
    assert (ordered[:, 1:] > ordered[:, :-1]).all()


@pytest.mark.fault("C7")
def test_permuted_does_contain_true_labels():
    K, y = 10, labels(10)
    part = Permuted()
    assert not part.never_true
    drawn = part.draw(y, K, draws())
    assert drawn.shape == (N, 1)
    assert torch.equal(drawn.flatten().sort().values, y.sort().values), "a shuffle of the labels"
    share = (drawn[:, 0] == y).double().mean()
    assert abs(share - 1 / K) < 0.01


def test_a_callable_is_negatives():
    part = negatives.get(lambda y, n_classes, draws: ((y + 1) % n_classes)[:, None])
    assert part.draw(torch.tensor([0, 2]), 3, draws(), None).tolist() == [[1], [0]]
    assert not part.never_true
    assert not part.needs_head


def test_facts_of_the_parts():
    assert {n for n in negatives.names if negatives.get(n).needs_head} == {"hard"}
    K = 10
    many = {"all": K, "hard": 2, "permuted": 2, "uniform": 2}
    assert {n: negatives.get(n).n_candidates(K) for n in many} == many
    assert Hard(n_negatives=3).n_candidates(K) == 4 and Hard(n_negatives=99).n_candidates(K) == K
    assert {n for n in negatives.names if not negatives.get(n).never_true} == {"permuted"}
    assert {negatives.get(n).redraw for n in negatives.names} <= {"batch", "epoch", "once"}


X, y = load_iris(return_X_y=True)


@pytest.mark.fault("C7")
@pytest.mark.parametrize("part", [Uniform(), Uniform(n_negatives=3), Hard(), All()])
@pytest.mark.parametrize("n_classes", [2, 3, 10, 50])
def test_a_negative_label_is_never_the_true_one(part, n_classes):
    def drawn():
        draws = Draws(torch.Generator().manual_seed(0), "cpu")
        return part.draw(labels, n_classes, draws, torch.zeros(len(labels), n_classes))

    labels = torch.arange(100_000) % n_classes
    found = drawn()
    assert (found != labels[:, None]).all()
    assert len(torch.unique(found[labels == 0])) == n_classes - 1
    assert torch.equal(found, drawn())


def test_data_negatives_show_no_labels():
    X, y = load_iris(return_X_y=True)
    model = FFClassifier((8, 8), negatives="shuffle", prediction="head")
    model.set_params(random_state=0, schedule="greedy", prediction_layers="skip_first", max_iter=20)
    model.fit(X, y, X_val=X, y_val=y)
    assert model.score(X, y) > 0.6
    assert not [name for name, _ in model.net_.module_.named_parameters() if "label" in name]
    first, second = np.split(np.array(model.validation_scores_), 2)
    assert np.isnan(first).all(), "no layer that the head reads has learned yet"
    assert second[-1] == model.score(X, y)


BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
HUGE = [np.inf, np.nan, 1e300, 1e39]


@pytest.mark.parametrize("value", [*HUGE, 1e-300])
def test_a_temperature_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"Hard\(temperature="):
        FFClassifier(negatives=Hard(temperature=value), **BRIEF).fit(X, y)
