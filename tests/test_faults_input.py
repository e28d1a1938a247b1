"""Promises about rows and labels: fault table groups B and C."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.exceptions import DataConversionWarning
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_ff import FFClassifier, FFMemoryError, FFTransformer
from sklearn_ff._draws import Draws
from sklearn_ff.exceptions import NoEffectWarning
from sklearn_ff.negatives import All, Hard, Uniform
from sklearn_ff.overlays import Append

pytestmark = pytest.mark.filterwarnings("ignore:image_shape=.* has no effect")

X, y = load_iris(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 30, "random_state": 0, **params})


@pytest.mark.fault("B1")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_and_infinity_are_refused(bad):
    broken = X.copy()
    broken[3, 1] = bad
    fitted = classifier().fit(X, y)
    for call in (
        lambda: classifier().fit(broken, y),
        lambda: classifier().partial_fit(broken, y, classes=[0, 1, 2]),
        lambda: fitted.predict(broken),
    ):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            call()


@pytest.mark.fault("B2")
@pytest.mark.parametrize("copies", [1, 3])
def test_values_beyond_float32_are_refused(copies):
    with pytest.raises(ValueError, match="too large"):
        classifier().fit(np.tile(X * 1e300, (copies, 1)), np.tile(y, copies))


@pytest.mark.fault("B3")
@pytest.mark.parametrize("factor", [1e20, 1e30, 1e-30])
def test_the_unit_of_the_data_does_not_matter(factor):
    fitted = classifier().fit(X * factor, y)
    same = classifier().fit(X, y)
    np.testing.assert_allclose(
        fitted.predict_proba(X * factor), same.predict_proba(X), rtol=1e-3, atol=1e-4
    )
    assert np.isfinite(same.predict_proba(X * 1e30)).all()


VARIANTS = {
    "float16": lambda A: A.astype(np.float16),
    "int64": lambda A: A.astype(np.int64),
    "uint8": lambda A: A.astype(np.uint8),
    "bool": lambda A: A > 3,
    "longdouble": lambda A: A.astype(np.longdouble),
    "big-endian": lambda A: A.astype(">f8"),
    "negative strides": lambda A: A[::-1][::-1],
    "F-order": np.asfortranarray,
    "slice": lambda A: np.repeat(A, 2, axis=1)[:, ::2],
}


@pytest.mark.fault("B4")
@pytest.mark.parametrize("kind", VARIANTS)
def test_any_numeric_layout_gives_the_result_of_its_float64_copy(kind):
    A = VARIANTS[kind](X)
    copy = np.ascontiguousarray(A, dtype=np.float64)
    expected = classifier().fit(copy, y).predict_proba(copy)
    np.testing.assert_array_equal(classifier().fit(A, y).predict_proba(A), expected)


@pytest.fixture
def every_warning():
    """torch tells some things once per process."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.mark.fault("B5")
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("augmentation", [None, "shifts"])
def test_read_only_rows_are_read_without_a_warning(every_warning, augmentation, precision):
    A, labels = X.copy(), y.copy()
    A.flags.writeable = labels.flags.writeable = False
    params = {"augmentation": augmentation, "image_shape": (1, 1, 4), "precision": precision}
    classifier(**params, max_iter=2).fit(A, labels, X_val=A, y_val=labels).predict(A)
    transformer = FFTransformer(8, **params, max_iter=2).fit(A)
    transformer.transform(A), transformer.score_samples(A)


@pytest.mark.fault("B5")
def test_read_only_rows_are_supported_and_not_changed():
    A = np.tile(X, (300, 1))  # over 1 MB: what workers receive as a read-only memory map
    labels = np.tile(y, 300)
    before = A.copy()
    A.flags.writeable = False
    classifier(max_iter=1).fit(A, labels).predict(A)
    np.testing.assert_array_equal(A, before)


CONTAINERS = {
    "list": lambda A: A.tolist(),
    "pandas": lambda A: pd.DataFrame(A, columns=list("abcd")),
    "torch": torch.tensor,
    "csr": sparse.csr_matrix,
    "csr_array": sparse.csr_array,
    "csc": sparse.csc_matrix,
}


@pytest.mark.fault("B6")
@pytest.mark.parametrize("kind", CONTAINERS)
def test_containers_are_accepted(kind):
    A = CONTAINERS[kind](X)
    expected = classifier().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(classifier().fit(A, y).predict_proba(A), expected, rtol=1e-9)


@pytest.mark.fault("B6")
@pytest.mark.parametrize("bad", [X + 1j, np.full((150, 2), "a"), np.full((150, 2), {})])
def test_other_kinds_get_one_clear_error(bad):
    with pytest.raises((ValueError, TypeError)):
        classifier().fit(bad, y)


@pytest.mark.fault("B7")
def test_shapes_and_columns_are_checked():
    fitted = classifier().fit(pd.DataFrame(X, columns=list("abcd")), y)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(pd.DataFrame(X, columns=list("abdc")))
    for bad in (X[:0], X[:, :0], X[0], X[None]):
        with pytest.raises(ValueError):
            classifier().fit(bad, y)
    with pytest.raises(ValueError, match="features"):
        classifier().fit(X, y).predict(X[:, :2])


