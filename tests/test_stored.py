"""Rows of a memory map are read block by block, and give what the same rows in memory give."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

from sklearn_ff import (
    FFClassifier,
    FFOutlierDetector,
    FFTransformer,
    _calibration,
    _scaling,
    _scoring,
    _stored,
)
from sklearn_ff._checkpoints import Describer
from sklearn_ff._draws import Draws
from sklearn_ff._stored import StoredRows, stored
from sklearn_ff.callbacks import Checkpoint
from sklearn_ff.core import rows as core_rows
from sklearn_ff.negatives import HeldOutClasses, OwnRows

X, Y = load_digits(return_X_y=True)
X, Y = X[:600], Y[:600]
FEW = {"hidden_layer_sizes": 8, "max_iter": 2, "random_state": 0}
STRANGE = X[:50][:, ::-1].copy()
ESTIMATORS = {
    "classifier": FFClassifier(**FEW, precision="float64"),
    "balanced and held out": FFClassifier(**FEW, early_stopping=True, class_weight="balanced"),
    "scored by probabilities": FFClassifier(**FEW, early_stopping=True, scoring="neg_log_loss"),
    "classes apart": FFClassifier(**FEW, negatives=HeldOutClasses([9]), prediction="head"),
    "views of images": FFClassifier(**FEW, augmentation="shifts", image_shape=(1, 8, 8)),
    "transformer": FFTransformer(**FEW),
    "own rows": FFTransformer(**FEW, negatives=OwnRows(STRANGE)),
    "detector": FFOutlierDetector(FFTransformer(8, max_iter=1), contamination=0.1, random_state=0),
}
METHODS = "predict_proba", "predict", "score_samples", "transform", "layer_scores", "fit_predict"


def mapped(rows, folder, mode="r"):
    """The rows as a memory map of a file."""
    path = folder / f"rows_{len([*folder.iterdir()])}.npy"
    np.save(path, rows)
    return np.load(path, mmap_mode=mode)


def results(model, rows):
    found = {name: getattr(model, name)(rows) for name in METHODS if hasattr(model, name)}
    return found | {"score": model.score(rows, Y)} if hasattr(model, "classes_") else found


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.fault("B12")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_memory_map_gives_the_bits_of_its_rows_in_memory(name, tmp_path):
    dtype = ["float32", "float64", "uint8"][[*ESTIMATORS].index(name) % 3]
    rows, model = X.astype(dtype), ESTIMATORS[name]
    expected = results(clone(model).fit(rows, Y), rows)
    rows = mapped(rows, tmp_path)
    assert_equal(results(clone(model).fit(rows, Y), rows), expected)


@pytest.fixture
def little_memory(monkeypatch):
    """Blocks of few rows; yields the numbers of rows that were read at once."""
    width, read = X.shape[1], []
    monkeypatch.setattr(core_rows, "BLOCK_NUMBERS", 150 * width)
    monkeypatch.setattr(_stored, "BLOCK_NUMBERS", 150 * width)
    monkeypatch.setattr(_stored, "RUN_BYTES", 5 * 8 * width)
    monkeypatch.setattr(_stored, "READ_BYTES", 100 * 8 * width)
    monkeypatch.setattr(_scaling, "BLOCK_BYTES", 100 * 8 * width)
    monkeypatch.setattr(_scoring, "PREDICTION_BYTES", 2**16)
    monkeypatch.setattr(_calibration, "READ_NUMBERS", 100 * width)
    toarray = StoredRows.toarray
    monkeypatch.setattr(StoredRows, "toarray", lambda rows: read.append(len(rows)) or toarray(rows))
    return read


@pytest.mark.fault("B12")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_more_rows_than_a_block_never_exist_at_once(name, tmp_path, little_memory):
    rows, model = mapped(X, tmp_path), clone(ESTIMATORS[name])
    if "own" in name:
        model.set_params(negatives=OwnRows(mapped(np.repeat(STRANGE, 6, 0), tmp_path)))
    model.fit(rows, Y)
    results(model, rows)
    if hasattr(model, "partial_fit") and not getattr(model, "early_stopping", False):
        model.partial_fit(rows, Y, **({"classes": model.classes_} if "class" in name else {}))
    assert 0 < max(little_memory) <= 150


def test_what_was_held_out_is_scored_as_in_memory(tmp_path, little_memory):
    """Without shuffling, rows of blocks come in the order of rows in memory."""
    model = FFClassifier(**FEW, shuffle=False)
    expected = clone(model).fit(X, Y, X_val=X[:90], y_val=Y[:90])
    rows = mapped(X, tmp_path)
    found = clone(model).fit(rows, Y, X_val=rows[:90], y_val=Y[:90])
    assert found.validation_scores_ == expected.validation_scores_
    assert found.loss_curve_ == expected.loss_curve_


def test_checkpoints_know_rows_of_a_map_by_their_values(tmp_path, little_memory):
    model = FFClassifier(**FEW, shuffle=False, callbacks=[Checkpoint(tmp_path / "kept")])
    for rows in (X, mapped(X, tmp_path)):
        model.fit(rows, Y)
    assert len([*(tmp_path / "kept").iterdir()]) == 1
    assert 0 < max(little_memory) <= 150


def test_checkpoints_know_own_rows_by_their_values_without_a_copy(tmp_path, little_memory):
    told, describer = [], Describer()
    for rows in (X, mapped(X, tmp_path), X + (X > 15)):
        told.append(describer.encode(OwnRows(rows), "negatives"))
    assert told[0] == told[1] != told[2]
    assert not describer.arrays
    assert 0 < max(little_memory) <= 150


def resident(rows, around):
    """Bytes of the file that are resident when these rows have been read at once."""
    index = np.arange(len(rows.table)) if rows.index is None else rows.index
    step, apart = rows.table.strides
    places = index[:, None] * step + np.arange(rows.table.shape[1]) * apart
    return len(np.unique((rows.table.ctypes.data + places) // around)) * around


@pytest.mark.parametrize("order", ["all", "some", "mixed", "far"])
@pytest.mark.parametrize("layout", ["narrow", "apart", "by columns", "few and tall"])
def test_what_is_resident_at_once_is_bounded(layout, order, tmp_path, monkeypatch):
    n, width, most, around, draw = 900, 256, 2**17, 2**12, np.random.default_rng(0)
    n, width = (n * width // 4, 4) if "tall" in layout else (n, width)
    which = {
        "all": slice(None),
        "some": draw.random(n) < 0.5,
        "mixed": draw.permutation(n),
        "far": np.arange(0, n, n // 60),
    }[order]
    table = draw.random((n, width))
    view = mapped(table if layout in ("narrow", "apart") else np.asfortranarray(table), tmp_path)
    view = view[:, {"narrow": slice(8), "apart": slice(None, None, -40)}.get(layout, slice(None))]
    monkeypatch.setattr(_stored, "READ_BYTES", most)
    monkeypatch.setattr(_stored, "FAR_BYTES", most)
    monkeypatch.setattr(_stored, "AROUND", around)
    sizes, read = [], StoredRows._read
    monkeypatch.setattr(
        StoredRows, "_read", lambda rows: sizes.append(resident(rows, around)) or read(rows)
    )
    rows = stored(view)[which]
    found = rows.toarray()
    assert len(sizes) > 1
    blocks = [*rows.blocks()]
    assert max(sizes) <= 1.2 * most
    for values in (found, np.concatenate(blocks)):
        np.testing.assert_array_equal(values, np.array(view)[which])
    assert rows.run * 8 * width <= _stored.RUN_BYTES


def test_clones_share_the_map_of_own_rows(tmp_path):
    rows = mapped(STRANGE, tmp_path)
    given = FFTransformer(8, max_iter=1, negatives=OwnRows(rows[5:]))
    detector = FFOutlierDetector(given, random_state=0).fit(X[:100])
    tried = FFTransformer(8).set_params(**clone({"negatives": OwnRows(rows)}, safe=False))
    for model in (clone(given), clone(clone(detector)).transformer, detector.transformer_, tried):
        kept = model.negatives.rows
        assert isinstance(stored(kept), StoredRows) and np.shares_memory(kept, rows)
    part = OwnRows(STRANGE)
    assert not np.shares_memory(clone(part).rows, STRANGE), "what may change is copied"


class Numbers:
    """A scaler that leaves everything as it is."""

    shift = torch.zeros(1)
    scaled = staticmethod(lambda rows: rows.toarray())


@pytest.mark.parametrize("n_rows", [600, 577, 561, 151])
def test_blocks_are_of_runs_from_the_whole_file_and_every_row_comes_once(
    n_rows, tmp_path, little_memory
):
    table = np.tile(np.arange(float(n_rows))[:, None], X.shape[1])
    rows = core_rows.Rows(
        stored(mapped(table, tmp_path)),
        torch.arange(n_rows),
        torch.ones(n_rows),
        Numbers,
        torch.float64,
    )
    draws = Draws(torch.Generator().manual_seed(0), "cpu")
    batches = [*core_rows.Batches(rows, 16, True, draws)]
    assert [len(batch[1]) for batch in batches] == [
        part.stop - part.start for part in core_rows.parts(n_rows, 16)
    ]
    for x, y, *_ in batches:
        np.testing.assert_array_equal(x[:, 0], y)
    order = torch.cat([batch[1] for batch in batches]).numpy()
    np.testing.assert_array_equal(np.sort(order), np.arange(n_rows))
    assert np.ptp(order[:64]) > n_rows / 2, "the first block is not one stretch of the file"
    assert len(little_memory) > 1 and max(little_memory) <= 145


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_changes_of_a_map_stay(mode, tmp_path):
    """Pages are given back to the system only where the file holds what they hold."""
    rows = mapped(X, tmp_path, mode)
    if mode != "r":
        rows[7] = 3.0
    expected = np.array(rows)
    np.testing.assert_array_equal(stored(rows).toarray(), expected)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(stored(rows[::-2, 3:]).toarray(), expected[::-2, 3:])
    some, there = stored(rows)[[7, 3, 5]], expected[[7, 3, 5]]  # as a scorer of the user may
    for which in (0, (0, 1), (slice(None), 1), (slice(1, 3), slice(2))):
        np.testing.assert_array_equal(some[which], there[which])


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e300])
def test_values_far_inside_a_file_are_refused_as_in_memory(value, tmp_path, little_memory):
    rows = X.copy()
    rows[-1, -1] = value
    clf = FFClassifier(**FEW).fit(X, Y)
    for call in (lambda X: FFClassifier(**FEW).fit(X, Y), clf.predict, FFOutlierDetector().fit):
        with pytest.raises(ValueError) as expected:
            call(rows)
        with pytest.raises(ValueError) as found:
            call(mapped(rows, tmp_path))
        assert str(found.value) == str(expected.value)


def test_shapes_of_a_map_are_refused_as_in_memory(tmp_path):
    clf = FFClassifier(**FEW).fit(X, Y)
    for call in (clf.predict, lambda X: FFClassifier(**FEW).fit(X, Y[:-1])):
        with pytest.raises(ValueError) as expected:
            call(X[:, :5])
        with pytest.raises(ValueError) as found:
            call(mapped(X[:, :5], tmp_path))
        assert str(found.value) == str(expected.value)


SCRIPT = """
import sys
import numpy as np
from sklearn_ff import FFClassifier

