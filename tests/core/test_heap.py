"""Room that layers with large tensors have freed goes back to the system."""

import sys

import numpy as np
import pytest
from devices import ON_CPU, arrays
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff.core import engine, heap
from sklearn_ff.core.passes import LIVE_TENSORS
from sklearn_ff.layers import Dense
from sklearn_ff.normalizations import BatchNorm

X, y = load_iris(return_X_y=True)
MEBIBYTE = 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other C libraries")
def test_room_between_other_blocks_goes_back_to_the_system():
    np.ones(16 * MEBIBYTE, np.uint8)  # freed: now the library takes blocks of a MiB from its heap
    pairs = [[np.ones(size, np.uint8) for size in (MEBIBYTE, MEBIBYTE // 4)] for _ in range(100)]
    own = heap.Heap()
    kept = [small for _, small in pairs]
    del pairs
    before = heap.resident()
    own.least = before - 10 * MEBIBYTE
    own.look(20 * MEBIBYTE)
    assert heap.resident() > before - MEBIBYTE  # not until it has grown so much
    own.look(5 * MEBIBYTE)
    assert heap.resident() < before - 50 * MEBIBYTE
    assert len(kept) == 100


WHOLE = {"layers": [Dense(8, norm="batch"), 6]}, {"normalization": BatchNorm()}


def fitted(own):
    params = {"negatives": "hard", "batch_size": 50, "max_iter": 2, "random_state": 0}
    return FFClassifier(**{"layers": [8, 6]} | params | own).fit(X, y)


@pytest.mark.parametrize(("parts", "own"), [(1, {}), (2, {}), *((1, own) for own in WHOLE)])
def test_a_process_is_looked_at_after_every_layer_with_large_tensors(monkeypatch, parts, own):
    looks, per_row = [], LIVE_TENSORS * 2 * 8 * 8
    monkeypatch.setattr(heap.Heap, "look", lambda _, slack: looks.append(slack))
    monkeypatch.setattr(engine, "CANDIDATE_BYTES", 50 // parts * per_row)
    plain = fitted(own)
    assert not looks
    monkeypatch.setattr(heap, "LARGE", 50 // parts * per_row)
    clf = fitted(own)
    learners = 3  # two layers and the head
    assert len(looks) == ON_CPU * clf.net_.n_updates_ * learners * parts
    for name, value in arrays(plain).items():
        np.testing.assert_array_equal(arrays(clf)[name], value)


def test_memory_in_use_is_not_given_back_again_and_again(monkeypatch):
    calls, sizes = [], iter([100, 300, 300, 310])
    monkeypatch.setattr(heap, "resident", lambda: next(sizes))
    monkeypatch.setattr(heap, "trim", calls.append)
    own = heap.Heap()
    for _ in range(3):
        own.look(100)
    assert calls == [0]


@pytest.mark.parametrize("sizes", [[], [100], [100, 300]], ids=range(3))
def test_a_process_whose_size_cannot_be_read_goes_on(monkeypatch, sizes):
    left = iter(sizes)

    def resident():
        for size in left:
            return size
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(heap, "resident", resident)
    monkeypatch.setattr(heap, "trim", lambda keep: None)
    own = heap.Heap()
    for _ in range(2):
        own.look(100)
    assert own.least == min([np.inf, *sizes])
