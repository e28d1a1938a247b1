"""Weights of rows and of classes: a weight of k counts as k copies."""

import numpy as np
import pytest

from sklearn_ff import FFClassifier
from sklearn_ff.negatives import All, Hard

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3))
y = (X[:, 0] + rng.normal(size=200) > 0).astype(int)
WEIGHT = np.where(y == 1, 1, 20)
REPEATED, LABELS = np.repeat(X, WEIGHT, axis=0), np.repeat(y, WEIGHT)
# One batch in double precision: then copies of a row change nothing but its weight.
EXACT = {
    "batch_size": "all",
    "negatives": "all",
    "precision": "float64",
    "learning_rate_init": 0.02,
    "max_iter": 60,
}


def classifier(**params):
    return FFClassifier(**{"hidden_layer_sizes": (16,), "random_state": 0, **params})


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 0.1, 1: 3}, {1: 0.05}, {}])
@pytest.mark.parametrize("params", [{}, {"prediction": "head"}, {"goodness": "readout"}])
def test_a_weight_of_k_is_k_copies(class_weight, params):
    model = classifier(class_weight=class_weight, **EXACT, **params)
    weighted = model.fit(X, y, sample_weight=WEIGHT)
    p, counts = weighted.predict_proba(X), weighted.class_count_
    repeated = model.fit(REPEATED, LABELS)
    np.testing.assert_allclose(p, repeated.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(counts, repeated.class_count_)


@pytest.mark.parametrize("negatives", ["all", "hard", "uniform"])
def test_balanced_weights_make_up_for_sample_weights(negatives):
    def positives(model, *rows, **weight):
        return model.fit(*rows, **weight).predict(X).sum()

    model = classifier(class_weight="balanced", negatives=negatives)
    weighted = positives(model, X, y, sample_weight=WEIGHT)
    assert abs(weighted - positives(model, REPEATED, LABELS)) <= 20
    model.set_params(class_weight=None)
    assert positives(model, X, y, sample_weight=WEIGHT) < weighted - 30, "the weights tell"


def test_balanced_weights_cancel_weights_by_class():
    model = classifier(class_weight="balanced", **EXACT)
    plain = model.fit(X, y).predict_proba(X)
    by_class = model.fit(X, y, sample_weight=WEIGHT * len(y) / WEIGHT.sum()).predict_proba(X)
    np.testing.assert_allclose(plain, by_class, atol=1e-6)


@pytest.mark.parametrize("negatives", [All(), Hard()])
def test_rows_of_weight_zero_do_not_count_for_balance(negatives):
    weight = np.where((y == 0) & (np.arange(200) % 4 > 0), 0.0, 1.0)
    model = classifier(class_weight="balanced", negatives=negatives, precision="float64")
    left_out = model.fit(X, y, sample_weight=weight).predict_proba(X)
    some = weight > 0
    np.testing.assert_allclose(left_out, model.fit(X[some], y[some]).predict_proba(X), atol=1e-6)


def test_a_class_without_weight_does_not_disturb_the_balance():
    A, labels = np.vstack([X, X[:20] + 9]), np.append(y, np.full(20, 2))
    weight = np.append(WEIGHT, np.zeros(20))
    model = classifier(class_weight="balanced").fit(A, labels, sample_weight=weight)
    assert model.class_count_[0] == pytest.approx(model.class_count_[1])
    assert model.class_count_[2] == 0 and not (model.predict(A) == 2).any()


def test_class_weights_multiply_sample_weights_in_partial_fit():
    model = classifier(class_weight={0: 0.5, 1: 3}, precision="float64")
    p = model.partial_fit(X, y, classes=[0, 1], sample_weight=WEIGHT).predict_proba(X)
    both = WEIGHT * np.where(y == 1, 3, 0.5)
    model = classifier(precision="float64")
    same = model.partial_fit(X, y, classes=[0, 1], sample_weight=both).predict_proba(X)
    np.testing.assert_allclose(p, same, atol=1e-3)


# What is not a weight ---------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1, np.nan, np.inf, None, "2", [2]])
def test_what_is_no_weight_of_a_class_is_refused(bad):
    for call in (
        lambda model: model.fit(X, y),
        lambda model: model.partial_fit(X, y, classes=[0, 1]),
    ):
        with pytest.raises(ValueError, match="class_weight gives class 1 the weight"):
            call(classifier(class_weight={0: 1, 1: bad}))


@pytest.mark.parametrize(
    "labels, given, message",
    [
        ([0, 1], {0: 1, 7: 2}, r"not there, \[7\].*classes are \[0, 1\]"),
        ([0, 1], {"1": 2}, r"not there, \['1'\]"),
        (["0", "1"], {1: 2}, r"not there, \[1\].*classes are \['0', '1'\]"),
    ],
)
def test_weights_of_labels_that_are_not_there_are_refused(labels, given, message):
    with pytest.raises(ValueError, match=message):
        classifier(class_weight=given).fit(X, np.array(labels)[y])


@pytest.mark.parametrize(
    "labels, given",
    [
        ([0, 1], {1: 5}),
        ([0, 1], {0: 1, 1: 5, 2: 7}),
        (["0", "1"], {"1": 5}),
        ([False, True], {True: 5}),
        ([0.0, 1.0], {1: 5}),
    ],
    ids=["one of two", "one too many, as of folds", "digits as text", "bool", "float"],
)
def test_classes_are_weighed_by_their_labels(labels, given):
    model = classifier(class_weight=given, max_iter=1).fit(X, np.array(labels)[y])
    assert model.class_count_[1] == pytest.approx(5 * (y == 1).sum())


def test_weights_that_leave_no_row_are_refused():
    with pytest.raises(ValueError, match=r"class_weight=.* no row with a weight above zero"):
        classifier(class_weight={0: 0, 1: 0}).fit(X, y)
    with pytest.raises(ValueError, match="two classes with a weight above zero"):
        classifier(class_weight={0: 0}).fit(X, y)
