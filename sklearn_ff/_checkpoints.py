"""Files from which a fit goes on: which fit they are of, when they are written, what they hold."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse

from ._encoding import Decoder, Encoder
from ._files import checksum, file_errors, read, write
from ._input import Data
from ._params import has_params
from ._plan import Plan
from ._ranks import ALONE, Alone
from ._settings import Settings
from ._stored import StoredRows, stored
from ._version import __version__
from ._warn import warn
from .callbacks import Checkpoint
from .core.forward_forward import Network
from .core.resume import restore, state_of
from .exceptions import ModelFileError, VersionWarning

FORMAT, SCHEMA = "sklearn_ff checkpoint", 1
BLOCK_BYTES = 2**23  # of rows in memory that are copied at once
WITHOUT_EFFECT = ("defaults", "verbose")  # on what is learned


def keeper_of(callbacks: Any, plan: Plan, data: Data, network: Network) -> Keeper | None:
    """The keeper of the checkpoint among the callbacks, if there is one."""
    found = checkpoints_in(callbacks)
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(
            f"callbacks holds {len(found)} Checkpoints, and a fit goes on from one; give one."
        )
    if plan.resume:
        raise ValueError(
            "partial_fit learns for one epoch, which no Checkpoint can divide; leave it out of "
            "callbacks, and write the estimator with sklearn_ff.save between the calls."
        )
    if plan.settings.random_state is None:
        raise ValueError(
            "Checkpoint goes on with a fit that another process began, which with random_state="
            "None is another fit every time; set random_state to an integer."
        )
    found[0].check()
    return Keeper(found[0], fit_name(plan, data, network), plan, data.ranks)


def checkpoints_in(callbacks: Any) -> list[Checkpoint]:
    """Those among callbacks, which may have names, (name, callback)."""
    entries = [entry[1] if isinstance(entry, (tuple, list)) else entry for entry in callbacks or ()]
    return [entry for entry in entries if isinstance(entry, Checkpoint)]


class Keeper:
    """Writes the state of a training to the file of its fit, and reads it again.

    Of several ranks the first does so, and tells the others what it has read.
    """

    def __init__(self, checkpoint: Checkpoint, name: str, plan: Plan, ranks: Alone = ALONE) -> None:
        self.checkpoint, self.first = checkpoint, ranks.first
        self.path = Path(checkpoint.folder, f"{name}.safetensors")
        self.globally = any(kind.draws_globally for kind in plan.kinds)
        self.written = time.monotonic()
        self.state: Any = ranks.from_first(self._begin)

    def _begin(self) -> dict[str, Any] | None:
        """The state in the file of this fit, if there is one; what a killed process has left is
        removed.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left in self.path.parent.glob(f".{self.path.name}.*.tmp"):
            left.unlink(missing_ok=True)
        return state_in(self.path) if self.path.exists() else None

    @property
    def stage(self) -> int:
        """The number of the stage to go on in."""
        return 0 if self.state is None else self.state["stage"]

    def resume(self, net: Any, rows: Any) -> int:
        """Put the net into the state of the file; return the epochs of the stage that are done."""
        state, self.state = self.state, None
        if state is None:
            return 0
        return restore(net, rows, state)

    def epoch_ended(self, net: Any, rows: Any, end: Any) -> None:
        """Write the file if its time has come; `end` is what ends the stage or the training."""
        done = sum(row["stage"] == net.stage_number_ for row in net.history)
        last = end is not None or done == net.stage_epochs_
        every, minutes = self.checkpoint.every_epochs, self.checkpoint.every_minutes
        due = every is not None and done % every == 0
        due |= minutes is not None and time.monotonic() - self.written >= 60 * minutes
        if self.first and (last or due):
            write_state(self.path, state_of(net, rows, end, self.globally))
            self.written = time.monotonic()


def write_state(path: Path, state: dict[str, Any]) -> None:
    encoder = Encoder()
    encoded = {name: encoder.encode(value, f"{name} of the fit") for name, value in state.items()}
    content = {"format": FORMAT, "schema": SCHEMA, "version": __version__, "state": encoded}
    write(path, content, encoder.arrays)


