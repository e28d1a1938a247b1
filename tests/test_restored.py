"""Files that are damaged, or made to do harm, end in the package's own error or in an estimator.

`python tests/damaged.py --cases 2000` tries many more of them.
"""

import copy
import os

import pytest
from damaged import OTHER, REFUSED, counted, damaged_bytes, harmful, models

from sklearn_ff import ModelFileError, load
from sklearn_ff._files import write


@pytest.mark.fault("G4")
def test_damage_to_bytes_is_noticed():
    outcomes = counted(damaged_bytes(), 50)
    assert outcomes[OTHER] == 0
    assert outcomes[REFUSED] > 40


@pytest.mark.fault("G4")
def test_contents_that_do_not_fit_together_end_in_the_packages_own_error():
    assert counted(harmful(), 50)[REFUSED] > 40


@pytest.mark.fault("G4")
@pytest.mark.parametrize("size", [10**6, 10**12])
def test_no_size_exceeds_what_the_file_holds(size, tmp_path):
    _, content, arrays, _ = copy.deepcopy(models()[1])
    plan = dict(content["fitted"]["plan"]["of"])
    plan["kinds"]["of"][0]["params"]["n_units"] = size
    plan["units"]["of"], plan["width"] = [size], size
    content = {**content, "fitted": {**content["fitted"]}}
    content["fitted"]["plan"] = {"is": "dict", "of": [*map(list, plan.items())]}
    write(tmp_path / "model", content, arrays)
    with pytest.raises(ModelFileError, match=rf"weights 'layers.*{size}"):
        load(tmp_path / "model")


@pytest.mark.fault("G4")
def test_what_is_no_file_is_refused_and_what_is_not_there_is_not_found(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ModelFileError, match="is no file"):
            load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


@pytest.mark.fault("G5")
def test_nothing_in_a_file_is_run(tmp_path):
    _, content, arrays, _ = models()[1]
    mark = tmp_path / "mark"
    for value in (
        {
            "is": "partial",
            "of": [{"is": "own", "of": "os.mkdir"}, [str(mark)], {"is": "dict", "of": []}],
        },
        {"is": "part", "of": ["registered", "os.mkdir"], "params": {"path": str(mark)}},
        {"is": "part", "of": ["sklearn_ff", "os.mkdir"], "params": {"path": str(mark)}},
        {"is": "own", "of": "os.mkdir"},
    ):
        content = {**content, "params": {**content["params"], "activation": value}}
        write(tmp_path / "model", content, arrays)
        with pytest.raises(ModelFileError):
            load(tmp_path / "model")
    assert not mark.exists()
