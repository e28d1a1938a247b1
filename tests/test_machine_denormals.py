"""Denormal numbers are zero while training, in all threads of torch, and not before or after."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier
from sklearn_ff._machine import flushed_denormals, flushes_denormals, in_workers

N_THREADS = 3
SMALL = torch.full((N_THREADS * 100_000,), 1e-30)
RNG = np.random.default_rng(0)
X = RNG.random((60, 40)).astype(np.float32)
Y = np.arange(60) % 2


def flushed():
    """By parts of a large tensor, one per thread: whether their denormal products are zero."""
    bits = (SMALL * 1e-9).view(torch.int32)  # comparing floats would flush them too
    return [bool((part == 0).all()) for part in bits.chunk(N_THREADS)]


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    yield
    in_workers(lambda number: torch.set_flush_denormal(False))
    torch.set_num_threads(before)


def set_by_thread(values):
    torch.set_flush_denormal(values[0])
    in_workers(lambda number: torch.set_flush_denormal(values[number]))


BEFORE = [[False] * 3, [True] * 3, [True, False, False], [False, True, False]]


@pytest.mark.parametrize("before", BEFORE)
def test_every_thread_flushes_inside_and_is_as_before_afterwards(before):
    set_by_thread(before)
    assert flushed() == before
    with flushed_denormals():
        assert flushed() == [True] * 3
        with flushed_denormals():
            assert flushed() == [True] * 3
        assert flushed() == [True] * 3
    assert flushed() == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_errors_put_every_thread_back(error):
    with pytest.raises(error), flushed_denormals():
        raise error
    assert flushed() == [False] * 3


class Look(Callback):
    """What threads do while training, and optionally an error."""

    found = []  # of the class: the estimator trains with a copy of this callback

    def __init__(self, error=None):
        self.error = error

    def on_batch_end(self, net, **kwargs):
        self.found.append(flushed())
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("n_threads", [None, 3])
def test_a_fit_flushes_and_prediction_does_not(n_threads, monkeypatch):
    monkeypatch.setattr(Look, "found", [])
    clf = FFClassifier(4, max_iter=2, n_threads=n_threads, callbacks=[Look()]).fit(X, Y)
    assert Look.found and set(map(tuple, Look.found)) == {(True,) * 3}
    assert flushed() == [False] * 3
    clf.predict(X)
    assert flushed() == [False] * 3


def test_a_fit_that_fails_puts_every_thread_back(monkeypatch):
    monkeypatch.setattr(Look, "found", [])
    with pytest.raises(RuntimeError, match="stop"):
        FFClassifier(4, callbacks=[Look(RuntimeError("stop"))]).fit(X, Y)
    assert Look.found == [[True] * 3]
    assert flushed() == [False] * 3


def test_other_numbers_of_threads_leave_the_callers_setting():
    FFClassifier(4, max_iter=2, n_threads=1).fit(X, Y)
    assert not flushes_denormals()
    assert flushed() == [False] * 3


def test_moments_of_silent_inputs_do_not_become_denormal():
    params = {"betas": (0.3, 0.999)}  # a first moment of 1e-3 is denormal after 67 steps
    given = {"precision": "float32", "scaling": None, "device": "cpu"}
    clf = FFClassifier(8, **given, optimizer_params=params)
    clf.partial_fit(X, Y, classes=[0, 1])
    silent = X * (np.arange(40) >= 20).astype(np.float32)
    for _ in range(90):
        clf.partial_fit(silent, Y)
        for state in clf.net_.optimizer_.state.values():
            size = state["exp_avg"].abs()
            assert not bool(((size > 0) & (size < torch.finfo(torch.float32).tiny)).any())
