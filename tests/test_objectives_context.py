"""Objectives with a context: other layers, labels, activations, progress; against NumPy."""

import pickle

import numpy as np
import pytest
import torch
from devices import array, put
from scipy.special import expit, logsumexp
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.core import engine
from sklearn_ff.core.forward_forward import step
from sklearn_ff.layers import Conv2d
from sklearn_ff.objectives import (
    Collaboration,
    LayerFacts,
    Logistic,
    Margin,
    Objective,
    Routing,
    Similarity,
    Swish,
)
from sklearn_ff.schedules import Simultaneous

X, y = load_iris(return_X_y=True)


def classifier(**params):
    defaults = {"max_iter": 3, "batch_size": 50, "random_state": 0, "n_threads": 1}
    return FFClassifier((9, 6), **{**defaults, **params})


def normal(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


def of_layer(index=0, **facts):
    return LayerFacts(index=index, n_units=6, sharpness=3.0, shape=(6,), n_classes=3, **facts)


# Other layers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("reads", ["all", "below"])
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_collaboration_matches_reference(index, reads, weight):
    every = normal(3, 20, 4)
    layer = of_layer(index).beside(None, None, 0.0, list(every))
    g = every[index].numpy()
    read = [i for i in range(3) if (i < index if reads == "below" else i != index)]
    shared = g + weight * sum((every[i].numpy() for i in read), np.zeros_like(g))
    x = 3 * (shared[:, 1:] - shared[:, :1])
    part = Collaboration("swish", weight=weight, reads=reads)
    np.testing.assert_allclose(part.loss(every[index], layer), (x * expit(x)).mean(1), rtol=1e-12)


@pytest.mark.parametrize("side", ["positive", "negative"])
def test_each_side_of_a_collaboration_reads_the_other_layers(side):
    g, other = normal(20, 3), normal(20, 3, seed=1)
    layer = of_layer().beside(None, None, 0.0, [g, other])
    expected = getattr(Logistic(), side)(g + other, of_layer())
    torch.testing.assert_close(Collaboration().side(side).loss(g, layer), expected)


def test_other_layers_are_constants():
    net = classifier(objective=Collaboration("swish")).fit(X, y).net_
    network, updated = net.module_.train(), []

    def look(layer):
        for other in network.layers:
            grads = [weight.grad for weight in other.parameters()]
            assert all((grad is None) == (other is not layer) for grad in grads)
        updated.append(layer.index)
        layer.zero_grad(set_to_none=True)

    rows, labels = put(normal(8, 4)), put(torch.arange(8) % 3)
    network.zero_grad(set_to_none=True)
    step(
        network, net.negatives, rows, labels, put(torch.full((8,), 1 / 8).double()), look, net.draws
    )
    assert updated == [0, 1]


def test_layers_that_do_not_exist_yet_are_no_others():
    seen = []

    class Watching(Objective):
        needs_others = True

        def loss(self, scores, layer):
            seen.append((layer.index, None if layer.others is None else len(layer.others)))
            return (scores[:, 1:] - scores[:, :1]).exp().mean(1)

    classifier(objective=Watching(), schedule="greedy").fit(X, y)
    assert set(seen) == {(0, None), (1, 1)}


@pytest.mark.parametrize("negatives", ["all", "uniform"])
def test_batches_in_parts_collaborate_as_whole_ones(monkeypatch, negatives):
    given = {"objective": Collaboration("swish"), "negatives": negatives, "precision": "float64"}
    given["device"] = "cpu"  # whose generator draws the same numbers at once and in parts
    whole = classifier(**given).fit(X, y)
    monkeypatch.setattr(engine, "CANDIDATE_BYTES", 2000)
    sizes, step_of = [], engine.step
    monkeypatch.setattr(engine, "step", lambda *a: sizes.append(len(a[2])) or step_of(*a))
    in_parts = classifier(**given).fit(X, y)
    assert max(sizes) < 50
    np.testing.assert_allclose(in_parts.layer_scores(X), whole.layer_scores(X), rtol=1e-9)


def test_collaboration_without_weight_is_its_objective():
    alone, both = (classifier(objective=o).fit(X, y) for o in ("swish", Collaboration("swish", 0)))
    np.testing.assert_allclose(alone.layer_scores(X), both.layer_scores(X), rtol=1e-4)
    shared = classifier(objective=Collaboration("swish")).fit(X, y)
    assert not np.array_equal(alone.layer_scores(X), shared.layer_scores(X))


class Scaled(Objective):
    """An objective that owns a weight."""

    def build(self, layer):
        return ScaledLoss([torch.ones(())])


class ScaledLoss(nn.ParameterList):
    def loss(self, scores, layer):
        return -(self[0] * scores).log_softmax(1)[:, 0]


def test_collaboration_takes_an_objective_that_owns_weights():
    model = classifier(objective=Collaboration(Scaled())).fit(X, y)
    for layer in model.net_.module_.layers:
        assert layer.objective.built.inner[0].item() != 1
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    "part",
    [
        Collaboration(Collaboration()),
        Collaboration("collaboration"),
        Collaboration(["swish", "symba"]),
        Collaboration("similarity"),
        Collaboration(Similarity(weight=0.5)),
    ],
)
def test_collaboration_of_what_reads_more_than_scores_is_refused(part):
    with pytest.raises(ValueError, match=r"Collaboration\(.* must read scores alone; give one"):
        classifier(objective=part, goodness="readout").fit(X, y)