def state_in(path: Path) -> dict[str, Any]:
    """The state in a file; ModelFileError if it holds none."""
    content, arrays = read(path)
    with file_errors(path):
        known = isinstance(content, dict) and content.get("format") == FORMAT
        if not known or content["schema"] != SCHEMA:
            raise ModelFileError("it is no checkpoint that this version reads; delete it.")
        if content["version"] != __version__:
            warn(
                f"The checkpoint was written by sklearn_ff {content['version']}, and training goes "
                f"on by {__version__}, with which results may differ; to begin again, delete "
                f"{os.fspath(path)!r}.",
                VersionWarning,
            )
        decoder = Decoder(arrays)
        return {name: decoder.decode(value) for name, value in content["state"].items()}


# Which fit it is ----------------------------------------------------------------------------------


def fit_name(plan: Plan, data: Data, network: Network) -> str:
    """A name that only the same fit has: by its parameters, its rows, and its first weights."""
    describer, settings = Describer(), plan.settings
    told = told_of(settings, describer)
    told |= {"device": plan.device, "dtype": plan.dtype, "taught": plan.taught}
    found = hashlib.sha256(checksum(json.dumps(told), describer.arrays).encode())
    for part in parts_of(data):
        found.update(part)
    if plan.taught:  # a warm start
        for weights in network.state_dict().values():
            found.update(np.ascontiguousarray(weights.cpu().numpy()).data)
    names = data.ranks.joined(found.hexdigest()[:20])
    return names[0] if len(names) == 1 else hashlib.sha256(str(names).encode()).hexdigest()[:20]


def told_of(settings: Settings, describer: Describer) -> dict[str, Any]:
    """The parameters that have an effect on what is learned, by name."""
    names = [one.name for one in fields(Settings) if one.name not in WITHOUT_EFFECT]
    return {name: describer.encode(getattr(settings, name), name) for name in names}


class Describer(Encoder):
    """Values as JSON that is never read: its class and parameters describe what has no name.

    A checksum stands for an array, which may lie in a file that is larger than memory.
    """

    def _array(self, array: np.ndarray, where: str) -> Any:
        wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
        if wide or array.dtype.kind not in "biufUmM":
            return super()._array(array, where)  # entry by entry, or refused
        found = hashlib.sha256()
        for part in parts_of_table(stored(np.atleast_1d(array))):
            found.update(part)
        return {"is": "array", "shape": [*array.shape], "of": found.hexdigest()}

    def _own(self, value: Any, where: str) -> Any:
        kind = value if callable(value) and hasattr(value, "__qualname__") else type(value)
        params = value.get_params(deep=False) if has_params(value) else {}
        told = {name: self.encode(one, name) for name, one in params.items()}
        return [kind.__module__, kind.__qualname__, told]


def parts_of(data: Data) -> Iterator[Any]:
    """The numbers of all rows, labels and weights, block by block."""
    tables = [data.X, data.codes, data.weight, data.classes, *(data.pool or ())]
    for table in [*tables, *(data.held_out or ())]:
        yield from parts_of_table(table)


def parts_of_table(table: Any) -> Iterator[Any]:
    if table is None:
        yield b"none"
    elif issparse(table):
        rows = table.tocsr()
        for part in (np.array(rows.shape), rows.data, rows.indices, rows.indptr):
            yield from parts_of_table(part)
    else:
        table = table if isinstance(table, StoredRows) else np.asarray(table)
        yield f"{table.dtype.str} {table.shape}".encode()
        if table.dtype.hasobject:
            yield repr(table.tolist()).encode()
            return
        for block in table.blocks() if isinstance(table, StoredRows) else blocks(table):
            yield block.tobytes()


def blocks(table: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows after the other; where they are divided has no effect on the name."""
    size = max(1, BLOCK_BYTES // max(1, table[:1].nbytes))
    return (table[start : start + size] for start in range(0, len(table), size))
