"""Familiarity: higher for rows like the training rows, with all parts and in every state."""

import pickle

import numpy as np
import pytest
import torch
from devices import array, put
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklearn_ff import FFTransformer
from sklearn_ff.layers import Conv2d
from sklearn_ff.negatives import Corruption, HeldOutClasses, OwnRows
from sklearn_ff.normalizations import Normalization

DIGITS, DIGIT = load_digits(return_X_y=True)


def one_class(X, y, label):
    """Rows of a class to learn from, other rows of it, and those of other classes."""
    learn, new = train_test_split(X[y == label], test_size=0.4, random_state=0)
    return learn, new, X[y != label]


def area(score, new, strange):
    scores = score(np.concatenate([new, strange]))
    assert scores.shape == (len(new) + len(strange),) and np.isfinite(scores).all()
    return roc_auc_score(np.repeat([1, 0], [len(new), len(strange)]), scores)


TASKS = {
    "breast cancer": one_class(*load_breast_cancer(return_X_y=True), 1),
    "wine": one_class(*load_wine(return_X_y=True), 0),
    "digits": one_class(DIGITS, DIGIT < 5, True),
}
LEARN, NEW, STRANGE = TASKS["digits"]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_defaults_find_strange_rows_as_well_as_an_isolation_forest(task):
    learn, new, strange = TASKS[task]
    ours = area(FFTransformer(random_state=0).fit(learn).score_samples, new, strange)
    forest = area(IsolationForest(random_state=0).fit(learn).score_samples, new, strange)
    assert ours > 0.9 and ours > forest - 0.02


