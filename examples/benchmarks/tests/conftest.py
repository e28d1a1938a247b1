"""A script of the benchmarks with its flags, and a few rows in the place of a data set."""

import runpy
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1]

# A shell that runs the tests in the background lets them ignore Ctrl-C, which one of them presses.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def benchmark(monkeypatch):
    """The names of a script of examples/benchmarks, whose `main` will see these flags."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def read(name, *flags):
        monkeypatch.setattr(sys, "argv", [name, *map(str, flags)])
        return runpy.run_path(str(BENCHMARKS / f"{name}.py"))

    return read


@pytest.fixture
def few_images(tmp_path):
    """A folder with a few rows of noise in the place of MNIST."""
    x = np.random.default_rng(0).integers(256, size=(300, 28, 28), dtype=np.uint8)
    y = np.arange(300) % 10
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    return tmp_path
