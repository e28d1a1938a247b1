"""Rows held out: which ones, and how they are scored."""

import warnings

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ff import FFClassifier, _input

X, y = load_iris(return_X_y=True)


def classifier(**params):
    return FFClassifier(
        **{"hidden_layer_sizes": (16,), "max_iter": 2, "random_state": 0, "early_stopping": True}
        | params
    )


@pytest.fixture
def split(monkeypatch):
    """The labels learned from and those held out, of every fit."""
    seen, original = [], _input.split

    def spying(*data):
        learn, hold = original(*data)
        seen.append((learn.codes, hold.codes))
        return learn, hold

    monkeypatch.setattr(_input, "split", spying)
    return seen


# The last row of a class ------------------------------------------------------------------------


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("how", ["one row", "weight zero", "class weight zero"])
def test_a_class_of_one_row_is_refused(container, how):
    labels, weight = np.array(["a", "b", "c"])[y], None
    labels[0] = "d"
    if how == "weight zero":
        labels[1:5] = "d"
        weight = np.where(np.isin(np.arange(150), [1, 2, 3, 4]), 0.0, 1.0)
    class_weight = {"a": 0} if how == "class weight zero" else None
    with pytest.raises(ValueError, match=r"early_stopping .*\['d'\] there is only 1 row"):
        classifier(class_weight=class_weight).fit(container(X), labels, sample_weight=weight)


def test_the_refusal_names_every_such_class_and_does_not_change_the_estimator():
    labels = y.copy()
    labels[:2] = 3, 4
    model = classifier()
    with pytest.raises(ValueError, match=r"\[3, 4\]"):
        model.fit(X, labels)
    assert not hasattr(model, "classes_")


def test_two_classes_of_one_row_each_are_refused():
    with pytest.raises(ValueError, match=r"early_stopping .*\[0, 1\]"):
        classifier().fit(X[:2], [0, 1])


def test_a_class_of_one_row_is_learned_with_rows_held_out_by_the_user():
    labels = y.copy()
    labels[0] = 3
    model = classifier().fit(X, labels, X_val=X[1:], y_val=labels[1:])
    assert model.classes_.tolist() == [0, 1, 2, 3]


def test_a_class_without_weight_needs_no_rows():
    labels, weight = y.copy(), np.ones(150)
    labels[0], weight[0] = 3, 0
    assert classifier().fit(X, labels, sample_weight=weight).classes_.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("fraction", [1e-6, 0.1, 0.34, 0.5, 0.9, 0.99, 1 - 1e-9])