@pytest.mark.fault("B8")
def test_few_rows_and_one_feature_are_enough():
    with pytest.raises(ValueError, match="1 sample"):
        classifier().fit(X[:1], y[:1])
    assert classifier(batch_size=1000).fit(X[:, :1], y).batch_size_ == 150
    assert classifier(batch_size=149).fit(X, y).predict(X[:1]).shape == (1,)
    assert classifier().fit(X[[0, 149]], y[[0, 149]]).predict(X[:1]) == [0]


@pytest.mark.fault("B9")
def test_rows_without_content_get_finite_probabilities():
    for rows in (np.zeros_like(X), np.ones_like(X), np.tile(X[:1], (150, 1))):
        p = classifier().fit(rows, y).predict_proba(X)
        assert np.isfinite(p).all()


@pytest.mark.fault("B9")
def test_a_layer_that_never_wakes_is_named():
    def dead(a):
        return a * 0

    with pytest.warns(UserWarning, match=r"Layers \[1\] respond alike to every row or candidate"):
        fitted = classifier(activation=dead).fit(X, y)
    np.testing.assert_allclose(fitted.predict_proba(X), 1 / 3)


@pytest.mark.fault("B10")
def test_a_network_that_cannot_fit_is_refused_before_it_is_built():
    rows = sparse.csr_array(sparse.eye_array(4, 200_000, dtype=np.float32))
    assert classifier(hidden_layer_sizes=2, max_iter=1).fit(rows, [0, 1, 0, 1]).n_iter_ == 1
    with pytest.raises(FFMemoryError, match="GiB"):
        classifier(hidden_layer_sizes=(10_000_000,)).fit(rows, [0, 1, 0, 1])


@pytest.mark.fault("B11")
def test_later_changes_of_the_rows_do_not_reach_the_model():
    A = X.astype(np.float32).copy()
    fitted = classifier().fit(A, y)
    before = fitted.predict_proba(X)
    A[:] = 0
    np.testing.assert_array_equal(fitted.predict_proba(X), before)


LABELS = {
    "str": np.array(["a", "b", "c"]),
    "object": np.array(["a", "b", "c"], dtype=object),
    "negative": np.array([-5, 0, 7]),
    "huge": np.array([0, 2**60, 2**62]),
    "float": np.array([1.0, 2.0, 3.0]),
}


@pytest.mark.fault("C1")
@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind_come_back(kind):
    labels = LABELS[kind][y]
    fitted = classifier().fit(X, labels)
    assert fitted.predict(X).dtype == labels.dtype
    assert fitted.score(X, labels) > 0.8


@pytest.mark.fault("C1")
def test_bool_categorical_and_column_labels_are_taken():
    assert classifier().fit(X, y == 0).predict(X).dtype == bool
    assert classifier().fit(X, pd.Categorical(np.array(list("abc"))[y])).predict(X)[0] == "a"
    with pytest.warns(DataConversionWarning):
        classifier().fit(X, y[:, None])


@pytest.mark.fault("C2")
@pytest.mark.parametrize(
    "bad",
    [
        np.array([b"a", b"b"])[y % 2],
        np.array([1, "a"], dtype=object)[y % 2],
        np.array([None, 1], dtype=object)[y % 2],
        np.array([np.nan, 1.0])[y % 2],
        np.linspace(0, 1, 150),
        np.eye(3, dtype=int)[y] + np.eye(3, dtype=int)[(y + 1) % 3],
    ],
)
def test_labels_that_are_not_classes_are_refused_readably(bad):
    with pytest.raises((ValueError, TypeError)) as refusal:
        classifier().fit(X, bad)
    assert "'<' not supported" not in str(refusal.value)


@pytest.mark.fault("C3")
def test_one_class_is_refused():
    with pytest.raises(ValueError, match="class"):
        classifier().fit(X, np.zeros(150))
    with pytest.raises(ValueError, match="class"):
        classifier().fit(X, y, sample_weight=(y == 1).astype(float))


@pytest.mark.fault("C4")
def test_more_classes_than_features_are_learned():
    A, labels = make_blobs(300, n_features=4, centers=30, random_state=0)
    assert classifier(max_iter="auto").fit(A, labels).score(A, labels) > 0.5
    with pytest.raises(ValueError, match="append"):
        classifier(overlay="replace").fit(A, labels)


@pytest.mark.fault("C5")
def test_a_thousand_classes_are_scored_in_parts():
    rng = np.random.default_rng(0)
    A, labels = rng.random((2000, 5)), np.arange(2000) % 1000
    fitted = classifier(max_iter=1, negatives="all", hidden_layer_sizes=(32,)).fit(A, labels)
    np.testing.assert_allclose(fitted.predict_proba(A).sum(1), 1, rtol=1e-4)


@pytest.mark.fault("C6")
def test_early_stopping_refuses_a_class_of_one_row():
    labels = y.copy()
    labels[0] = 3
    with pytest.raises(ValueError, match=r"early_stopping .*\[3\] there is only 1 row"):
        classifier(early_stopping=True, max_iter=2, random_state=1).fit(X, labels)


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


