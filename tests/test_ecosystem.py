"""FFClassifier with tools of scikit-learn: searches, ensembles, pipelines, routing, processes."""

import joblib
import numpy as np
import pytest
import sklearn
from joblib import Memory, Parallel, delayed
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import FitFailedWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import estimator_html_repr

from sklearn_ff import FFClassifier
from sklearn_ff.negatives import Hard
from sklearn_ff.objectives import SymBa

X, y = load_iris(return_X_y=True)
DIGITS, DIGIT = (part[:200] for part in load_digits(return_X_y=True))
WEIGHT = np.random.default_rng(0).integers(1, 4, len(y)).astype(float)


def classifier(**params):
    small = {"max_iter": 15, "batch_size": 32, "random_state": 0, "n_threads": 1}
    return FFClassifier((24, 16), **{**small, **params})


def check_probabilities(p, n_classes=3):
    assert p.shape[1] == n_classes and np.isfinite(p).all() and (p >= 0).all()
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)


# Searches and curves ----------------------------------------------------------------------------

GRID = {"ff__negatives__temperature": [0.1, 2.0], "ff__objective__sharpness": [0.01, 10.0]}


def searched(n_jobs):
    parts = {"negatives": Hard(temperature=7.0), "objective": SymBa(sharpness=7.0)}
    model = classifier(max_iter=20, learning_rate_init=0.02, **parts)
    search = GridSearchCV(Pipeline([("scale", StandardScaler()), ("ff", model)]), GRID, cv=2)
    return model, search.set_params(n_jobs=n_jobs).fit(DIGITS, DIGIT)


@pytest.mark.slow
@pytest.mark.fault("A6")
def test_a_grid_over_parameters_of_parts_in_two_processes():
    model, search = searched(n_jobs=2)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, searched(n_jobs=1)[1].cv_results_["mean_test_score"])
    splits = [search.cv_results_[f"split{i}_test_score"].reshape(2, 2) for i in (0, 1)]
    for temperature_by_sharpness in (np.array(splits), np.swapaxes(splits, 1, 2)):
        first, second = np.moveaxis(temperature_by_sharpness, 1, 0)
        assert not np.array_equal(first, second), "both parameters arrive"
    assert search.best_score_ > 0.7

    best = search.best_estimator_["ff"]
    for name, value in search.best_params_.items():
        assert best.get_params()[name.removeprefix("ff__")] == value
    assert (model.negatives.temperature, model.objective.sharpness) == (7.0, 7.0)
    assert best.negatives is not model.negatives
    assert not hasattr(model, "net_")

    alone = clone(search.estimator).set_params(**search.best_params_).fit(DIGITS, DIGIT)
    np.testing.assert_array_equal(alone.predict_proba(DIGITS), search.predict_proba(DIGITS))


@pytest.mark.fault("F7")
def test_a_candidate_that_diverges_does_not_end_a_search():
    rates = {"learning_rate_init": [1e-3, 1e30]}
    search = GridSearchCV(classifier(max_iter=2), rates, cv=2, error_score=np.nan)
    failed = pytest.warns(FitFailedWarning, match="DivergenceError")
    with failed, pytest.warns(UserWarning, match="scores are non-finite"):
        search.fit(X, y)
    np.testing.assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True])
    assert search.best_params_ == {"learning_rate_init": 1e-3}


