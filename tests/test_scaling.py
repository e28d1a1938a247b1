"""Columns at one scale: against NumPy, weighted, sparse, constant, and the automatic choice."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, csr_matrix

from sklearn_ff import _scaling as module
from sklearn_ff._scaling import column_statistics, largest, scaler_for

KINDS = ["standard", "shared", "global", None]


def rows(n=60, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * 10.0 ** np.arange(-2, d - 2) + rng.normal(size=d)


def scaled(X, weight, scaling, dtype=np.float64):
    X = X.astype(dtype)
    scaler, kind, rms = scaler_for(X, weight, scaling)
    return scaler.scaled(X), kind, rms


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
    scaler = scaler_for(X, weight, kind)[0]
    np.testing.assert_allclose(largest(scaler, X), scaled(X, weight, kind)[0].max())


def test_none_matches_reference():
    X = rows()
    out, kind, rms = scaled(X, np.ones(len(X)), None)
    np.testing.assert_array_equal(out, X)
    assert kind is None
    np.testing.assert_allclose(rms, np.sqrt((X**2).mean()), rtol=1e-12)


@pytest.mark.parametrize("scaling", KINDS)
def test_weights_count_as_repeated_rows(scaling):
    X = rows()
    counts = np.random.default_rng(1).integers(1, 4, size=len(X))
    weighted = scaler_for(X, counts.astype(float), scaling)
    repeated = np.repeat(X, counts, axis=0)
    expected = scaler_for(repeated, np.ones(len(repeated)), scaling)
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
    dense = scaler_for(X, weight, scaling)
    sparse = scaler_for(container(X), weight, scaling)
    np.testing.assert_allclose(sparse[0].shift, dense[0].shift, rtol=1e-12)
    np.testing.assert_allclose(sparse[0].divisor, dense[0].divisor, rtol=1e-12)
    assert sparse[1:] == pytest.approx(dense[1:]) if scaling is None else sparse[1] == dense[1]


def test_statistics_do_not_depend_on_the_blocks(monkeypatch):
    X, weight = rows(), np.random.default_rng(3).random(60) + 0.1
    whole = column_statistics(X, weight)
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * X.shape[1] * 7)
    for one, other in zip(column_statistics(X, weight), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_statistics_match_reference():
    X, weight = rows(), np.random.default_rng(3).random(60) + 0.1
    columns = column_statistics(X, weight)
    expected = np.average(X, axis=0, weights=weight)
    variance = np.average((X - expected) ** 2, axis=0, weights=weight)
    np.testing.assert_allclose(columns.low + columns.mean, expected, rtol=1e-12)
    np.testing.assert_allclose(columns.deviation**2, variance, rtol=1e-12)
    np.testing.assert_array_equal(columns.low, X.min(0))
    np.testing.assert_array_equal(columns.high, X.max(0))
    np.testing.assert_allclose(columns.span, np.ptp(X, axis=0), rtol=1e-12)


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


def shift_of(scaler):
    return (scaler.shift + scaler.rest).numpy()


@pytest.mark.fault("D3")
@pytest.mark.parametrize("scaling", KINDS)
def test_rows_far_off_are_shortened_and_keep_their_direction(scaling):
    X = rows()
    X[:, 1] = 0.1
    scaler, _, _ = scaler_for(X, np.ones(len(X)), scaling)
    far = np.full((2, 5), 3e38) * [[1], [-0.5]]
    both = scaler.scaled(np.vstack([far, X[:1]])), scaler(torch.tensor(np.vstack([far, X[:1]])))
    for found in (both[0], both[1].numpy()):
        np.testing.assert_allclose(np.abs(found[:2]).max(1), scaler.limit)
        expected = far * scaler.divisor.numpy()[0] / scaler.divisor.numpy()
        cosine = (found[:2] * expected).sum(1) / (
            np.linalg.norm(found[:2], axis=1) * np.linalg.norm(expected, axis=1)
        )
        np.testing.assert_allclose(cosine, 1)
        np.testing.assert_allclose(found[2], (X[0] - shift_of(scaler)) / scaler.divisor.numpy())


def test_single_precision_squares_what_is_shortened():
    X = np.array([[1.0, 2.0], [3.0, 1.0]])
    for scaling in KINDS:
        scaler = scaler_for(X, np.ones(2), scaling)[0].to(torch.float32)
        z = torch.tensor(scaler.scaled(np.array([[3e38, -3e38]]))).float()
        assert torch.isfinite(z.square().sum() ** 1.5)


@pytest.mark.parametrize("scaling", ["standard", "shared", "global", "auto"])
@pytest.mark.parametrize(
    "large, dtype",
    [
        (1.7e9, "float64"),
        (1.7e9, "int64"),
        (1.7e9, "int32"),
        (1.7e9, "float32"),
        (-1.7e9, "float64"),
        (1.7e15, "float64"),
        (2**53 + 1, "int64"),
        (-(2**62), "int64"),
        (2**63, "uint64"),
        (60_000, "uint16"),
        (1e30, "float64"),
    ],
)
def test_a_small_spread_around_a_large_value_is_kept(large, dtype, scaling):
    rng = np.random.default_rng(0)
    step = max(1, 20 * np.spacing(np.array(large, dtype)) if dtype[0] == "f" else 1)
    offset = rng.integers(-1000, 1000, (60, 2)) * int(step)
    X = np.array([[int(large)]], dtype) + offset.astype(dtype)
    out = scaled(X, np.ones(60), scaling, dtype)[0]
    expected = scaled(offset, np.ones(60), "standard" if scaling == "auto" else scaling)[0]
    if scaling == "auto":
        expected = scaled(offset, np.ones(60), "shared")[0]
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6 if dtype != "float32" else 0.1)


def test_integers_that_are_equal_as_floats_are_distinguished():
    X = 2**60 + np.arange(5)[:, None]
    assert len(np.unique(X.astype(float))) == 1
    np.testing.assert_allclose(
        scaled(X, np.ones(5), "standard", "int64")[0][:, 0], np.arange(-2, 3) / np.sqrt(2)
    )


@pytest.mark.parametrize("ends", [(-(2**63), 2**63 - 1), (0, 2**64 - 1)])
def test_integers_of_the_widest_range_do_not_wrap(ends):
    X = np.array(ends, dtype=np.int64 if ends[0] else np.uint64)[:, None]
    np.testing.assert_allclose(scaler_for(X, np.ones(2), "standard")[0].scaled(X)[:, 0], [-1, 1])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_rounding_of_the_last_digit_is_no_variation(dtype):
    for value in (1.1, 1e-4, 1000.3):
        value = np.array(value, dtype)
        X = np.array([[value], [np.nextafter(value, np.array(np.inf, dtype))]])
        np.testing.assert_allclose(scaled(X, np.ones(2), "standard", dtype)[0], 0, atol=1e-3)
        X[1] += np.abs(X[1]) * 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(scaled(X, np.ones(2), "standard", dtype)[0], [[-1], [1]])


@pytest.mark.parametrize("factor", [1e-200, 1e-40, 1e30])
@pytest.mark.parametrize("scaling", ["standard", "shared", "global"])
def test_squares_neither_vanish_nor_overflow(factor, scaling):
    X = rows()
    expected = scaled(X, np.ones(60), scaling)[0]
    np.testing.assert_allclose(scaled(X * factor, np.ones(60), scaling)[0], expected, rtol=1e-9)


@pytest.mark.parametrize("factor", [1e7, 1e13, 1e30])
def test_values_too_large_to_be_squared_are_divided_by_one_power_of_two(factor):
    X = rows() * factor
    scaler, _, rms = scaler_for(X, np.ones(60), None)
    unit = scaler.divisor.numpy()
    assert len(np.unique(unit)) == 1 and np.log2(unit[0]) % 1 == 0
    assert (unit[0] == 1) == (factor == 1e7)
    np.testing.assert_array_equal(scaler.scaled(X), X / unit)
    assert np.abs(scaler.scaled(X)).max() <= scaler.limit
    np.testing.assert_allclose(rms, np.sqrt(((X / unit) ** 2).mean()))


def test_scaling_does_not_change_the_rows():
    X = rows()
    x, before = torch.tensor(X), X.copy()
    scaler, _, _ = scaler_for(X, np.ones(len(X)), "standard")
    scaler(x), scaler.scaled(X)
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