@pytest.mark.parametrize("threshold", [[1.0], [1.0, 2.0, 3.0]])
def test_thresholds_inside_of_a_collaboration_are_one_per_layer(threshold):
    for part in (Collaboration(Logistic(threshold)), [Collaboration(Logistic(threshold))] * 2):
        with pytest.raises(ValueError, match=r"^threshold has \d entr(y|ies) for 2 layers"):
            classifier(objective=part).fit(X, y)
    classifier(objective=Collaboration(Logistic([1.0, "width"]))).fit(X, y)


def test_a_threshold_inside_of_a_collaboration_must_be_within_reach():
    with pytest.raises(ValueError, match=r"Collaboration\(\) asks for goodness above 1"):
        classifier(objective=Collaboration(), goodness="neg_mean_square").fit(X, y)
    with pytest.raises(ValueError, match="can fall without end"):
        part = Collaboration(Margin(penalty=0.1))
        classifier(objective=part, goodness="readout").fit(X, y)


def test_layers_that_draw_their_own_candidates_cannot_collaborate():
    with pytest.raises(ValueError, match="each layer draws candidates of its own"):
        classifier(objective="collaboration", negatives="by_goodness").fit(X, y)


# Labels and activations -------------------------------------------------------------------------


def matching(h, labels, n_classes):
    """The mean squared difference of the cosines of rows and of one-hot labels, centred."""

    def cosines(x):
        x = x - x.mean(1, keepdims=True)
        return x @ x.T / np.outer(*[np.linalg.norm(x, axis=1)] * 2)

    return ((cosines(h) - cosines(np.eye(n_classes)[labels])) ** 2).mean(1)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.99, 1.0])
def test_similarity_matches_reference(weight):
    h, g, labels = normal(12, 1, 6), normal(12, 3, seed=1), np.arange(12) % 3
    part = Similarity(weight, mapped=False)
    layer = of_layer(activations=h, labels=torch.tensor(labels))
    predicted = logsumexp(3 * g.numpy(), axis=1) - 3 * g.numpy()[:, 0]
    expected = (1 - weight) * predicted + weight * matching(h[:, 0].numpy(), labels, 3)
    np.testing.assert_allclose(part.build(layer).loss(g, layer), expected, rtol=1e-10)