@pytest.mark.fault("C8")
def test_partial_fit_keeps_to_the_classes_of_its_first_call():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier().partial_fit(X, y)
    fitted = classifier().partial_fit(X, y, classes=[0, 1, 2])
    before = fitted.predict_proba(X)
    for bad in (
        lambda: fitted.partial_fit(X, y, classes=[0, 1]),
        lambda: fitted.partial_fit(X, y + 1),
        lambda: fitted.partial_fit(X, np.array(list("abc"))[y]),
        lambda: fitted.partial_fit(X[:, :2], y),
    ):
        with pytest.raises((ValueError, TypeError)):
            bad()
        np.testing.assert_array_equal(fitted.predict_proba(X), before)
    assert fitted.partial_fit(X[:10], y[:10]).n_iter_ == 2


@pytest.mark.fault("C8")
@pytest.mark.parametrize("params", [{"early_stopping": True}, {"class_weight": "balanced"}])
def test_partial_fit_refuses_what_it_cannot_honour(params):
    with pytest.raises(ValueError, match="partial_fit does not support"):
        classifier(**params).partial_fit(X, y, classes=[0, 1, 2])


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


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, np.nan, "two", True])
def test_a_prediction_names_a_number_of_threads_that_cannot_be(n_threads):
    classifier_, transformer = (
        estimator(8, max_iter=2).fit(X, y).set_params(n_threads=n_threads)
        for estimator in (FFClassifier, FFTransformer)
    )
    for predict in (classifier_.predict, transformer.transform, transformer.score_samples):
        with pytest.raises(ValueError, match="n_threads"):
            predict(X)


@pytest.mark.fault("C9")
def test_names_of_the_classes_do_not_matter():
    p = classifier().fit(X, y).predict_proba(X)
    renamed = classifier().fit(X, np.array(["x", "y", "z"])[y]).predict_proba(X)
    np.testing.assert_array_equal(p, renamed)
    turned = classifier(max_iter=400).fit(X, 2 - y).predict(X)
    straight = classifier(max_iter=400).fit(X, y).predict(X)
    assert np.mean(2 - turned == straight) > 0.95


@pytest.mark.fault("C10")
@pytest.mark.parametrize("negatives", ["uniform", "hard", "all"])
@pytest.mark.parametrize("how", ["sample_weight", "class_weight"])
@pytest.mark.parametrize("absent", [0, 7])
def test_a_class_that_weighs_nothing_stays_and_is_never_predicted(negatives, how, absent):
    A, labels = load_digits(return_X_y=True)
    seen = labels != absent
    model = classifier(negatives=negatives, max_iter=10)
    if how == "class_weight":
        model.set_params(class_weight={absent: 0})
    fitted = model.fit(A, labels, sample_weight=1.0 * seen if how == "sample_weight" else None)
    assert fitted.classes_.tolist() == list(range(10))
    assert fitted.class_count_[absent] == 0 and fitted.class_count_.sum() == seen.sum()
    p = fitted.predict_proba(A)
    assert p.shape == (len(A), 10) and np.isfinite(p).all()
    assert fitted.score(A[seen], labels[seen]) > 0.9
    assert not (fitted.predict(A) == absent).any()


@pytest.mark.fault("C10")
def test_a_single_class_that_weighs_something_is_refused():
    with pytest.raises(ValueError, match="two classes with a weight above zero"):
        classifier(class_weight={0: 0, 1: 0}).fit(X, y)


# Negatives that are rows ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params, message",
    [
        ({}, "prediction='head'"),
        ({"prediction": "hybrid"}, "prediction='head'"),
        ({"prediction": "head", "goodness": "readout"}, "no true class; use another goodness"),
        (
            {
                "prediction": "head",
                "hidden_layer_sizes": (8, 8),
                "prediction_layers": "skip_first",
                "schedule": "greedy",
                "early_stopping": True,
            },
            "prediction_layers='all'",
        ),
    ],
    ids=["goodness", "hybrid", "scores classes", "unjudged layer"],
)
def test_data_negatives_are_refused_where_they_cannot_serve(params, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        FFClassifier(**{"max_iter": 2, "negatives": "shuffle", **params}).fit(X, y)


@pytest.mark.parametrize(
    "params",
    [
        {"negatives": "pair_sum", "prediction": "head", "overlay": "channel"},
        {"negatives": "pair_sum", "prediction": "head", "overlay": "spatial"},
        {"goodness": "readout", "overlay": "replace"},
        {"goodness": "readout", "overlay": Append(strength=50.0)},
    ],
)
def test_an_overlay_without_effect_is_reported(params):
    X, y = load_iris(return_X_y=True)
    with pytest.warns(NoEffectWarning, match=r"no effect: .* leave overlay='append'"):
        FFClassifier(8, max_iter=2, **params).fit(X, y)


def test_the_default_overlay_may_be_given_as_an_object():
    X, y = load_iris(return_X_y=True)
    FFClassifier(8, max_iter=10, goodness="readout", overlay=Append()).fit(X, y)


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