def resident(name): # MiB, pages of files included: VmRSS now, VmHWM at its peak
    numbers = dict(line.split(":") for line in open("/proc/self/status") if "kB" in line)
    return int(numbers[name].split()[0]) / 1024

warm = np.random.default_rng(0).integers(256, size=(300, 50)).astype(np.uint8)
FFClassifier(8, max_iter=1, random_state=0).fit(warm, np.arange(300) % 2).predict(warm)
n, width = 6_400, 10_240
rows = np.memmap(sys.argv[1], np.uint8, "w+", shape=(n, width))
y = np.arange(n) % 2
for start in range(0, n, 640):
    rows[start : start + 640] = warm[:1, :1] + np.arange(width, dtype=np.uint8) + y[:640, None]
del rows
rows = np.memmap(sys.argv[1], np.uint8, "r", shape=(n, width))
open("/proc/self/clear_refs", "w").write("5")
before = resident("VmRSS")
clf = FFClassifier(4, max_iter=1, early_stopping=True, batch_size=128, negatives="all")
clf.fit(rows, y).predict(rows)
print(resident("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.fault("B12")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="figures of Linux")
def test_a_file_takes_less_memory_than_its_rows(tmp_path):
    """In single precision they would be 250 MiB; a copy of the file alone would be 62 more."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(SCRIPT), tmp_path / "rows"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 110, done.stdout
