"""Columns at one scale: against NumPy, weighted, sparse, constant, and the automatic choice."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, csr_matrix

from sklearn_ff import scaling as module
from sklearn_ff.scaling import LIMIT, column_statistics, largest, scaler_for

KINDS = ["standard", "shared", "global", "none"]


def rows(n=60, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * 10.0 ** np.arange(-2, d - 2) + rng.normal(size=d)


def scaled(X, weight, scaling, dtype=np.float64):
    scaler, kind, rms = scaler_for(X, weight, scaling, np.dtype(dtype))
    return scaler(torch.tensor(X.astype(dtype))).numpy(), kind, rms


def test_standard_matches_reference():
    X = rows()
    out, kind, rms = scaled(X, np.ones(len(X)), "standard")
    np.testing.assert_allclose(out, (X - X.mean(0)) / X.std(0), rtol=1e-12, atol=1e-12)
    assert (kind, rms) == ("standard", 1.0)


def test_shared_matches_reference():
    X = rows()
    out, kind, rms = scaled(X, np.ones(len(X)), "shared")
    expected = (X - X.mean(0)) / np.sqrt(X.var(0).mean())
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.sqrt((out**2).mean()), 1, rtol=1e-12)
    assert (kind, rms) == ("shared", 1.0)


def test_global_matches_reference():
    X = rows()
    out, kind, rms = scaled(X, np.ones(len(X)), "global")
    np.testing.assert_allclose(out, (X - X.mean()) / X.std(), rtol=1e-12, atol=1e-12)
    assert (kind, rms) == ("global", 1.0)
    assert np.isfinite(scaled(np.ones((3, 2)), np.ones(3), "global")[0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_largest_matches_reference(kind):
    X, weight = rows(), np.ones(60)
    scaler = scaler_for(X, weight, kind, np.dtype("float64"))[0]
    np.testing.assert_allclose(largest(scaler, X, weight), scaled(X, weight, kind)[0].max())


def test_none_matches_reference():
    X = rows()
    out, kind, rms = scaled(X, np.ones(len(X)), "none")
    np.testing.assert_array_equal(out, X)
    assert kind == "none"
    np.testing.assert_allclose(rms, np.sqrt((X**2).mean()), rtol=1e-12)


@pytest.mark.parametrize("scaling", KINDS)
def test_weights_count_as_repeated_rows(scaling):
    X = rows()
    counts = np.random.default_rng(1).integers(1, 4, size=len(X))
    weighted = scaler_for(X, counts.astype(float), scaling, np.dtype("float64"))
    repeated = np.repeat(X, counts, axis=0)
    expected = scaler_for(repeated, np.ones(len(repeated)), scaling, np.dtype("float64"))
    np.testing.assert_allclose(weighted[0].shift, expected[0].shift, rtol=1e-12)
    np.testing.assert_allclose(weighted[0].divisor, expected[0].divisor, rtol=1e-12)
    assert weighted[1] == expected[1]
    np.testing.assert_allclose(weighted[2], expected[2], rtol=1e-12)


@pytest.mark.parametrize("container", [csr_matrix, csr_array])
@pytest.mark.parametrize("scaling", [*KINDS, "auto"])
def test_sparse_equals_dense(scaling, container):
    X = rows()
    X[np.random.default_rng(2).random(X.shape) < 0.6] = 0
    weight = np.random.default_rng(3).random(len(X)) + 0.1
    dense = scaler_for(X, weight, scaling, np.dtype("float64"))
    sparse = scaler_for(container(X), weight, scaling, np.dtype("float64"))
    np.testing.assert_allclose(sparse[0].shift, dense[0].shift, rtol=1e-12)
    np.testing.assert_allclose(sparse[0].divisor, dense[0].divisor, rtol=1e-12)
    assert sparse[1:] == pytest.approx(dense[1:]) if scaling == "none" else sparse[1] == dense[1]


def test_statistics_do_not_depend_on_the_blocks(monkeypatch):
    X, weight = rows(), np.random.default_rng(3).random(60) + 0.1
    whole = column_statistics(X, weight)
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * X.shape[1] * 7)
    for one, other in zip(column_statistics(X, weight), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_statistics_match_reference():
    X, weight = rows(), np.random.default_rng(3).random(60) + 0.1
    mean, variance, low, high = column_statistics(X, weight)
    expected = np.average(X, axis=0, weights=weight)
    np.testing.assert_allclose(mean, expected, rtol=1e-12)
    np.testing.assert_allclose(
        variance, np.average((X - expected) ** 2, axis=0, weights=weight), rtol=1e-12
    )
    np.testing.assert_array_equal(low, X.min(0))
    np.testing.assert_array_equal(high, X.max(0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3, 1e6, 1e-20])
@pytest.mark.parametrize("scaling", ["standard", "shared"])
def test_constant_columns_are_safe(scaling, constant, dtype):
    X = rows()
    X[:, 1] = constant
    out, _, _ = scaled(X, np.ones(len(X)), scaling, dtype)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[:, 1], 0, atol=1e-6)
    without, _, _ = scaled(np.delete(X, 1, 1), np.ones(len(X)), "standard", dtype)
    if scaling == "standard":
        np.testing.assert_allclose(np.delete(out, 1, 1), without, rtol=1e-6)


@pytest.mark.parametrize("scaling", [*KINDS, "auto"])
def test_rows_that_are_all_the_same_are_safe(scaling):
    X = np.full((4, 3), 0.0)
    out, _, rms = scaled(X, np.ones(4), scaling)
    assert np.isfinite(out).all()
    assert rms == 1.0


@pytest.mark.parametrize("scaling", ["standard", "shared"])
def test_D3_a_constant_column_that_moves_later_stays_bounded(scaling):
    X = rows()
    X[:, 1] = 0.1
    scaler, _, _ = scaler_for(X, np.ones(len(X)), scaling, np.dtype("float32"))
    far = scaler(torch.full((2, 5), 3e38))
    assert far.isfinite().all()
    assert far.abs().max() <= LIMIT


def test_the_rows_are_left_as_they_are():
    X = rows()
    x, before = torch.tensor(X), X.copy()
    scaler, _, _ = scaler_for(X, np.ones(len(X)), "standard", np.dtype("float64"))
    scaler(x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(X, before)


def spans(*widths):
    return np.outer(np.linspace(0, 1, 20), widths) + 3


@pytest.mark.parametrize(
    "X, kind",
    [
        (spans(255, 255, 200, 10, 0, 0), "shared"),  # pixels: most that vary span a like range
        (spans(1, 100, 10_000), "standard"),
        (spans(1, 1, 0.5, 0.5), "shared"),
        (spans(1, 0.4, 0.4), "standard"),
        (spans(1, 0.4), "shared"),  # exactly half of them
        (spans(0, 0), "standard"),  # nothing varies
        (spans(5), "shared"),
    ],
)
def test_auto_shares_a_scale_if_at_least_half_of_the_columns_span_half_the_range(X, kind):
    out, chosen, _ = scaled(X, np.ones(len(X)), "auto")
    assert chosen == kind
    np.testing.assert_array_equal(out, scaled(X, np.ones(len(X)), kind)[0])