SETTINGS = {
    "quiet": {"goodness": "neg_mean_square"},
    "quiet, by length": {"goodness": "neg_mean_square", "input_normalization": None},
    "own goodness": {"goodness": lambda h: h.abs().mean(-1)},
    "hybrids": {"negatives": "hybrid_mask"},
    "shuffled": {"negatives": "shuffle"},
    "own negatives": {"negatives": Corruption(lambda x, draws: x.flip(1))},
    "three layers": {"hidden_layer_sizes": (64, 64, 64)},
    "greedy": {"hidden_layer_sizes": (64, 64), "schedule": "greedy"},
    "last layer": {"hidden_layer_sizes": (64, 64), "output_layers": [-1]},
    "tanh": {"activation": "tanh"},
    "no lengths": {"normalization": "unit", "input_normalization": "unit"},
    "convolutions": {"layers": [Conv2d(8, pool="max"), 32], "image_shape": (1, 8, 8)},
    "normed maps": {"layers": [Conv2d(8, norm="batch")], "image_shape": (1, 8, 8)},
    "wide": {"hidden_layer_sizes": 1500},
    "varied": {"augmentation": "shifts", "image_shape": (1, 8, 8)},
    "triangle": {"output": "triangle"},
    "double": {"precision": "float64"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_familiarity_works_with_all_settings(name):
    size = {} if "layers" in SETTINGS[name] else {"hidden_layer_sizes": 64}
    fitted = FFTransformer(random_state=0, max_iter=20, **size).set_params(**SETTINGS[name])
    assert area(fitted.fit(LEARN).score_samples, NEW, STRANGE) > 0.8


LABELLED = [{}, {"goodness": "readout"}, {"overlay": "every_layer"}, {"negatives": "all"}]


@pytest.mark.parametrize("params", LABELLED, ids=str)
def test_familiarity_of_layers_that_learn_labels(params):
    fitted = FFTransformer(64, supervised=True, random_state=0, max_iter=20, **params)
    fitted.fit(DIGITS[DIGIT < 5], DIGIT[DIGIT < 5])
    assert area(fitted.score_samples, NEW, STRANGE) > 0.8


def test_given_strange_rows_are_recognised():
    held_out = FFTransformer(64, negatives=HeldOutClasses([8, 9]), random_state=0, max_iter=20)
    held_out.fit(DIGITS, DIGIT)
    assert area(held_out.score_samples, DIGITS[DIGIT < 8], DIGITS[DIGIT > 7]) > 0.8
    own = FFTransformer(64, negatives=OwnRows(STRANGE[::2]), random_state=0, max_iter=20)
    assert area(own.fit(LEARN).score_samples, NEW, STRANGE[1::2]) > 0.8


@pytest.mark.parametrize("factor", [3.0, 1e4])
def test_a_row_far_from_all_others_is_strange(factor):
    mean = LEARN.mean(0)
    fitted = FFTransformer(64, random_state=0, max_iter=20).fit(LEARN)
    assert area(fitted.score_samples, NEW, (NEW - mean) * factor + mean) > 0.9


class Halved(Normalization):
    """A user's: every row divided by twice its largest value."""

    def __call__(self, z):
        return z / (2 * z.abs().amax(-1, keepdim=True) + 1e-6)


def test_an_own_normalization_between_layers():
    fitted = FFTransformer((64, 64), normalization=Halved(), random_state=0, max_iter=20)
    assert area(fitted.fit(LEARN).score_samples, NEW, STRANGE) > 0.8


def test_a_weight_counts_as_copies():
    X, w = LEARN[:100], np.random.default_rng(0).integers(0, 4, 100)
    weighted = FFTransformer(32, random_state=0, max_iter=20).fit(X, sample_weight=w)
    repeated = FFTransformer(32, random_state=0, max_iter=20).fit(X.repeat(w, 0))
    np.testing.assert_allclose(weighted.score_samples(NEW), repeated.score_samples(NEW))


def test_a_heavy_row_becomes_familiar():
    X, odd = np.r_[LEARN[:300], STRANGE[:1]], STRANGE[:1]
    fitted = FFTransformer(32, random_state=0, max_iter=20)
    light = area(fitted.fit(X).score_samples, odd, NEW)
    heavy = area(fitted.fit(X, sample_weight=np.r_[np.ones(300), 200.0]).score_samples, odd, NEW)
    assert heavy > 0.9 > light


def test_sparse_rows_score_as_dense_ones():
    dense = FFTransformer(32, random_state=0, max_iter=20).fit(LEARN)
    sparse = FFTransformer(32, random_state=0, max_iter=20).fit(csr_matrix(LEARN))
    expected = dense.score_samples(NEW)
    np.testing.assert_allclose(sparse.score_samples(csr_matrix(NEW)), expected, rtol=1e-2)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_score_does_not_depend_on_other_rows(precision):
    fitted = FFTransformer((64, 64), precision=precision, max_iter=20, random_state=0).fit(LEARN)
    rows = np.concatenate([NEW, STRANGE])
    alone = np.concatenate([fitted.score_samples(row[None]) for row in rows[::20]])
    np.testing.assert_allclose(alone, fitted.score_samples(rows)[::20], rtol=1e-4)


def test_partial_fit_takes_in_what_every_call_has_shown():
    fitted = FFTransformer(64, random_state=0)
    order = np.argsort(DIGIT[DIGIT < 5], kind="stable")
    for part in np.array_split(DIGITS[DIGIT < 5][order], 5):  # one digit after another
        fitted.partial_fit(part)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.score_samples(NEW), fitted.score_samples(NEW))
    again.partial_fit(LEARN)
    assert area(fitted.score_samples, NEW, STRANGE) > 0.8
    assert area(again.score_samples, NEW, STRANGE) > 0.8


def test_a_warm_start_begins_from_no_moments():
    fitted = FFTransformer(64, warm_start=True, max_iter=20, random_state=0).fit(LEARN)
    assert area(fitted.fit(STRANGE).score_samples, STRANGE, NEW) > 0.8


def test_a_clone_is_unfitted_and_learns_the_same():
    fitted = FFTransformer(32, max_iter=5, random_state=0).fit(LEARN)
    again = clone(fitted).fit(LEARN)
    np.testing.assert_array_equal(again.score_samples(NEW), fitted.score_samples(NEW))


def test_the_state_holds_plain_arrays_and_no_training_rows():
    state = FFTransformer(32, max_iter=5, random_state=0).fit(LEARN).__getstate__()
    arrays = list(arrays_in({k: v for k, v in state.items() if k not in ("_plan", "callbacks")}))
    assert len(arrays) > 5 and not any(isinstance(a, torch.Tensor) for a in arrays)
    assert not any(LEARN.shape[0] in a.shape for a in arrays)


def arrays_in(value):
    if isinstance(value, np.ndarray | torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from arrays_in(entry)


@pytest.mark.parametrize("rows", ["equal", "two", "zero"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_degenerate_training_rows_give_finite_scores(rows):
    X = {"equal": np.ones((20, 3)), "two": np.eye(3)[:2], "zero": np.zeros((20, 3))}[rows]
    fitted = FFTransformer(8, max_iter=2, random_state=0).fit(X)
    scores = fitted.score_samples(np.r_[X, X + 5])
    assert np.isfinite(scores).all() and (scores[: len(X)] > scores[len(X) :]).all()


@pytest.mark.parametrize("supervised", [False, True])
def test_goodness_by_layer_is_available(supervised):
    X, y = DIGITS[:300], DIGIT[:300]
    fitted = FFTransformer((20, 12), supervised=supervised, max_iter=3, random_state=0).fit(X, y)
    scores = fitted.layer_scores(X)
    assert scores.shape == (300, 2, 10 if supervised else 1) and (scores >= 0).all()
    if not supervised:
        top = fitted.net_.module_
        with torch.no_grad():
            x = put(top.scaler.scaled(X)).float()
            none = torch.ones(300, 1, dtype=torch.long, device=x.device)
            h = [h.squeeze(1) for _, _, _, h in top.activations(top.encode(x), none)]
        expected = np.stack([array(layer.square().mean(1)) for layer in h], 1)
        np.testing.assert_allclose(scores[:, :, 0], expected, rtol=1e-4)
