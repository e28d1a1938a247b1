"""Rows of any container, type and layout, few rows, and rows without content."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier, FFTransformer

pytestmark = pytest.mark.filterwarnings("ignore:image_shape=.* has no effect")

X, y = load_iris(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 30, "random_state": 0, **params})


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


@pytest.mark.fault("B11")
def test_later_changes_of_the_rows_do_not_reach_the_model():
    A = X.astype(np.float32).copy()
    fitted = classifier().fit(A, y)
    before = fitted.predict_proba(X)
    A[:] = 0
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
