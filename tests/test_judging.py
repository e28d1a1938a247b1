"""`scoring`: held-out rows are scored by scorers of scikit-learn."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, fbeta_score, get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV

from sklearn_ff import FFClassifier, load, save
from sklearn_ff.exceptions import NoEffectWarning

X, y = load_iris(return_X_y=True)
NOISY = np.where(np.random.default_rng(1).random(150) < 0.3, (y + 1) % 3, y)
NAMES = np.array(["setosa", "versicolor", "virginica"])
WEIGHT = np.linspace(0.1, 3, 150)


def classifier(**params):
    return FFClassifier(**{"hidden_layer_sizes": (9, 8), "max_iter": 9, "random_state": 0} | params)


def sure(estimator, X, y, sample_weight=None):
    """A scorer that is a plain function."""
    p = estimator.predict_proba(X)[np.arange(len(y)), np.searchsorted(NAMES, y)]
    return np.average(p, weights=sample_weight)


SCORERS = ["neg_log_loss", "balanced_accuracy", "roc_auc_ovr", "f1_macro", sure]
SCORERS += [make_scorer(fbeta_score, beta=2, average="macro")]


@pytest.mark.parametrize(
    "scoring, weighed", [*((scoring, True) for scoring in SCORERS), ("neg_log_loss", False)]
)
def test_scores_are_those_of_the_estimator_that_is_left(scoring, weighed):
    scorer, labels = get_scorer(scoring), NAMES[NOISY]
    weights = {"sample_weight": WEIGHT * np.array([4, 1, 0.5])[NOISY]} if weighed else {}
    model = classifier(scoring=scoring, class_weight={"setosa": 4, "virginica": 0.5})
    model.set_params(class_weight=model.class_weight if weighed else None)
    given = {"X_val": X, "y_val": labels, "sample_weight_val": WEIGHT if weighed else None}
    model.fit(X[::2], labels[::2], **given)
    assert model.validation_scores_[-1] == pytest.approx(scorer(model, X, labels, **weights))
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == 9
    model.set_params(early_stopping=True, n_iter_no_change=4, batch_size=50)
    best = model.fit(X[::2], labels[::2], **given).best_validation_score_
    assert best == max(model.validation_scores_)
    assert best == pytest.approx(scorer(model, X, labels, **weights))


def test_the_default_is_accuracy():
    by_name = classifier(scoring="accuracy", early_stopping=True).fit(X, NOISY)
    plain = classifier(early_stopping=True).fit(X, NOISY)
    assert by_name.validation_scores_ == pytest.approx(plain.validation_scores_)
    np.testing.assert_array_equal(by_name.predict_proba(X), plain.predict_proba(X))


def test_scoring_changes_no_weights_by_itself():
    given = {"X_val": X, "y_val": NOISY}
    scored = classifier(scoring="neg_log_loss").fit(X, NOISY, **given)
    plain = classifier().fit(X, NOISY, **given)
    np.testing.assert_array_equal(scored.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score", "accuracy"])
@pytest.mark.filterwarnings("ignore:early_stopping holds out")
def test_classes_of_which_no_row_is_held_out_do_not_matter(scoring):
    model = classifier(scoring=scoring, early_stopping=True, validation_fraction=0.01)
    assert np.isfinite(model.fit(X, NAMES[y]).validation_scores_).all()


@pytest.mark.parametrize("objective", ["swish", "logistic"])
def test_a_greedy_layer_that_serves_is_judged_by_its_own_goodness(objective):
    model = classifier(schedule="greedy", objective=objective, scoring="neg_log_loss")
    model.set_params(prediction_layers=[1], early_stopping=True)
    scores = model.fit(X, y).validation_scores_
    assert len(set(scores)) > 6 and np.isfinite(scores).all()


def test_rows_have_no_names_where_those_of_fit_have_some():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    model = classifier(scoring="neg_log_loss", early_stopping=True).fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcd")  # and no warning


def unweighed(estimator, X, y):
    return estimator.score(X, y)


def test_a_scorer_without_weights_is_warned_of():
    model = classifier(scoring=unweighed, class_weight={0: 3}, early_stopping=True)
    with pytest.warns(UserWarning, match="scoring=.*unweighed.* takes no sample_weight"):
        model.fit(X, y)
    model.set_params(class_weight=None).fit(X, y)  # without a warning


REFUSED = {
    "unknown": ("log_loss", "scoring='log_loss' is not known; .*get_scorer_names"),
    "metric": (accuracy_score, r"accuracy_score compares labels.*make_scorer\(accuracy_score\)"),
    "no number": (lambda e, X, y: {"a": 1}, "must return a number, but it returned dict"),
    "several": (lambda e, X, y: np.ones(2), "must return a number, but it returned ndarray"),
    "word": (lambda e, X, y: "high", "must return a number, but it returned str"),
    "binary": ("f1", "scoring='f1' cannot score the 15 held-out rows: "),
    "ranks": ("roc_auc", "scoring='roc_auc' cannot score the 15 held-out rows: .*multi_class"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_gives_no_score_is_refused(name):
    scoring, message = REFUSED[name]
    model = classifier(scoring=scoring, early_stopping=True)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "classes_")


def test_scoring_without_rows_held_out_has_no_effect():
    with pytest.warns(NoEffectWarning, match="scoring='neg_log_loss' has no effect: no rows"):
        classifier(scoring="neg_log_loss").fit(X, y)
    classifier(scoring="neg_log_loss").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="scoring='loss' is not known"):
        classifier(scoring="loss").fit(X, y)


def test_a_score_that_is_not_a_number_is_no_gain():
    model = classifier(scoring=lambda e, X, y: np.nan, early_stopping=True, n_iter_no_change=3)
    assert model.fit(X, y).n_iter_ == 3 and model.best_validation_score_ is None


@pytest.mark.parametrize("given", [{"sample_weight_val": WEIGHT}, {"X_val": X}])
def test_weights_of_held_out_rows_need_them(given):
    with pytest.raises(ValueError, match="X_val and y_val go together, and sample_weight_val"):
        classifier().fit(X, y, **given)


@pytest.mark.parametrize("bad", [WEIGHT[1:], -WEIGHT, 0 * WEIGHT])
def test_bad_weights_of_held_out_rows_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=r"sample_weight_val|zero"):
        classifier().fit(X, y, X_val=X, y_val=y, sample_weight_val=bad)


def test_copies_keep_the_scorer_and_a_search_sets_it(tmp_path):
    model = classifier(scoring=make_scorer(accuracy_score), early_stopping=True)
    again = pickle.loads(pickle.dumps(clone(model).fit(X, y)))
    assert again.best_validation_score_ == model.fit(X, y).best_validation_score_
    save(model.set_params(scoring=None), tmp_path / "model")  # the scorer has no name
    assert load(tmp_path / "model").validation_scores_ == model.validation_scores_
    search = GridSearchCV(classifier(early_stopping=True), {"scoring": SCORERS[:2]}, cv=2)
    assert search.fit(X, y).best_params_["scoring"] in SCORERS
