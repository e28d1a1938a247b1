"""Blocks of rows in several threads."""

import threading
import time

import numpy as np
import pytest
import torch

from sklearn_ff import _threads
from sklearn_ff._machine import torch_threads
from sklearn_ff._scaling import column_statistics, largest, scaler_of
from sklearn_ff._threads import in_threads
from sklearn_ff.core.rows import as_tensor

X = np.random.RandomState(0).rand(1500, 40)
PARTS = [slice(start, start + 1) for start in range(100)]


@pytest.fixture
def three():
    with torch_threads(3):
        yield


def test_parts_are_shared_among_threads_and_come_in_order(three):
    def look(part):
        time.sleep(1e-4)
        return part.start, threading.get_ident()

    places, threads = zip(*in_threads(look, X, PARTS), strict=True)
    assert places == tuple(range(100)) and len(set(threads)) > 1


@pytest.mark.parametrize("rows", [X.tolist(), X[:, :5]], ids=["not numpy", "long parts"])
def test_other_rows_are_left_to_the_calling_thread(three, rows, monkeypatch):
    monkeypatch.setattr(_threads, "MOST_NUMBERS", 4)
    assert set(in_threads(lambda part: threading.get_ident(), rows, PARTS)) == {
        threading.get_ident()
    }


def test_an_error_of_a_part_is_raised_after_those_before_it(three):
    parts = in_threads(lambda part: 1 // (50 - part.start), X, PARTS)
    assert next(parts) == 0
    with pytest.raises(ZeroDivisionError):
        list(parts)


def test_numpy_reports_errors_in_threads_as_where_they_are_called(three):
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        list(in_threads(lambda part: X[part] * 1e308 * 1e308, X, PARTS))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_statistics_and_scaled_rows_are_the_same_from_any_number_of_threads(dtype, monkeypatch):
    monkeypatch.setattr(_threads, "AT_ONCE", 1)
    for module in ("sklearn_ff._scaling.BLOCK_BYTES", "sklearn_ff.core.rows.BLOCK_BYTES"):
        monkeypatch.setattr(module, 2**14)
    rows, weight = (X * 100 - 20).astype(dtype), np.linspace(1, 2, len(X))
    found = []
    for n in (1, 3):
        with torch_threads(n):
            columns = column_statistics(rows, weight)
            scaler = scaler_of(columns, "standard")[0]
            scaled = as_tensor(rows, torch.float32, "cpu", scaler.scaled)
            found.append([*columns, scaled.numpy(), largest(scaler, rows)])
    for one, several in zip(*found, strict=True):
        np.testing.assert_array_equal(one, several)
    np.testing.assert_allclose(scaled.numpy().std(0), 1, rtol=0.02)
