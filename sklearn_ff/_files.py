"""Files of named arrays beside JSON, in the format of safetensors, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from .exceptions import ModelFileError

HEADER_BYTES = 90_000_000  # safetensors reads headers of up to 100 million bytes
MOST_NAME = 100  # characters of a file's name in that of its temporary file
MOST_SAID = 300  # characters of the error of another library that are repeated
# The one entry of a file's metadata, whose order would otherwise change from file to file: the
# checksum, of 64 digits, and the JSON.
ENTRY, DIGITS = "sklearn_ff", 64


def write(path: Any, content: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write a file that takes its place at one stroke; on an error the old file stays as it was."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    if len(text) > HEADER_BYTES:
        raise ModelFileError(
            f"{os.fspath(path)!r} is not written: beside its arrays it would hold {len(text):,} "
            f"characters, and readers take up to {HEADER_BYTES:,}; give arrays instead of lists."
        )
    replace_file(path, save(arrays, {ENTRY: checksum(text, arrays) + text}))


def replace_file(path: Any, data: bytes) -> None:
    """Write a temporary file beside `path`, flush it to the disk, and rename it."""
    target = os.path.realpath(path)  # a link stays a link
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"{os.fspath(path)!r} is not written: there is no folder {folder!r}; create it first."
        )
    if os.path.isdir(target):
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; give the name of a file in it.")
    temporary = os.path.join(folder, f".{name[:MOST_NAME]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise
    flush_folder(folder)


def flush_folder(folder: str) -> None:
    """Let the disk know of a new name; some systems cannot."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def checksum(text: str, arrays: dict[str, np.ndarray]) -> str:
    """Of the JSON, and of names, types, shapes and numbers of all arrays."""
    found = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def read(path: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """JSON and arrays of a file; ModelFileError, with nothing allocated beyond its size, if it has
    another form. A file that is not there, or may not be read, is an OSError."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ModelFileError(f"{os.fspath(path)!r} is no file, but a folder or a device.")
    with open(path, "rb"):  # an OSError of Python, where it may not be read
        pass
    with file_errors(path):
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if ENTRY not in metadata:
            raise ModelFileError("it is a file of arrays that sklearn_ff has not written.")
        told, text = metadata[ENTRY][:DIGITS], metadata[ENTRY][DIGITS:]
        if told != checksum(text, arrays):
            raise ModelFileError("its contents differ from their checksum, so that it is damaged.")
        return json.loads(text, parse_constant=not_json), arrays


def not_json(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


@contextlib.contextmanager
def file_errors(path: Any) -> Iterator[None]:
    """An error that the contents of a file cause becomes a ModelFileError that names the file."""
    try:
        yield
    except MemoryError:
        raise
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)!r} cannot be loaded: {error}") from error
    except Exception as error:
        said = f"{type(error).__name__}: {str(error)[:MOST_SAID]}"
        raise ModelFileError(
            f"{os.fspath(path)!r} cannot be loaded: it is damaged, or of another kind, "
            f"such as a file of joblib ({said})."
        ) from error