def test_a_grid_may_hold_names_and_parts():
    parts = ["uniform", Hard(n_negatives=3), "all"]
    search = GridSearchCV(classifier(max_iter=5), {"negatives": parts}, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_cross_val_predict_gives_each_row_the_probabilities_of_a_model_that_has_not_seen_it():
    p = cross_val_predict(classifier(), X, y, cv=3, method="predict_proba")
    check_probabilities(p)
    assert np.mean(p.argmax(1) == y) > 0.8
    scores = cross_val_predict(classifier(), X, y, cv=3, method="decision_function")
    np.testing.assert_array_equal(scores.argmax(1), p.argmax(1))


def test_validation_curve_over_epochs():
    train, test = validation_curve(
        classifier(), X, y, param_name="max_iter", param_range=[1, 40], cv=2
    )
    assert train.shape == test.shape == (2, 2)
    assert (train[1] > train[0]).all() and (test[1] > 0.8).all()


@pytest.mark.parametrize("incremental", [False, True])
def test_learning_curve(incremental):
    sizes, train, test = learning_curve(
        classifier(max_iter=30, learning_rate_init=0.02),
        X,
        y,
        cv=2,
        shuffle=True,
        random_state=0,
        train_sizes=[10, 30, 75],
        exploit_incremental_learning=incremental,
    )
    assert sizes.tolist() == [10, 30, 75]
    assert train.shape == test.shape == (3, 2)
    assert test[-1].mean() > (0.5 if incremental else 0.85)


# Ensembles --------------------------------------------------------------------------------------


@pytest.mark.fault("A6")
@pytest.mark.parametrize("method", ["isotonic", "temperature", "sigmoid"])
def test_calibrated_classifier(method):
    labels = np.array(["x", "y", "z"])[y]
    model = CalibratedClassifierCV(classifier(), method=method, cv=3).fit(X, labels)
    assert len(model.calibrated_classifiers_) == 3 and model.classes_.tolist() == ["x", "y", "z"]
    check_probabilities(model.predict_proba(X))
    assert model.score(X, labels) > 0.85


@pytest.mark.parametrize("kind", [2, 3])
def test_decision_function_can_be_compared_between_rows(kind):
    rows = y < kind
    model = classifier().fit(X[rows], y[rows])
    log_p, scores = model.predict_log_proba(X), model.decision_function(X)
    expected = log_p[:, 1] - log_p[:, 0] if kind == 2 else log_p
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-9)
    chosen = scores > 0 if kind == 2 else scores.argmax(1)
    np.testing.assert_array_equal(model.predict(X), chosen)


def test_calibration_does_not_change_a_fitted_classifier():
    fitted = classifier().fit(X[::2], y[::2])
    before = fitted.predict_proba(X)
    model = CalibratedClassifierCV(FrozenEstimator(fitted), method="temperature")
    model.fit(X[1::2], y[1::2])
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    assert not np.allclose(model.predict_proba(X), before)


def test_ada_boost_passes_weights():
    weak = classifier(max_iter=6)
    model = AdaBoostClassifier(weak, n_estimators=4, random_state=0).fit(X, y)
    check_probabilities(model.predict_proba(X))
    assert len(model.estimators_) == 4, "the members are weak enough to go on"
    assert model.estimators_[0].random_state != model.estimators_[1].random_state
    even = np.full(len(y), 1 / len(y))
    again = [clone(member).fit(X, y, even).decision_function(X) for member in model.estimators_]
    first, second = (member.decision_function(X) for member in model.estimators_[:2])
    np.testing.assert_allclose(again[0], first, rtol=1e-10)
    assert not np.allclose(again[1], second), "the second has learned from other weights"


def test_soft_votes_are_weighted_means():
    members = [("a", classifier()), ("b", classifier(goodness="readout", random_state=1))]
    model = VotingClassifier(members, voting="soft", weights=[3, 1]).fit(X, y)
    a, b = (clone(member).fit(X, y).predict_proba(X) for _, member in members)
    np.testing.assert_allclose(model.predict_proba(X), (3 * a + b) / 4, rtol=1e-12)
    assert model.score(X, y) > 0.85


def test_bagging_over_rows_and_columns():
    model = BaggingClassifier(
        classifier(max_iter=25), n_estimators=4, max_samples=0.5, max_features=3, random_state=0
    ).fit(X, y)
    assert [member.n_features_in_ for member in model.estimators_] == [3] * 4
    assert len({member.random_state for member in model.estimators_}) == 4
    check_probabilities(model.predict_proba(X))
    assert model.score(X, y) > 0.85