def test_similarity_of_images_compares_deviations_of_channels():
    h, labels = normal(8, 4, 3, 2), np.arange(8) % 3  # rows, height, width, channels
    layer = LayerFacts(0, 24, shape=(2, 4, 3), n_classes=3, labels=torch.tensor(labels))
    layer = layer.beside(h.reshape(8, 1, 24), torch.tensor(labels), 0.0, [])
    found = Similarity(1.0, mapped=False).build(layer).loss(normal(8, 3), layer)
    deviations = h.numpy().reshape(8, 12, 2).std(1)
    np.testing.assert_allclose(found, matching(deviations, labels, 3), rtol=1e-6)


@pytest.mark.parametrize("shape", [(7,), (5, 2, 3)])
def test_routing_matches_reference(shape):
    """The first half of units or channels takes the first classes as positive."""
    n_units, labels = int(np.prod(shape)), np.arange(12) % 5
    h = normal(12, 1, n_units)
    layer = LayerFacts(0, n_units, shape=shape, n_classes=5, labels=torch.tensor(labels))
    layer = layer.beside(h, torch.tensor(labels), 0.0, [])
    squares = h.numpy().reshape(12, -1, shape[0]) ** 2  # between layers, pixel by pixel
    halves = squares[..., : shape[0] // 2].sum((1, 2)), squares[..., shape[0] // 2 :].sum((1, 2))
    first = labels < 2
    own, other = np.where(first, halves, halves[::-1])
    expected = np.logaddexp(0, 3 * (0.5 - own)) + np.logaddexp(0, 3 * (other - 0.5))
    part = Routing(0.5, sharpness=3.0, split="same")
    found = part.build(layer).double().loss(normal(12, 5), layer)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_every_layer_draws_its_own_classes():
    params = {"goodness": "class_groups", "prediction": "head", "random_state": 0, "max_iter": 30}
    images, digits = (part[:300] for part in load_digits(return_X_y=True))
    params |= {"objective": Routing(), "batch_size": 50}
    clf = FFClassifier((20, 20, 20), **params).fit(images, digits)
    splits = [array(layer.objective.built.own)[:, 0] for layer in clf.net_.module_.layers]
    assert all(split.sum() == 5 for split in splits)
    assert len({split.tobytes() for split in splits}) == 3
    assert clf.score(images, digits) > 0.6
    with pytest.raises(ValueError, match=r"does not teach the scores .* use prediction='head'"):
        clf.set_params(prediction="goodness").fit(images, digits)


@pytest.mark.parametrize("layers", [[9, 6], [Conv2d(4), 6]])
def test_the_map_of_a_similarity_is_drawn_from_the_seed_and_learned(layers):
    images, digits = load_digits(return_X_y=True)
    images, digits = images[:120], digits[:120]
    params = {"layers": layers, "goodness": "readout", "objective": "similarity", "n_threads": 1}
    params |= {"image_shape": (1, 8, 8)} if layers[0] != 9 else {}

    def maps(seed, **more):
        model = FFClassifier(**params, **{"max_iter": 1, "random_state": seed, **more})
        fitted = model.fit(images, digits).net_.module_
        return [layer.objective.built.map.weight.detach() for layer in fitted.layers]

    torch.manual_seed(3)
    first, again, other, still = maps(0), maps(0), maps(1), maps(0, learning_rate_init=1e-30)
    for a, b, c, d in zip(first, again, other, still, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c) and not torch.equal(a, d)
        assert 0.5 < d.std() * d[0].numel() ** 0.5 < 1.5


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"goodness": "mean_square"}, "which layers must not be shown; use a goodness that scores"),
        ({"batch_size": 1}, "but a batch holds 1 sample; give batch_size=2 or more"),
        ({"schedule": Simultaneous("by_epoch")}, "cannot, since it compares them"),
    ],
)
def test_similarity_is_refused_where_it_cannot_compare(params, sentence):
    with pytest.raises(ValueError, match=rf"objective=Similarity\(\).* {sentence}"):
        classifier(**{"objective": "similarity", "goodness": "readout", **params}).fit(X, y)


