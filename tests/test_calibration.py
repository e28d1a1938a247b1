"""Probabilities: what they do not depend on, and how sure they are."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from devices import put
from scipy.optimize import check_grad
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, FFTransformer, _calibration, _scoring
from sklearn_ff._calibration import Sample, loss_of, neighbours_labels
from sklearn_ff._scoring import HARMLESS, ROUNDING, SMALLEST, network_scores, unsure
from sklearn_ff._stored import dense
from sklearn_ff.layers import Conv2d
from sklearn_ff.predictions import predictions

# Of networks that are made lifeless here on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Layers .* respond alike")

rng = np.random.default_rng(0)
DIGITS, DIGIT = load_digits(return_X_y=True)
# Digits of 784 pixels, as large images are.
LARGE = np.kron(DIGITS.reshape(-1, 8, 8), np.ones((4, 4)))[:, 2:-2, 2:-2].reshape(-1, 784)
LARGE = LARGE + rng.normal(size=LARGE.shape)
TRAIN, TEST = slice(0, 400), slice(400, 700)


def classifier(**params):
    size = {} if "layers" in params else {"hidden_layer_sizes": (500,)}
    params = {**size, "max_iter": 2, "precision": "float32"} | params
    return FFClassifier(**params, random_state=0, n_threads=1)


SETTINGS = {
    "goodness": {},
    "head": {"prediction": "head"},
    "hybrid": {"prediction": "hybrid"},
    "softmax_sum": {"prediction": "softmax_sum", "hidden_layer_sizes": (500, 500)},
    "low precision": {"precision": "bfloat16"},
    "deep": {"hidden_layer_sizes": (100,) * 5},
    "readout": {"goodness": "readout"},
    "quiet": {"goodness": "neg_mean_square"},
    "untrained": {"learning_rate_init": 1e-12},
    "wild": {"learning_rate_init": 10.0},
    "convolutions": {
        "hidden_layer_sizes": (256,),
        "layers": [Conv2d(4, stride=2, padding=1, norm="batch"), 20],
        "overlay": "channel",
        "image_shape": (1, 28, 28),
        "learning_rate_init": 1e-3,
    },
}


@pytest.mark.fault("A8")
@pytest.mark.filterwarnings("ignore:No unit of layers")
@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("setting", SETTINGS)
def test_probabilities_of_a_row_do_not_depend_on_the_other_rows(setting, n_classes):
    y = DIGIT[TRAIN] % n_classes
    model = classifier(**SETTINGS[setting]).fit(LARGE[TRAIN], y)
    model.slips_ = 0.1
    # However steep: a scale as large as it may become.
    for scale in (model.scale_, min(100 * model.scale_, 1e4)):
        model.scale_ = scale
        p, X = model.predict_proba(LARGE[TEST]), LARGE[TEST]
        alone = np.vstack([model.predict_proba(row[None]) for row in X[:12]])
        order = rng.permutation(len(X))
        np.testing.assert_allclose(alone, p[:12], rtol=0, atol=1e-6)
        np.testing.assert_allclose(model.predict_proba(X[order]), p[order], rtol=0, atol=1e-6)
        labels = [model.predict(row[None])[0] for row in X[:12]]
        np.testing.assert_array_equal(labels, model.predict(X)[:12])


@pytest.mark.parametrize(("n_classes", "size"), [(2, 30.0), (10, 10.0), (1000, 0.1)])
def test_rounding_moves_rows_that_are_sure_by_no_more_than_the_bound(n_classes, size):
    scores = size * rng.normal(size=(500, n_classes))
    sure = ~unsure(scores, 1.0)
    assert sure.any()
    error = ROUNDING * np.maximum(np.abs(scores).max(1, keepdims=True), SMALLEST)
    for signs in (rng.choice([-1, 1], scores.shape), 1 - 2 * (scores < scores.max(1)[:, None])):
        moved = scores + error * signs
        change = np.abs(softmax(moved, 1) - softmax(scores, 1)).max(1)
        assert (change < 1.001 * HARMLESS)[sure].all()
        assert (moved.argmax(1) == scores.argmax(1))[sure].all()


@pytest.mark.parametrize("rule", predictions.names)
def test_few_rows_of_an_ordinary_table_are_scored_twice(rule, monkeypatch):
    clf = classifier(hidden_layer_sizes=(100, 100), max_iter=10, prediction=rule)
    clf.fit(DIGITS[TRAIN], DIGIT[TRAIN])
    scored = []

    def counted(network, plan, X, *layers):
        scored.append(len(X))
        return network_scores(network, plan, X, *layers)

    monkeypatch.setattr(_scoring, "network_scores", counted)
    clf.predict_proba(DIGITS[400:])
    n = len(DIGITS) - 400
    assert n <= sum(scored) < 1.25 * n


def test_rows_are_scored_in_double_precision_at_once_where_most_are_unsure(monkeypatch):
    clf = classifier(max_iter=1).fit(LARGE[TRAIN], DIGIT[TRAIN])
    single = []

    def counted(network, plan, X, *layers):
        single.append(len(X) * (plan.dtype == "float32"))
        return network_scores(network, plan, X, *layers)

    monkeypatch.setattr(_scoring, "network_scores", counted)
    clf.predict_proba(LARGE[400:])
    assert 0 < sum(single) < 150


@pytest.mark.parametrize("setting", ["goodness", "head", "hybrid", "readout"])
@pytest.mark.parametrize("n_classes", [2, 10])
def test_probabilities_are_exact_and_agree_with_all_predictions(setting, n_classes):
    model = classifier(**SETTINGS[setting]).fit(LARGE[TRAIN], DIGIT[TRAIN] % n_classes)
    p, decision = model.predict_proba(LARGE[TEST]), model.decision_function(LARGE[TEST])
    assert p.dtype == decision.dtype == np.float64
    np.testing.assert_allclose(p.sum(1), 1, rtol=0, atol=1e-12)
    for row in p:
        np.random.default_rng(0).multinomial(5, row)
        np.random.RandomState(0).multinomial(5, row)
    np.testing.assert_array_equal(model.predict(LARGE[TEST]), p.argmax(1))
    log_p = model.predict_log_proba(LARGE[TEST])
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-12, atol=1e-300)
    if n_classes == 2:
        np.testing.assert_allclose(decision, log_p[:, 1] - log_p[:, 0], atol=1e-12)
        np.testing.assert_array_equal(decision > 0, p.argmax(1) == 1)
    else:
        np.testing.assert_array_equal(decision, log_p)


@pytest.mark.parametrize("prediction", ["goodness", "head", "hybrid"])
def test_equal_scores_are_equal_probabilities(prediction):
    model = classifier(prediction=prediction).fit(LARGE[TRAIN], DIGIT[TRAIN])
    with torch.no_grad():
        for weights in model.net_.module_.parameters():
            weights.zero_()
    p = model.predict_proba(LARGE[TEST])
    np.testing.assert_allclose(p, 0.1, rtol=1e-9)
    assert (model.predict(LARGE[TEST]) == 0).all()


class Silence(Callback):
    """Leaves every weight at a tiny share of what it was when training ends."""

    def __init__(self, share):
        self.share = share

    def on_train_end(self, net, **kwargs):
        with torch.no_grad():
            for weights in net.module_.parameters():
                weights.mul_(self.share)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("share", [0.0, 1e-30])
def test_a_network_that_has_died_or_fades_is_the_same_for_one_row(share, precision):
    model = classifier(callbacks=[Silence(share)], precision=precision)
    model.fit(LARGE[TRAIN], DIGIT[TRAIN])
    assert np.isfinite(model.scale_) and model.scale_ > 0
    p = model.predict_proba(LARGE[TEST])
    if share == 0:
        np.testing.assert_allclose(p, 0.1, rtol=1e-9)
    alone = np.vstack([model.predict_proba(row[None]) for row in LARGE[TEST][:20]])
    np.testing.assert_allclose(alone, p[:20], rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_scores_that_differ_by_rounding_alone_are_no_opinion(precision):
    """One goodness for all labels, and noise of the last digits: the scale has a bound."""

    def noisy(h):
        h = h.sum(-1)
        return 1 + 1e-13 * torch.sin(1e6 * h) if h.dtype == torch.float64 else 1 + 0 * h

    model = classifier(goodness=noisy, precision=precision, max_iter=1)
    model.fit(LARGE[TRAIN], DIGIT[TRAIN])
    assert model.scale_ <= 1e5 * 1.01
    np.testing.assert_allclose(model.predict_proba(LARGE[TEST]), 0.1, rtol=1e-6)


def test_a_goodness_in_single_precision_only_can_predict():
    signs = put(torch.ones(30))

    def goodness(h):
        return h.square() @ signs.to(torch.float32)

    model = classifier(hidden_layer_sizes=(30,), goodness=goodness).fit(DIGITS, DIGIT)
    assert model.predict_proba(DIGITS[:5]).shape == (5, 10)


@pytest.mark.parametrize("call", ["transform", "score_samples"])
def test_features_do_not_depend_on_the_other_rows(call):
    """In single precision: to about 1e-6 of their size."""
    model = FFTransformer((500, 100), max_iter=1, random_state=0, precision="float32")
    found = getattr(model.fit(LARGE[TRAIN]), call)
    together = found(LARGE[TEST])[:40]
    alone = np.concatenate([found(row[None]) for row in LARGE[TEST][:40]])
    size = np.abs(together).max()
    np.testing.assert_allclose(alone, together, rtol=0, atol=3e-6 * size)


# The scale ---------------------------------------------------------------------------------------

SMALL = {"hidden_layer_sizes": (30,), "max_iter": 20, "precision": "auto"}


def two_clouds(n, distance, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return rng.normal(size=(n, 5)) + distance * y[:, None] * np.eye(1, 5), y


@pytest.mark.parametrize("prediction", ["goodness", "head", "hybrid"])
def test_a_row_of_weight_k_counts_as_k_copies_for_the_scale(prediction):
    X, y = two_clouds(40, 1.0)
    weight = np.arange(40) % 3
    # Nearly nothing is learned, so that both networks are the same.
    still = {"learning_rate_init": 1e-9, "prediction": prediction, "batch_size": "all"} | SMALL
    weighted = classifier(**still).fit(X, y, weight)
    copies = classifier(**still).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert weighted.scale_ == pytest.approx(copies.scale_, rel=1e-4)
    assert weighted.slips_ == pytest.approx(copies.slips_, rel=1e-3, abs=1e-5)
    np.testing.assert_allclose(weighted.predict_proba(X), copies.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("seed", [0, 7])
def test_weights_are_copies_to_the_last_digits_where_every_scale_above_some_is_as_likely(seed):
    rng = np.random.RandomState(seed)
    X, y, weight = rng.randn(15, 15), rng.randint(3, size=15), rng.randint(5, size=15)
    model = FFClassifier(16, max_iter=30, random_state=0, n_threads=1)
    found = model.fit(X.repeat(weight, 0), y.repeat(weight)).predict_proba(X)
    again = model.fit(X[::-1], y[::-1], weight[::-1]).predict_proba(X)
    np.testing.assert_allclose(again, found, rtol=1e-7)


@pytest.mark.parametrize("at", [(0.0, -3.0), (2.0, -8.0), (5.5, -0.5)])
def test_the_gradient_of_the_likelihood_is_its_slope(at):
    rng = np.random.default_rng(0)
    target, prior = rng.dirichlet([0.3] * 3, 50), rng.dirichlet([1] * 3)
    loss = loss_of(3 * rng.normal(size=(50, 3)), Sample(None, target, np.arange(50.0), prior))
    assert check_grad(lambda at: loss(*at)[0], lambda at: loss(*at)[1], at) < 1e-5


def test_the_order_of_rows_does_not_matter_for_the_scale():
    X, y = two_clouds(100, 1.0)
    order = rng.permutation(100)
    fits = [classifier(**SMALL).fit(X[i], y[i]) for i in (slice(None), order)]
    assert fits[0].scale_ == pytest.approx(fits[1].scale_, rel=1e-4)
    assert fits[0].slips_ == pytest.approx(fits[1].slips_, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("prediction", ["goodness", "head", "hybrid"])
def test_slips_change_no_decision_and_bound_every_probability(prediction, n_classes):
    y = DIGIT[TRAIN] % n_classes
    y[DIGIT[TRAIN] == 7] = 1  # classes of different size
    model = classifier(prediction=prediction, max_iter=20).fit(LARGE[TRAIN], y)
    model.slips_ = 0.0
    labels, sure = model.predict(LARGE[TEST]), model.predict_proba(LARGE[TEST])
    model.slips_ = 0.4
    p, decision = model.predict_proba(LARGE[TEST]), model.decision_function(LARGE[TEST])
    np.testing.assert_allclose(p.sum(1), 1, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(model.predict(LARGE[TEST]), labels)
    np.testing.assert_array_equal(model.classes_[p.argmax(1)], labels)
    if n_classes == 2:
        np.testing.assert_array_equal(decision > 0, labels == 1)
    assert sure.min() < 1e-3 and p.min() > 1e-2


@pytest.mark.parametrize("slips", [0.0, 0.4])
def test_classes_of_equal_scores_are_equally_likely_for_all_sizes(slips):
    model = classifier().fit(LARGE[TRAIN], np.minimum(DIGIT[TRAIN], 2))
    model.slips_ = slips
    with torch.no_grad():
        for weights in model.net_.module_.parameters():
            weights.zero_()
    np.testing.assert_allclose(model.predict_proba(LARGE[TEST]), 1 / 3, rtol=1e-9)
    assert (model.predict(LARGE[TEST]) == 0).all()


def log_loss_of(model, X, y):
    return -model.predict_log_proba(X)[np.arange(len(y)), y].mean()


def test_mistaken_labels_far_from_the_boundary_are_slips():
    rng = np.random.default_rng(0)
    X, mistaken = rng.uniform(-1, 1, (1000, 2)), rng.random(1000) < 0.1
    y = (X[:, 0] > 0).astype(int)
    clean, noisy = (classifier(**SMALL).fit(X[:600], labels[:600]) for labels in (y, y ^ mistaken))
    assert clean.slips_ < 0.02
    assert 0.1 < noisy.slips_ < 0.3  # half of the slips meet the label by chance
    # Far rows are as sure as mistakes allow, and near ones are not.
    assert log_loss_of(noisy, X[600:], (y ^ mistaken)[600:]) < 0.45
    noisy.slips_ = 0.0
    assert log_loss_of(noisy, X[600:], (y ^ mistaken)[600:]) > 0.45


def test_partial_fit_averages_the_slips_by_the_rows_seen():
    model = classifier(learning_rate_init=1e-9, precision="float64")
    model.partial_fit(DIGITS[:400], DIGIT[:400], classes=range(10))
    model._fitted = replace(model._fitted, slips=0.3)
    model.partial_fit(DIGITS[:4], DIGIT[:4])
    assert 0.29 < model.slips_ < 0.31


def test_neighbours_are_the_nearest_other_places_and_ties_count_by_weight():
    angle = torch.tensor([0.0, 0.1, 0.3, -0.1], dtype=torch.float64)
    seen = torch.stack([angle.cos(), angle.sin()], 1)
    labels = csr_array([[1.0, 0], [0, 3.0], [1.0, 0], [1.0, 0]])
    found = neighbours_labels(seen, np.arange(4), labels)
    np.testing.assert_allclose(found, [[0.25, 0.75], [1, 0], [0, 1], [1, 0]])


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@pytest.mark.parametrize("n_classes", [2, 40])
def test_classes_of_one_row_leave_the_scale_finite(n_classes):
    X = np.random.default_rng(0).normal(size=(n_classes, 6))
    model = classifier(**SMALL).fit(X, np.arange(n_classes))
    p = model.predict_proba(X)
    assert np.isfinite(p).all() and 0 < model.scale_ < np.inf
    np.testing.assert_array_equal(model.predict(X), p.argmax(1))


def test_a_wide_network_is_compared_by_a_sketch():
    model = classifier(hidden_layer_sizes=(700, 700), max_iter=5).fit(DIGITS[TRAIN], DIGIT[TRAIN])
    p, y = model.predict_proba(DIGITS[TEST]), DIGIT[TEST]
    assert -np.log(p[np.arange(len(y)), y]).mean() < 1.2


class Interrupt(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize("layers", ["all", [1]])
def test_layers_that_an_ended_fit_has_not_reached_do_not_count(layers):
    params = {"schedule": "greedy", "prediction_layers": layers, "callbacks": [Interrupt()]}
    model = classifier(hidden_layer_sizes=(20, 700), **params).fit(DIGITS, DIGIT)
    assert model.net_.module_.depth == 1 and model.score(DIGITS, DIGIT) > 0.5
    assert np.isfinite(model.predict_proba(DIGITS)).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int8, np.float16, csr_array])
@pytest.mark.parametrize("width", [1, 3, 8])
def test_equal_rows_are_found_whatever_they_hold(kind, width, monkeypatch):
    monkeypatch.setattr(_calibration, "READ_NUMBERS", 7 * width)
    X = np.random.RandomState(0).randint(-1, 2, (40, width)).astype(np.float64)
    X = kind(X) if kind is csr_array else X.astype(kind)
    looked = np.arange(0, 40, 2)
    first, place = _calibration.distinct(X, looked)
    rows = [row.tolist() for row in dense(X)[looked]]
    unique = [row for number, row in enumerate(rows) if row not in rows[:number]]
    assert [rows[number] for number in first] == unique
    assert [unique[number] for number in place] == rows


def test_rows_that_differ_in_signs_alone_are_not_taken_for_copies():
    signs = np.array(list(product([1, -1], repeat=8)), dtype=np.float32)
    first, place = _calibration.distinct(signs, np.arange(256))
    assert len(set(_calibration.sums_of(signs))) < 256  # their sums do not tell
    assert first.tolist() == place.tolist() == list(range(256))