def test_one_versus_rest():
    labels = np.array(["x", "y", "z"])[y]
    model = OneVsRestClassifier(classifier(max_iter=40)).fit(X, labels)
    assert [member.classes_.tolist() for member in model.estimators_] == [[0, 1]] * 3
    assert model.decision_function(X).shape == (150, 3)
    for column, member in enumerate(model.estimators_):
        np.testing.assert_array_equal(
            model.decision_function(X)[:, column], member.decision_function(X)
        )
    check_probabilities(model.predict_proba(X))
    assert model.score(X, labels) > 0.8


def test_one_versus_rest_with_several_labels_per_row():
    several = np.column_stack([y == 0, y != 2])
    model = OneVsRestClassifier(classifier(max_iter=40)).fit(X, several)
    assert model.predict_proba(X).shape == (150, 2)
    assert np.mean(model.predict(X) == several) > 0.8


# Clones and pipelines ---------------------------------------------------------------------------


@pytest.mark.fault("A5")
def test_a_clone_of_a_fitted_estimator_is_unfitted_and_has_its_parameters():
    fitted = classifier(negatives=Hard(temperature=2.0), class_weight={0: 2.0}).fit(X, y)
    copied = clone(fitted)
    assert repr(copied.get_params()) == repr(fitted.get_params())
    assert copied.negatives is not fitted.negatives
    assert set(vars(copied)) == set(copied.get_params(deep=False)), "and nothing else"
    with pytest.raises(NotFittedError):
        copied.predict(X)
    np.testing.assert_array_equal(copied.fit(X, y).predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("container", ["pandas", "polars", "default"])
def test_set_output_on_a_pipeline(container):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("polars")
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = make_pipeline(StandardScaler(), classifier()).set_output(transform=container)
    model.fit(frame, y)
    plain = make_pipeline(StandardScaler(), classifier()).fit(X, y)
    assert type(model.predict(frame)) is np.ndarray
    np.testing.assert_allclose(model.predict_proba(frame), plain.predict_proba(X), rtol=1e-6)
    assert hasattr(model[-1], "feature_names_in_") == (container != "default")


def test_a_pipeline_remembers_its_steps(tmp_path):
    memory = Memory(tmp_path, verbose=0)
    stack = StackingClassifier([("ff", classifier())], cv=2)
    model = make_pipeline(stack, LogisticRegression(), memory=memory)
    first = clone(model).fit(X, y)
    stored = sorted(tmp_path.rglob("output.pkl"))
    times = [path.stat().st_mtime_ns for path in stored]
    second = clone(model).fit(X, y)
    assert len(stored) == 1 and sorted(tmp_path.rglob("output.pkl")) == stored
    assert [path.stat().st_mtime_ns for path in stored] == times, "it was read, not made again"
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    changed = clone(model).set_params(stackingclassifier__ff__max_iter=3).fit(X, y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 2, "other parameters are another entry"
    assert not np.array_equal(changed.predict_proba(X), first.predict_proba(X))


def test_equal_fits_have_equal_hashes():
    """joblib recognises an argument by its hash."""
    fitted = [classifier(negatives=Hard(), class_weight={1: 2.0}).fit(X, y) for _ in range(2)]
    assert joblib.hash(clone(fitted[0])) == joblib.hash(clone(fitted[1]))
    assert joblib.hash(clone(fitted[0])) != joblib.hash(clone(fitted[0]).set_params(alpha=1e-3))


# Metadata routing -------------------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_sample_weight_is_routed_through_a_search_and_a_pipeline(routing):
    model = classifier().set_fit_request(sample_weight=True)
    model.set_score_request(sample_weight=True)
    pipe = Pipeline([("scale", MinMaxScaler()), ("ff", model)])
    search = GridSearchCV(pipe, {"ff__alpha": [0.0, 1e-3]}, cv=2).fit(X, y, sample_weight=WEIGHT)
    alone = classifier(alpha=search.best_params_["ff__alpha"])
    scaled = MinMaxScaler().fit_transform(X)
    weighted = clone(alone).fit(scaled, y, sample_weight=WEIGHT).predict_proba(scaled)
    np.testing.assert_array_equal(search.predict_proba(X), weighted)
    assert not np.array_equal(search.predict_proba(X), alone.fit(scaled, y).predict_proba(scaled))


def test_sample_weight_without_a_request_is_an_error(routing):
    pipe = make_pipeline(MinMaxScaler(), classifier())
    with pytest.raises(UnsetMetadataPassedError, match=r"\[sample_weight\].*FFClassifier\.fit"):
        pipe.fit(X, y, sample_weight=WEIGHT)


def test_the_score_may_be_weighted(routing):
    model = classifier(max_iter=2).set_fit_request(sample_weight=True)
    model.set_score_request(sample_weight=True)
    pipe = make_pipeline(MinMaxScaler(), model).fit(X, y, sample_weight=WEIGHT)
    right = pipe.predict(X) == y
    assert 0 < right.mean() < 1
    expected = np.average(right, weights=WEIGHT)
    assert pipe.score(X, y, sample_weight=WEIGHT) == pytest.approx(expected)


def test_held_out_rows_pass_through_the_steps_before(routing):
    model = classifier(early_stopping=True).set_fit_request(X_val=True, y_val=True)
    pipe = Pipeline([("scale", MinMaxScaler()), ("ff", model)], transform_input=["X_val"])
    pipe.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert pipe.score(X[1::2], y[1::2]) == pytest.approx(pipe["ff"].best_validation_score_)


def test_requests_survive_a_clone(routing):
    model = clone(classifier().set_fit_request(sample_weight=True))
    assert model.get_metadata_routing().fit.requests["sample_weight"] is True
    assert classifier().get_metadata_routing().fit.requests["sample_weight"] is None


# What a reader sees -----------------------------------------------------------------------------


def test_html_shows_whether_an_estimator_is_fitted():
    model = make_pipeline(StandardScaler(), classifier(negatives=Hard(temperature=0.625)))
    unfitted = estimator_html_repr(model)
    fitted = estimator_html_repr(model.fit(X, y))
    for page in (unfitted, fitted):
        assert "FFClassifier" in page and "StandardScaler" in page
        assert "temperature" in page and "0.625" in page
    assert "<span>Not fitted</span>" in unfitted and "<span>Fitted</span>" not in unfitted
    assert "<span>Fitted</span>" in fitted and "<span>Not fitted</span>" not in fitted


def test_repr_shows_what_was_changed():
    assert repr(FFClassifier()) == "FFClassifier()"
    model = FFClassifier((16,), negatives=Hard(temperature=2.0), alpha=0.0, random_state=0)
    shown = "FFClassifier(hidden_layer_sizes=(16,), negatives=Hard(temperature=2.0), random_state=0"
    assert " ".join(repr(model).split()).startswith(shown)
    assert eval(repr(model)).get_params()["negatives__temperature"] == 2.0
    with sklearn.config_context(print_changed_only=False):
        full = repr(model)
    assert "alpha=0.0" in full and "overlay='append'" in full


# Processes --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_fitted_estimators_travel_between_processes(tmp_path):
    models = [classifier(random_state=seed, prediction="hybrid") for seed in (0, 1)]
    here = [clone(model).fit(DIGITS, DIGIT) for model in models]
    with Parallel(n_jobs=2) as pool:
        there = pool(delayed(clone(model).fit)(DIGITS, DIGIT) for model in models)
        expected = [model.predict_proba(DIGITS) for model in here]
        for model, p in zip(there, expected, strict=True):
            np.testing.assert_array_equal(model.predict_proba(DIGITS), p)
        for p, q in zip(
            pool(delayed(m.predict_proba)(DIGITS) for m in here), expected, strict=True
        ):
            np.testing.assert_array_equal(p, q)
        joblib.dump(here[0], tmp_path / "model.joblib")
        (loaded,) = pool([delayed(joblib.load)(tmp_path / "model.joblib")])
    np.testing.assert_array_equal(loaded.predict_proba(DIGITS), expected[0])
    assert not np.array_equal(*expected)
