"""A fit that is cut short goes on from its checkpoint to the same bits."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import killed
import numpy as np
import pytest
from killed import X, fitted, y
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, ModelFileError, _checkpoints
from sklearn_ff._checkpoints import parts_of_table, state_in
from sklearn_ff.callbacks import Checkpoint


class Fault(Callback):
    """An error after some batches."""

    def __init__(self, after):
        self.after = after

    def on_train_begin(self, net, **kwargs):
        self.n_batches = 0

    def on_batch_end(self, net, **kwargs):
        self.n_batches += 1
        if self.n_batches == self.after:
            raise RuntimeError("a fault")


def classifier(*callbacks, **params):
    return FFClassifier(
        **{"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0, **params},
        callbacks=list(callbacks),
    )


@pytest.mark.fault("F4")
@pytest.mark.parametrize("case", killed.cases())
def test_a_fit_goes_on_to_the_same_bits(case, tmp_path):
    expected = fitted(case)
    with pytest.raises(RuntimeError, match="a fault"):
        fitted(case, Checkpoint(tmp_path), Fault(13))
    assert fitted(case, Checkpoint(tmp_path)) == expected
    assert fitted(case, Checkpoint(tmp_path), Fault(1)) == expected, "at once, from the end"


@pytest.mark.fault("F5")
def test_processes_that_are_killed_leave_whole_checkpoints():
    path = Path(killed.__file__)
    command = [sys.executable, str(path), "--kills", "3", "--cases", "greedy"]
    command += ["--longest", "0.1"]  # a fit takes longer, so that the first kill meets it
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "\n0 kills" not in done.stdout


@pytest.mark.fault("F5")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_a_disk_that_takes_no_more_leaves_the_last_checkpoint(code, place, tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="a fault"):
        classifier(Checkpoint(tmp_path), Fault(2)).fit(X, y)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()

    def failing(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, place, failing)
    with pytest.raises(OSError, match=os.strerror(code)):
        classifier(Checkpoint(tmp_path)).fit(X, y)
    monkeypatch.undo()
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == before
    model = classifier(Checkpoint(tmp_path)).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), classifier().fit(X, y).predict_proba(X))


def test_another_fit_begins_and_keeps_to_its_own_file(tmp_path):
    classifier(Checkpoint(tmp_path)).fit(X, y)
    for others in ({"max_iter": 4}, {"random_state": 1}, {"alpha": 0.1}):
        model = classifier(Checkpoint(tmp_path), **others).fit(X, y)
        plain = classifier(**others).fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert classifier(Checkpoint(tmp_path)).fit(X[:-1], y[:-1]).n_iter_ == 3
    assert len([*tmp_path.iterdir()]) == 5


@pytest.mark.parametrize("order", "CF")
def test_names_do_not_depend_on_how_rows_are_divided(order, monkeypatch):
    """Files that are there are found again."""
    monkeypatch.setattr(_checkpoints, "BLOCK_BYTES", 7 * X[:1].nbytes)
    head, *blocks = parts_of_table(np.asarray(X, order=order))
    assert head == f"<f8 {X.shape}".encode() and b"".join(blocks) == X.tobytes()
    assert {*map(len, blocks[:-1])} == {7 * X[:1].nbytes}


@pytest.mark.parametrize(
    ("options", "written"),
    [({"every_epochs": 2}, 2), ({"every_epochs": None, "every_minutes": 1e6}, 0)],
)
def test_files_are_written_by_epochs_or_minutes(options, written, tmp_path):
    with pytest.raises(RuntimeError, match="a fault"):
        classifier(Checkpoint(tmp_path, **options), Fault(4), max_iter=9).fit(X, y)
    histories = [state_in(path)["history"] for path in tmp_path.iterdir()]
    assert [len(history) for history in histories] == [written] * bool(written)


@pytest.mark.parametrize(
    ("callbacks", "params", "named"),
    [
        ([Checkpoint("x"), Checkpoint("y")], {}, "2 Checkpoints"),
        ([Checkpoint("x")], {"random_state": None}, "random_state to an integer"),
        ([Checkpoint("x", every_epochs=0)], {}, "every_epochs=0"),
        ([Checkpoint("x", every_minutes=-1)], {}, "every_minutes=-1"),
        ([Checkpoint(7)], {}, "folder=7"),
    ],
)
def test_what_cannot_go_on_is_refused(callbacks, params, named):
    with pytest.raises(ValueError, match=named):
        classifier(*callbacks, **params).fit(X, y)


def test_partial_fit_takes_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=r"sklearn_ff\.save between the calls"):
        classifier(Checkpoint(tmp_path)).partial_fit(X, y, classes=[0, 1, 2])


def test_a_file_that_is_damaged_is_named(tmp_path):
    classifier(Checkpoint(tmp_path)).fit(X, y)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelFileError, match=path.name):
        classifier(Checkpoint(tmp_path)).fit(X, y)