def test_similarity_learns_with_labels_in_a_transformer():
    params = {"goodness": "readout", "objective": "similarity", "max_iter": 2, "random_state": 0}
    model = FFTransformer((9, 6), supervised=True, **params)
    assert model.fit(X, y).transform(X).shape == (150, 15)
    with pytest.raises(ValueError, match="supervised=True"):
        clone(model).set_params(supervised=False).fit(X)


# Progress ---------------------------------------------------------------------------------------


class Noting(Objective):
    """Notes how far the training is."""

    seen: list = []

    def loss(self, scores, layer):
        self.seen.append((layer.index, layer.progress))
        return (scores[:, 1:] - scores[:, :1]).exp().mean(1)


@pytest.mark.parametrize("schedule", ["simultaneous", "greedy", [(0, 3), ("all", 2)]])
def test_progress_goes_from_zero_to_one_in_every_stage(monkeypatch, schedule):
    monkeypatch.setattr(Noting, "seen", [])
    holds = isinstance(schedule, list)
    classifier(objective=Noting(), schedule=schedule, max_iter="auto" if holds else 4).fit(X, y)
    stages = {"simultaneous": [4], "greedy": [4]}.get(schedule if not holds else "", [2])
    for index in (0, 1):
        found = [progress for layer, progress in Noting.seen if layer == index]
        expected = [i / (3 * n) for n in stages for i in range(3 * n)]
        expected = [i / 9 for i in range(9)] * (holds and index == 0) + expected
        np.testing.assert_allclose(found, expected)


def test_progress_is_zero_in_partial_fit(monkeypatch):
    monkeypatch.setattr(Noting, "seen", [])
    model = classifier(objective=Noting())
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert len(Noting.seen) == 18 and {progress for _, progress in Noting.seen} == {0.0}


# All of them ------------------------------------------------------------------------------------

CONTEXT = [
    {"objective": Collaboration("swish")},
    {"objective": Collaboration(reads="below")},
    {"objective": Similarity(), "goodness": "readout"},
    {"objective": Routing(), "goodness": "class_groups", "prediction": "head"},
    {"objective": ["softmax", Similarity(mapped=False)], "goodness": "readout"},
]
WAYS = [
    {},
    {"early_stopping": True},
    {"class_weight": "balanced"},
    {"precision": "bfloat16"},
    {"precision": "float64"},
    {"schedule": "greedy"},
    {"batch_size": 49},
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("context", CONTEXT)
def test_objectives_with_a_context_clone_pickle_and_repeat(context, way):
    model = classifier(**context, **way)
    assert repr(clone(model)) == repr(model)
    p = model.fit(X, y, sample_weight=1 + np.arange(150) % 3).predict_proba(X)
    again = clone(model).fit(X, y, sample_weight=1 + np.arange(150) % 3)
    np.testing.assert_array_equal(again.predict_proba(X), p)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), p)


def test_a_search_reaches_the_objective_inside_of_a_collaboration():
    model = classifier(objective=Collaboration(Logistic()))
    grid = {"objective__weight": [0.0, 1.0], "objective__objective__threshold": [0.5, 1.0]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert set(search.best_params_) == set(grid)
    listed = classifier(objective=["swish", Collaboration(Swish(2.0))])
    listed.set_params(objective__1__objective__sharpness=4.0)
    assert listed.objective[1].objective.sharpness == 4.0


def test_similarity_alone_teaches_no_scores():
    X, y = load_iris(return_X_y=True)
    params = {"goodness": "readout", "objective": Similarity(weight=1.0), "random_state": 0}
    with pytest.raises(ValueError, match=r"does not teach the scores .* use prediction='head'"):
        FFClassifier(8, **params).fit(X, y)
    head = FFClassifier(16, prediction="head", max_iter=60, **params).fit(X, y)
    assert head.score(X, y) > 0.8
