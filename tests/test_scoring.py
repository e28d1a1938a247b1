"""Scores of many rows and classes, part by part."""

import subprocess
import sys

import numpy as np
import pytest

from sklearn_ff import FFClassifier, _scoring
from sklearn_ff.core import rows as rows_module


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


MEMORY = """
import resource, warnings
import numpy as np
from sklearn_ff import FFClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.normal(size=(160, 100)).astype(np.float32), np.arange(160) % 80
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
FFClassifier((8,), max_iter=1, device="cpu").fit(X, y % 3).predict(X)
before = peak()
given = {"negatives": "all", "precision": "float32", "batch_size": 160, "random_state": 0}
m = FFClassifier((500, 50), device="cpu", **given)
m.partial_fit(X, y, classes=np.arange(1000)).predict_proba(np.tile(X, (3, 1)))
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.fault("C5")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="units of Linux")
def test_a_thousand_classes_take_less_than_600_megabytes():
    done = run(MEMORY)
    assert float(done.stdout) < 600, done.stderr


def classifier(**params):
    return FFClassifier(**{"max_iter": 30, "random_state": 0, **params})


@pytest.mark.slow
@pytest.mark.fault("C5")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="units of Linux")
def test_a_thousand_classes_are_scored_in_parts():
    rng = np.random.default_rng(0)
    A, labels = rng.random((2000, 5)), np.arange(2000) % 1000
    fitted = classifier(max_iter=1, negatives="all", hidden_layer_sizes=(32,)).fit(A, labels)
    np.testing.assert_allclose(fitted.predict_proba(A).sum(1), 1, rtol=1e-4)


SECONDS = np.random.default_rng(0).integers(-1000, 1000, size=(400, 2))
LATER = (SECONDS[:, 0] > 0).astype(int)
STAMPS = SECONDS + 1_700_000_000  # Unix seconds within an hour


def of_stamps(**params):
    return FFClassifier((32,), **{"max_iter": 40, "random_state": 0, **params})


@pytest.mark.fault("A9")
def test_rows_are_scored_alike_in_parts_and_in_other_types(monkeypatch):
    fitted = of_stamps().fit(STAMPS, LATER)
    whole = fitted.predict_proba(STAMPS)
    for name in ("PREDICTION_BYTES", "DEVICE_BYTES"):
        monkeypatch.setattr(_scoring, name, 2**12)
    monkeypatch.setattr(rows_module, "BLOCK_BYTES", 2**7)
    for X in (STAMPS, STAMPS.astype(float), STAMPS.astype(np.int32)):
        np.testing.assert_allclose(fitted.predict_proba(X), whole, atol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba(STAMPS[3:4]), whole[3:4], atol=1e-5)
