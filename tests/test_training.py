"""Learning through the estimators: it learns, repeats, stops early, and names divergence."""

import copy
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from devices import array
from devices import arrays as weights
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import cross_val_score
from skorch.callbacks import Callback

from sklearn_ff import DivergenceError, FFClassifier
from sklearn_ff._scoring import Accuracy, network_scores
from sklearn_ff._training import history_arrays
from sklearn_ff.core.callbacks import DivergenceGuard
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.objectives import Logistic, SymBa
from sklearn_ff.overlays import Append

X, y = load_iris(return_X_y=True)
DIGITS, DIGIT = load_digits(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


def all_scores(model, rows):
    return network_scores(model.net_.module_, model._fitted.plan, rows)


def same_weights(a, b):
    return all(np.array_equal(v, weights(b)[k]) for k, v in weights(a).items())


@pytest.mark.fault("D5")
@pytest.mark.parametrize("rate", [1e6, 1e20])
def test_divergence_is_named_and_the_last_finite_weights_are_kept(rate):
    fitted = classifier(learning_rate_init=rate)
    with pytest.raises(
        DivergenceError, match=r"(layer 1|scores) .* epoch \d+; .*learning_rate_init"
    ):
        fitted.fit(X, y)
    assert all(np.isfinite(value).all() for value in weights(fitted).values())
    assert np.isfinite(fitted.predict_proba(X)).all()


@pytest.mark.fault("D6")
def test_a_score_that_is_no_number_is_no_gain(monkeypatch):
    scores = iter([0.5, np.nan, 0.4, np.nan, 0.3, 0.2])
    monkeypatch.setattr(Accuracy, "__call__", lambda self, net: next(scores))
    fitted = classifier(early_stopping=True, n_iter_no_change=3).fit(X, y)
    np.testing.assert_array_equal(fitted.validation_scores_, [0.5, np.nan, 0.4, np.nan])
    assert fitted.best_validation_score_ == 0.5


@pytest.mark.fault("D6")
def test_the_weights_of_the_best_epoch_are_put_back(monkeypatch):
    seen = []

    def score(self, net):
        seen.append(array(net.module_.layers[0].affine.bias).copy())
        return float(-len(seen))

    monkeypatch.setattr(Accuracy, "__call__", score)
    fitted = classifier(early_stopping=True, n_iter_no_change=3).fit(X, y)
    assert fitted.n_iter_ == 4
    np.testing.assert_array_equal(weights(fitted)["layers.0.affine.bias"], seen[0])


@pytest.mark.fault("D7")
def test_a_constant_rate_that_runs_out_of_epochs_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        classifier(learning_rate="constant").fit(X, y)
    stopped = classifier(learning_rate="constant", tol=10.0, n_iter_no_change=3).fit(X, y)
    assert stopped.n_iter_ == 4


@pytest.mark.fault("D8")
def test_a_warm_start_goes_on_from_the_weights_it_has():
    cold = classifier(max_iter=1).fit(X, y)
    warm = classifier(max_iter=40, warm_start=True).fit(X, y).set_params(max_iter=1).fit(X, y)
    assert warm.loss_ < cold.loss_


@pytest.mark.slow
@pytest.mark.fault("D9")
@pytest.mark.parametrize("seed", range(3))
def test_it_learns_blobs_and_xor(seed):
    A, labels = make_blobs(300, random_state=seed)
    assert FFClassifier(random_state=seed).fit(A, labels).score(A, labels) > 0.83
    bits = np.random.default_rng(seed).integers(0, 2, (400, 2))
    noise = np.random.default_rng(seed + 100).normal(scale=0.1, size=(400, 2))
    xor = bits[:, 0] ^ bits[:, 1]
    fitted = FFClassifier(random_state=seed).fit((bits + noise)[:200], xor[:200])
    assert fitted.score((bits + noise)[200:], xor[200:]) > 0.95


@pytest.mark.slow
@pytest.mark.fault("D9")
@pytest.mark.parametrize("seed", range(3))
def test_it_learns_digits(seed):
    order = np.random.default_rng(seed).permutation(len(DIGIT))
    learn, hold = order[:1300], order[1300:]
    fitted = FFClassifier(random_state=seed, max_iter=20).fit(DIGITS[learn], DIGIT[learn])
    assert fitted.score(DIGITS[hold], DIGIT[hold]) >= 0.95


PROCESS = """
import hashlib
from sklearn.datasets import load_digits
from sklearn_ff import FFClassifier
X, y = load_digits(return_X_y=True)
m = FFClassifier(max_iter=2, random_state=0, n_threads=1, dropout=0.1).fit(X[:500], y[:500])
print(hashlib.sha256(m.predict_proba(X[:500]).tobytes()).hexdigest())
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.fault("E1")
def test_two_processes_agree_to_the_bit(capsys):
    other = run(PROCESS)
    exec(PROCESS, {})
    assert other.stdout == capsys.readouterr().out != "", other.stderr


@pytest.mark.fault("E2")
def test_threads_change_little_and_nothing_if_they_are_fixed():
    rows, labels = DIGITS[:600], DIGIT[:600]
    one = classifier(max_iter=2, n_threads=1).fit(rows, labels)
    two = classifier(max_iter=2, n_threads=2).fit(rows, labels)
    for name, value in weights(one).items():
        np.testing.assert_allclose(weights(two)[name], value, rtol=1e-3, atol=1e-4)
    assert same_weights(one, classifier(max_iter=2, n_threads=1).fit(rows, labels))


@pytest.mark.slow
@pytest.mark.fault("E3")
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_scores_equal_serial_ones(backend):
    model = classifier(max_iter=3, n_threads=1)
    alone = cross_val_score(model, DIGITS, DIGIT, cv=2)
    with joblib.parallel_config(backend):
        np.testing.assert_array_equal(cross_val_score(model, DIGITS, DIGIT, cv=2, n_jobs=2), alone)


def globals_of_torch():
    return (
        torch.random.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.fault("E4")
@pytest.mark.parametrize("rate", [1e-3, 1e20])
def test_nothing_global_is_changed(rate):
    before = globals_of_torch()
    model = classifier(learning_rate_init=rate, n_threads=1, dropout=0.1, negatives="hard")
    if rate > 1:
        with pytest.raises(DivergenceError):
            model.fit(X, y)
    else:
        model.fit(X, y).predict(X)
    assert globals_of_torch() == before


@pytest.mark.fault("E5")
def test_two_fits_at_once_equal_their_solo_runs():
    models = [classifier(random_state=seed, max_iter=3) for seed in (0, 1)]
    alone = [clone(model).fit(DIGITS, DIGIT) for model in models]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda model: clone(model).fit(DIGITS, DIGIT), models))
    for a, b in zip(alone, both, strict=True):
        np.testing.assert_allclose(a.predict_proba(X_DIGITS), b.predict_proba(X_DIGITS), atol=1e-4)


X_DIGITS = DIGITS[:100]


@pytest.mark.fault("E6")
def test_a_seed_repeats_a_fit_and_none_does_not():
    assert same_weights(classifier().fit(X, y), classifier().fit(X, y))
    free = [classifier(random_state=None).fit(X, y) for _ in range(2)]
    assert not same_weights(*free)
    state = np.random.RandomState(0)
    model = classifier(random_state=state)
    assert not same_weights(copy.deepcopy(model.fit(X, y)), model.fit(X, y))


@pytest.mark.fault("E7")
def test_a_small_fit_in_double_precision_has_the_values_that_are_written_here():
    """Where results change on purpose, print both arrays anew by these lines, and say so."""
    model = classifier(hidden_layer_sizes=4, max_iter=3, precision="float64", n_threads=1)
    model.fit(X[::10], y[::10])
    losses = [0.20804711536101622, 0.010646701249421318, -0.054858472615809395]
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-10)
    decisions = [[-1.1033173614901641, -1.0730992935312555, -1.1199863100987435]]
    np.testing.assert_allclose(model.decision_function(X[5:6]), decisions, rtol=1e-10)


@pytest.mark.fault("D6")
@pytest.mark.parametrize("prediction", ["head", "hybrid"])
@pytest.mark.parametrize("counted", ["skip_first", [0, 2]])
def test_a_greedy_layer_that_does_not_count_is_judged_by_its_own_goodness(prediction, counted):
    fitted = classifier(
        hidden_layer_sizes=(16, 16, 16),
        schedule="greedy",
        prediction=prediction,
        prediction_layers=counted,
        early_stopping=True,
        n_iter_no_change=3,
        overlay="every_layer",
        max_iter=6,
    ).fit(DIGITS[:600], DIGIT[:600])
    scores = np.array(fitted.validation_scores_)
    assert len(scores) == fitted.n_iter_
    for layer in {0, 1} - set(fitted._fitted.plan.counted):
        stage = scores[np.isfinite(fitted.history_["loss"][:, layer])]
        assert len(np.unique(stage)) > 1


@pytest.mark.fault("D6")
def test_the_best_score_is_that_of_the_weights_kept(monkeypatch):
    scores = iter([0.9, 0.8, 0.7, 0.3, 0.5, 0.4, 0.2])
    monkeypatch.setattr(Accuracy, "__call__", lambda self, net: next(scores))
    params = {"schedule": "greedy", "early_stopping": True, "n_iter_no_change": 2}
    fitted = classifier(hidden_layer_sizes=(8, 8), **params).fit(X, y)
    assert fitted.validation_scores_ == [0.9, 0.8, 0.7, 0.3, 0.5, 0.4, 0.2]
    assert fitted.best_validation_score_ == 0.5


class StopThird(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


@pytest.mark.fault("D6")
def test_the_best_weights_are_put_back_when_a_callback_stops_training(monkeypatch):
    seen = []

    def score(self, net):
        seen.append(array(net.module_.layers[0].affine.bias).copy())
        return float(-len(seen))

    monkeypatch.setattr(Accuracy, "__call__", score)
    fitted = classifier(early_stopping=True, callbacks=[StopThird()]).fit(X, y)
    assert fitted.n_iter_ == 3 and fitted.best_validation_score_ == -1
    np.testing.assert_array_equal(weights(fitted)["layers.0.affine.bias"], seen[0])


@pytest.mark.fault("D5")
@pytest.mark.parametrize("params", [{}, {"prediction": "head"}, {"precision": "float32"}])
@pytest.mark.parametrize("rate", [1e5, 1e8, 1e15])
def test_weights_of_huge_scores_are_not_kept(rate, params):
    model = classifier(hidden_layer_sizes=(16, 16), normalization=None, **params)
    model.partial_fit(X, y, classes=[0, 1, 2]).set_params(learning_rate_init=rate)
    with pytest.raises(DivergenceError, match="learning_rate_init"):
        for _ in range(5):
            model.partial_fit(X, y)
    assert np.abs(all_scores(model, X)).max() < DivergenceGuard.LIMIT
    assert np.isfinite(model.predict_proba(1e6 * X)).all()


def test_a_share_of_rows_is_between_zero_and_one():
    rows = [{"statistics": [[1.0], [2.0], [3.0], [share]], "layers": [0]} for share in (1.1, -0.1)]
    assert history_arrays(rows, 1)["ranking_accuracy"].tolist() == [[1.0], [0.0]]


BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}


@pytest.mark.parametrize(
    "params",
    [
        {"learning_rate_init": 1e30},
        {"learning_rate_init": 1e300},
        {"learning_rate_init": 1e30, "optimizer": "sgd"},
        {"alpha": 1e10, "optimizer": "sgd"},
        {"head": SoftmaxHead(alpha=1e10), "optimizer": "sgd", "prediction": "head"},
        {"overlay": Append(strength=1e10)},
        {"objective": SymBa(sharpness=1e10), "optimizer": "sgd"},
        {"peer_normalization": 1e10, "optimizer": "sgd"},
        {"optimizer": "sgd", "optimizer_params": {"momentum": 1e10}},
        {"optimizer": "sgd", "optimizer_params": {"weight_decay": 1e30}},
        {"objective": Logistic(1e10, 1e10), "goodness": "sum_square"},
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_diverges_predicts_finitely_or_not_at_all(params, precision, method):
    clf = FFClassifier(**{**BRIEF, **params}, precision=precision)
    given = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    try:
        for _ in range(1 if method == "fit" else 3):
            getattr(clf, method)(X, y, **given)
    except (DivergenceError, ValueError):
        pass
    try:
        p = clf.predict_proba(X)
    except NotFittedError:
        return
    assert np.isfinite(p).all() and np.isfinite(clf.scale_)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_scaling_is_advised_for_large_values(convert, method):
    model = FFClassifier(16, scaling=None, random_state=0)
    known = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(DivergenceError, match=r"Values of X go up to 7\.9e\+06.*scale the columns"):
        for _ in range(20):
            getattr(model, method)(convert(X * 1e6), y, **known)


def test_scaling_is_not_advised_for_scaled_rows():
    model = FFClassifier(16, learning_rate_init=1e9, random_state=0)
    with pytest.raises(DivergenceError, match=r"\. Lower learning_rate_init\. "):
        model.fit(X * 1e6, y)