@pytest.mark.parametrize("counts", [(2, 2), (50, 2), (2, 2, 40), (2,) * 12, (3, 9, 2, 20)])
def test_every_class_is_learned_and_some_rows_are_held_out(split, counts, fraction):
    labels = np.repeat(np.arange(len(counts)), counts)
    A = np.random.default_rng(0).normal(size=(len(labels), 2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="early_stopping holds out")
        for seed in range(2):
            classifier(max_iter=1, validation_fraction=fraction, random_state=seed).fit(A, labels)
    for learned, held_out in split:
        assert set(learned) == set(labels) and len(held_out)
        assert sorted([*learned, *held_out]) == labels.tolist()
        wanted = min(np.ceil(fraction * len(labels)), len(labels) - len(counts))
        assert wanted - len(counts) < len(held_out) <= wanted


def test_as_many_rows_as_classes_are_held_out_by_class(split):
    classifier(validation_fraction=0.2).fit(X, y)
    assert np.bincount(split[0][1]).tolist() == [10, 10, 10]


def test_fewer_rows_than_classes_are_held_out_regardless_of_class_and_with_a_warning(split):
    with pytest.warns(UserWarning, match=r"holds out 2 rows, fewer than there are classes \(3\)"):
        classifier(validation_fraction=0.01).fit(X, y)
    assert len(split[0][1]) == 2


def test_a_warm_start_keeps_the_last_row_of_a_class(split):
    model = classifier(warm_start=True, validation_fraction=0.6).fit(X, y)
    some = [0, 1, 50, 51, 100, 101]
    for _ in range(4):
        model.fit(X[some], y[some])
    assert all(set(learned) == {0, 1, 2} for learned, _ in split)


# Scores of held-out rows ------------------------------------------------------------------------


def weighted_accuracy(model, A, labels, weight):
    return np.average(model.predict(A) == labels, weights=weight)


NOISY = np.where(np.random.default_rng(1).random(150) < 0.3, (y + 1) % 3, y)


@pytest.mark.parametrize(
    "class_weight, of_each", [({0: 5, 1: 0.5}, [5, 0.5, 1]), ("balanced", [1.5, 1, 0.75])]
)
def test_class_weights_weigh_the_rows_of_X_val(class_weight, of_each):
    rows = np.r_[0:20, 50:80, 100:140]
    model = classifier(class_weight=class_weight, max_iter=20, early_stopping=False)
    model.fit(X[rows], y[rows], X_val=X, y_val=NOISY)
    expected = weighted_accuracy(model, X, NOISY, np.array(of_each)[NOISY])
    assert model.validation_scores_[-1] == pytest.approx(expected)
    assert expected != pytest.approx(model.score(X, NOISY))


def test_X_val_and_the_split_of_the_estimator_are_scored_alike(monkeypatch):
    parts = []
    original = _input.split

    def spying(*data):
        parts.append(original(*data))
        return parts[-1]

    monkeypatch.setattr(_input, "split", spying)
    params = {"class_weight": {0: 5, 1: 0.5, 2: 1}, "max_iter": 15, "tol": 0.0}
    own = classifier(**params, scaling=None).fit(X, NOISY)
    (A, codes, _), (A_val, codes_val, weight) = parts[0]
    np.testing.assert_array_equal(weight, np.array([5, 0.5, 1])[codes_val])
    given = classifier(**params, scaling=None).fit(A, codes, X_val=A_val, y_val=codes_val)
    assert given.validation_scores_ == own.validation_scores_


def test_sample_weights_of_the_split_count_in_its_scores():
    weight = np.where(y == NOISY, 1.0, 1e-9)
    model = classifier(max_iter=60, validation_fraction=0.4, device="cpu")  # by its draws
    assert model.fit(X, NOISY, sample_weight=weight).best_validation_score_ > 0.9
    assert model.fit(X, NOISY).best_validation_score_ < 0.85


def test_rows_of_X_val_that_all_weigh_nothing_are_refused():
    model = classifier(class_weight={0: 0})
    with pytest.raises(ValueError, match=r"class_weight=.* no row of X_val .* above zero"):
        model.fit(X, y, X_val=X[:50], y_val=y[:50])
    assert np.isfinite(model.fit(X, y, X_val=X, y_val=y).best_validation_score_)


# In a pipeline ----------------------------------------------------------------------------------

FAR = X * [1, 100, 1e4, 1e-3] + [1e3, 0, 0, 0]


def pipeline(**params):
    model = classifier(max_iter=60, scaling=None, **params)
    return make_pipeline(
        StandardScaler(),
        model.set_fit_request(X_val=True, y_val=True),
        transform_input=["X_val"],
    )


@pytest.mark.parametrize("early_stopping", [True, False])
def test_transform_input_takes_held_out_rows_through_the_steps_before(early_stopping):
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = pipeline(early_stopping=early_stopping)
        pipe.fit(FAR[::2], y[::2], X_val=FAR[1::2], y_val=y[1::2])
    scores = pipe[-1].validation_scores_
    kept = pipe[-1].best_validation_score_ if early_stopping else scores[-1]
    assert kept == pytest.approx(pipe.score(FAR[1::2], y[1::2]))
    assert kept > 0.85


def test_without_it_rows_are_scored_unscaled():
    pipe = make_pipeline(StandardScaler(), classifier(max_iter=60, scaling=None))
    given = {"ffclassifier__X_val": FAR[1::2], "ffclassifier__y_val": y[1::2]}
    assert pipe.fit(FAR[::2], y[::2], **given)[-1].best_validation_score_ < 0.75
    given["ffclassifier__X_val"] = StandardScaler().fit(FAR[::2]).transform(FAR[1::2])
    assert pipe.fit(FAR[::2], y[::2], **given)[-1].best_validation_score_ > 0.85


def test_a_search_passes_held_out_rows_to_every_fit():
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(pipeline(), {"ffclassifier__dropout": [0.0, 0.1]}, cv=2)
        search.fit(FAR[::2], y[::2], X_val=FAR[1::2][:50], y_val=y[1::2][:50])
        best = search.best_estimator_
    assert best[-1].best_validation_score_ == pytest.approx(
        best.score(FAR[1::2][:50], y[1::2][:50])
    )


@pytest.mark.fault("C6")
def test_early_stopping_refuses_a_class_of_one_row():
    labels = y.copy()
    labels[0] = 3
    with pytest.raises(ValueError, match=r"early_stopping .*\[3\] there is only 1 row"):
        classifier(early_stopping=True, max_iter=2, random_state=1).fit(X, labels)
