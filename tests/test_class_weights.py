"""Weights of rows and of classes: a weight of k counts as k copies."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier, FFTransformer
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
    "learning_rate_init": 0.03,
    "max_iter": 20,
}


def classifier(**params):
    return FFClassifier(**{"hidden_layer_sizes": (16,), "random_state": 0, **params})


@pytest.mark.slow
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 0.1, 1: 3}, {1: 0.05}, {}])
@pytest.mark.parametrize("params", [{}, {"prediction": "head"}, {"goodness": "readout"}])
def test_a_weight_of_k_is_k_copies(class_weight, params):
    model = classifier(class_weight=class_weight, **EXACT, **params)
    weighted = model.fit(X, y, sample_weight=WEIGHT)
    p, counts = weighted.predict_proba(X), weighted.class_count_
    repeated = model.fit(REPEATED, LABELS)
    np.testing.assert_allclose(p, repeated.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(counts, repeated.class_count_)


@pytest.mark.slow
@pytest.mark.parametrize("negatives", ["all", "hard", "uniform"])
def test_balanced_weights_make_up_for_sample_weights(negatives):
    def positives(model, *rows, **weight):
        return model.fit(*rows, **weight).predict(X).sum()

    model = classifier(class_weight="balanced", negatives=negatives)
    weighted = positives(model, X, y, sample_weight=WEIGHT)
    assert abs(weighted - positives(model, REPEATED, LABELS)) <= 20
    model.set_params(class_weight=None)
    assert positives(model, X, y, sample_weight=WEIGHT) < weighted - 30, (
        "the weights have an effect"
    )


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


def heavy_row(value):
    return np.where(np.arange(200) == np.flatnonzero(y)[0], value, 1.0)


HUGE = [1e16, 1e30, 1e60, 1e99]


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_a_weight_that_makes_another_class_negligible_is_refused(value, method):
    model, known = classifier(), {}
    if method == "partial_fit":
        known = {"classes": [0, 1]}
    elif method == "fit_transform":
        model, method = FFTransformer(16, supervised=True, random_state=0), "fit"
    message = rf"weights of rows.* up to {value:g}, .* class 0, at most 1, do not count"
    with pytest.raises(ValueError, match=message.replace("+", ".")):
        getattr(model, method)(X, y, sample_weight=heavy_row(value), **known)


@pytest.mark.parametrize("value", HUGE)
def test_a_class_weight_that_makes_another_class_negligible_is_refused(value):
    with pytest.raises(ValueError, match=r"class_weight=\{0: .*class 1, at most 1, do not count"):
        classifier(class_weight={0: value}).fit(X, y)
    model = classifier(class_weight={0: value}).partial_fit(X[y == 0], y[y == 0], [0, 1])
    with pytest.raises(ValueError, match="class 1, at most"):
        model.partial_fit(X, y)


def test_weights_that_make_earlier_calls_negligible_are_refused():
    model = classifier().partial_fit(X, y, [0, 1])
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"of this call of partial_fit sum to 2e\+32.*before, 200"):
        model.partial_fit(X, y, sample_weight=np.full(200, 1e30))
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("least", [1e-13, 1e-40, 1e-99])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_rows_of_weight_zero_are_as_if_left_out(least, method):
    some = np.arange(200) % 3 > 0
    known = {"classes": [0, 1]} if method == "partial_fit" else {}
    weighted = getattr(classifier(), method)(X, y, sample_weight=np.where(some, 1, least), **known)
    left = getattr(classifier(), method)(X[some], y[some], **known)
    np.testing.assert_array_equal(weighted.predict_proba(X), left.predict_proba(X))


def test_balanced_weights_make_a_class_of_tiny_weights_count():
    tiny = np.where(y == 1, 1e-30, 1.0)
    model = classifier(class_weight="balanced", **EXACT).fit(X, y, sample_weight=tiny)
    expected = classifier(class_weight="balanced", **EXACT).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-90, 1e-30, 1e30, 1e90])
def test_a_class_of_weight_zero_and_large_weights(scale):
    weight = np.where(np.arange(200) < 20, 0, scale)
    labels = np.where(np.arange(200) < 20, 2, y)
    p = classifier().fit(X, labels, sample_weight=weight).predict_proba(X)
    assert np.isfinite(p).all() and p.shape == (200, 3)


def test_a_familiar_row_weighs_all():
    with pytest.raises(ValueError, match="1 sample with a weight above zero"):
        FFTransformer(8).fit(X, sample_weight=heavy_row(1e30))


IRIS, SPECIES = load_iris(return_X_y=True)


def of_iris(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


@pytest.mark.parametrize("scale", [1 / 150, 1e-6])
def test_small_weights_count_as_ones(scale):
    plain, small = (
        of_iris().fit(IRIS, SPECIES),
        of_iris().fit(IRIS, SPECIES, np.full(len(SPECIES), scale)),
    )
    np.testing.assert_allclose(small.class_count_, plain.class_count_)
    np.testing.assert_allclose(small.predict_proba(IRIS), plain.predict_proba(IRIS), atol=1e-4)


def test_whole_weights_count_as_copies():
    weight = 1 + np.arange(len(SPECIES)) % 3
    weighted = of_iris().fit(IRIS, SPECIES, weight)
    copies = of_iris().fit(np.repeat(IRIS, weight, axis=0), np.repeat(SPECIES, weight))
    assert weighted.class_count_.tolist() == copies.class_count_.tolist()


def test_small_weights_in_partial_fit_count_as_ones():
    plain, small = (of_iris().partial_fit(IRIS, SPECIES, classes=range(3)) for _ in range(2))
    plain.partial_fit(IRIS, SPECIES)
    small.partial_fit(IRIS, SPECIES, sample_weight=np.full(len(SPECIES), 1e-3))
    assert small.scale_ == pytest.approx(plain.scale_)


BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}


@pytest.mark.parametrize("value", [np.nan, np.inf, "a", 1e300, -1.0])
def test_class_weights_are_refused_by_name(value):
    with pytest.raises(ValueError, match="class_weight"):
        FFClassifier(class_weight={0: value, 1: 1.0, 2: 1.0}, **BRIEF).fit(IRIS, SPECIES)
