"""Values as JSON beside named arrays, and back: the contents of files of estimators.

JSON's own values stand for themselves. Any other value is an object {"is": kind, ...}, and a kind
names one function of this module, so that a file can ask for nothing else. The numbers of arrays
stand apart, by name. A part is the name of its class and its parameters, and a function the name
under which the user has registered it: nothing is imported, and nothing is called but the
constructors of parts.
"""

from __future__ import annotations

import copy
import functools
import math
import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, csr_matrix, issparse, sparray

from . import heads  # noqa: F401  # whose classes are to be known
from ._families import NAMED
from ._params import brief, has_params
from ._parts import Family, Part
from ._registry import NAMES, name_of
from .callbacks import Checkpoint, LayerMetric
from .exceptions import ModelFileError
from .layers import layer_kinds
from .schedules import rates, schedules

DEEPEST = 50  # values inside of values
NUMBERS = re.compile(r"[<>=|]?[biuf][1248]")  # dtypes that a file holds as they are
TEXT, TIME = re.compile(r"[<>=]U[1-9]\d{0,8}"), re.compile(r"[<>=][mM]8(\[\w+])?")
LAST_CHARACTER = 0x10FFFF


def classes_below(base: Any) -> Iterator[Any]:
    for cls in base.__subclasses__():
        yield cls
        yield from classes_below(cls)


def public_name(cls: type) -> str:
    """Where users find a class of the package, such as "goodness.MeanSquare"."""
    rooms = [room for room in cls.__module__.split(".")[1:] if not room.startswith("_")]
    return ".".join([*rooms, cls.__name__])


CLASSES: list[Any] = [*classes_below(Part), Checkpoint, LayerMetric]
OURS: dict[str, Any] = {public_name(cls): cls for cls in CLASSES}
FAMILIES: dict[str, Family[Any]] = {
    **NAMED,
    **{"layers": layer_kinds, "schedule": schedules, "learning_rate": rates},
}
FAMILY_OF_ALL = "sklearn_ff"  # in the place of a family: the package's own classes
REGISTERED = "registered"  # in the same place: the classes that `register` has named


def class_name(cls: type) -> list[str] | None:
    """Where a class has its name, and the name; None where it has none."""
    for name, one in OURS.items():
        if one is cls:
            return [FAMILY_OF_ALL, name]
    for parameter, family in FAMILIES.items():
        for key, made in family.registry.items():
            if made is cls and key is not None:
                return [parameter, key]
    own = name_of(cls)
    return None if own is None else [REGISTERED, own]


def class_named(place: str, name: str) -> Any:
    """The class of that name; ModelFileError where there is none."""
    known: Any = {FAMILY_OF_ALL: OURS, REGISTERED: NAMES}.get(place)
    known = FAMILIES[place].registry if known is None and place in FAMILIES else known
    found = (known or {}).get(name)
    if not (isinstance(found, type) and hasattr(found, "get_params")):
        raise unregistered(name)
    return found


def unregistered(name: str) -> ModelFileError:
    return ModelFileError(
        f"The file needs {name!r}, which has no class or function in this process; register it as "
        f"before saving, with its family's register or with sklearn_ff.register({name!r}), and "
        f"load again."
    )


# To JSON ------------------------------------------------------------------------------------------


class Encoder:
    """Values to JSON; the arrays that it has met are in `arrays`."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def encode(self, value: Any, where: str) -> Any:
        """A value as JSON; ModelFileError, which says `where` it stands, if it has no such form."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"is": "float", "of": str(value)}
        if kind is list:
            return self._entries(value, where)
        if kind in (tuple, set, frozenset):
            return {"is": kind.__name__, "of": self._entries(value, where)}
        if kind in (dict, OrderedDict):
            pairs = [
                [self.encode(key, f"a key of {where}"), self.encode(one, f"{where}[{key!r}]")]
                for key, one in value.items()
            ]
            return {"is": "dict", "of": pairs}
        if kind is range:
            return {"is": "range", "of": [value.start, value.stop, value.step]}
        return self._other(value, where)

    def _entries(self, values: Any, where: str) -> list[Any]:
        return [self.encode(one, f"{where}[{index}]") for index, one in enumerate(values)]

    def _other(self, value: Any, where: str) -> Any:
        if isinstance(value, np.generic):
            return {"is": "scalar", "of": self._array(np.asarray(value), where)}
        if isinstance(value, np.ndarray):
            return self._array(np.asarray(value), where)
        if isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta:
            return {"is": "tensor", "of": self._tensor(value.detach().cpu(), where)}
        if issparse(value):
            rows = csr_matrix(value)
            parts = [self._array(one, where) for one in (rows.data, rows.indices, rows.indptr)]
            kind = "sparse_array" if isinstance(value, sparray) else "sparse_matrix"
            return {"is": kind, "of": parts, "shape": [*map(int, rows.shape)]}
        if isinstance(value, torch.device):
            return {"is": "device", "of": str(value)}
        if isinstance(value, PurePath):
            return {"is": "path", "of": str(value)}
        if isinstance(value, np.random.RandomState):
            return {"is": "random_state", "of": self._random_state(value, where)}
        if isinstance(value, functools.partial):
            parts = [value.func, [*value.args], dict(value.keywords)]
            return {"is": "partial", "of": self._entries(parts, where)}
        name = getattr(value, "__name__", None)
        if isinstance(value, type) and vars(torch.optim).get(str(name)) is value:
            return {"is": "optimizer", "of": name}
        return self._own(value, where)

    def _own(self, value: Any, where: str) -> Any:
        """A part, or what the user has registered."""
        name = name_of(value)
        if name is not None:
            return {"is": "own", "of": name}
        if has_params(value):
            cls = class_name(type(value))
            if cls is not None:
                params = value.get_params(deep=False).items()
                within = f"{where}={type(value).__name__}"
                encoded = {key: self.encode(one, f"{key} of {within}") for key, one in params}
                return {"is": "part", "of": cls, "params": encoded}
        raise ModelFileError(refusal(value, where))

    def _array(self, array: np.ndarray, where: str) -> Any:
        if array.dtype.hasobject and array.dtype.kind == "O":
            items = self._entries(array.ravel().tolist(), where)
            return {"is": "objects", "of": items, "shape": [*array.shape]}
        dtype = array.dtype.newbyteorder("=")
        array = np.array(array, dtype=dtype, order="C")
        if NUMBERS.fullmatch(dtype.str):
            return {"is": "array", "of": self._stored(array)}
        if TEXT.fullmatch(dtype.str):
            raw = array.reshape(*array.shape, 1).view(np.uint32)
        elif TIME.fullmatch(dtype.str):
            raw = array.view(np.int64)
        else:
            raise ModelFileError(
                f"{where} holds an array of dtype {array.dtype}, which files of estimators do not "
                f"have; convert it to numbers, texts, dates or bools."
            )
        return {"is": "array", "of": self._stored(raw), "dtype": dtype.str}

    def _tensor(self, tensor: torch.Tensor, where: str) -> Any:
        try:
            return self._array(tensor.resolve_conj().resolve_neg().numpy(), where)
        except TypeError:
            raise ModelFileError(
                f"{where} holds a tensor of {tensor.dtype}, which files of estimators do not have; "
                f"convert it, as with .float()."
            ) from None

    def _random_state(self, value: np.random.RandomState, where: str) -> Any:
        state: Any = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise ModelFileError(
                f"{where} is a RandomState of {state['bit_generator']}; give one of MT19937, which "
                f"RandomState(seed) makes, or an integer."
            )
        inner = state["state"]
        parts = [inner["key"], int(inner["pos"]), int(state["has_gauss"]), float(state["gauss"])]
        return self._entries(parts, where)

    def _stored(self, array: np.ndarray, prefix: str = "array") -> str:
        name = f"{prefix}.{len(self.arrays)}"
        self.arrays[name] = array
        return name


def refusal(value: Any, where: str) -> str:
    """Why a value cannot be written, and what helps."""
    part = isinstance(value, Part)
    if not (callable(value) or has_params(value)):
        return (
            f"{where} is {brief(value, data=True)}, a {type(value).__name__}, which files of "
            f"estimators do not have; use numbers, texts, lists, dicts, arrays or parts."
        )
    kind = type(value).__name__ if part or has_params(value) else ""
    name = kind or str(getattr(value, "__qualname__", type(value).__name__))
    how = f"sklearn_ff.register('name')({name.rpartition('.')[2]})"
    if not kind and not hasattr(value, "__qualname__"):  # an object, such as a scorer
        how = "sklearn_ff.register('name')(object), with the object itself"
    if part:
        how = f"@register('name') of its family, as in @goodness.register('name'), or {how}"
    return (
        f"{where} is {name!r}, which has no registered name, and a file holds names instead of "
        f"code; register {'its class' if kind else 'it'} by {how}, here and in the process that "
        f"loads the file{', or set callbacks=None' if where.startswith('callbacks') else ''}."
    )


# From JSON ----------------------------------------------------------------------------------------


class Decoder:
    """JSON to values, with the `arrays` of the file; `unused` are the names of the others."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays, self.unused = arrays, set(arrays)

    def decode(self, value: Any, depth: int = 0) -> Any:
        if depth > DEEPEST:
            raise ModelFileError(f"The file has values inside of values more than {DEEPEST} deep.")
        if isinstance(value, list):
            return [self.decode(one, depth + 1) for one in value]
        if not isinstance(value, dict):
            return value
        read = self.READERS.get(value.get("is"))
        if read is None:
            raise ModelFileError(
                f"The file has a value of the kind {brief(value.get('is'), data=True)}, which this "
                f"version does not know."
            )
        return read(self, value, depth + 1)

    def _float(self, value: Any, depth: int) -> float:
        return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[value["of"]]

    def _entries(self, value: Any, depth: int) -> list[Any]:
        if not isinstance(value["of"], list):
            raise ModelFileError(f"The file has a {value['is']} without entries.")
        return self.decode(value["of"], depth)

    def _tuple(self, value: Any, depth: int) -> tuple[Any, ...]:
        return tuple(self._entries(value, depth))

    def _set(self, value: Any, depth: int) -> set[Any]:
        return set(self._entries(value, depth))

    def _frozenset(self, value: Any, depth: int) -> frozenset[Any]:
        return frozenset(self._entries(value, depth))

    def _dict(self, value: Any, depth: int) -> dict[Any, Any]:
        return dict(self._entries(value, depth))

    def _range(self, value: Any, depth: int) -> range:
        return range(*self._entries(value, depth))

    def _scalar(self, value: Any, depth: int) -> Any:
        array = self._given(value, depth, np.ndarray)
        if array.shape:
            raise ModelFileError("The file has an array in the place of a number.")
        return array[()]

    def _given(self, value: Any, depth: int, kind: Any) -> Any:
        """The value inside, which must be of one type."""
        found = self.decode(value["of"], depth)
        if not isinstance(found, kind):
            raise ModelFileError(f"The file has a {type(found).__name__} in a {value['is']}.")
        return found

    def _array(self, value: Any, depth: int) -> np.ndarray:
        name, dtype = value["of"], value.get("dtype")
        if name not in self.arrays:
            raise ModelFileError(f"The file has no array {brief(name)}, which it refers to.")
        self.unused.discard(name)
        raw = np.array(self.arrays[name])
        if dtype is None:
            return raw
        text = TEXT.fullmatch(dtype) and raw.dtype == np.uint32 and raw.ndim > 0
        if text and 4 * raw.shape[-1] == np.dtype(dtype).itemsize and self._is_text(raw):
            return raw.view(dtype)[..., 0]
        if TIME.fullmatch(dtype) and raw.dtype == np.int64:
            return raw.view(dtype)
        raise ModelFileError(f"The file has an array of the dtype {dtype!r}, which does not fit.")

    def _is_text(self, raw: np.ndarray) -> bool:
        return raw.size == 0 or int(raw.max()) <= LAST_CHARACTER

    def _objects(self, value: Any, depth: int) -> np.ndarray:
        items, shape = self._entries(value, depth), tuple(value["shape"])
        array = np.empty(len(items), dtype=object)
        for index, item in enumerate(items):  # an assignment of all at once would look into lists
            array[index] = item
        return array.reshape(shape)

    def _tensor(self, value: Any, depth: int) -> torch.Tensor:
        return torch.from_numpy(self._given(value, depth, np.ndarray))

    def _sparse_array(self, value: Any, depth: int) -> Any:
        data, indices, indptr = self._entries(value, depth)
        rows = csr_array((data, indices, indptr), shape=tuple(value["shape"]))
        rows.check_format(full_check=True)  # its functions trust the indices
        return rows

    def _sparse_matrix(self, value: Any, depth: int) -> Any:
        return csr_matrix(self._sparse_array(value, depth))

    def _device(self, value: Any, depth: int) -> torch.device:
        return torch.device(value["of"])

    def _path(self, value: Any, depth: int) -> Path:
        return Path(value["of"])

    def _random_state(self, value: Any, depth: int) -> np.random.RandomState:
        key, place, has_gauss, gauss = self._entries(value, depth)
        sound = isinstance(key, np.ndarray) and key.dtype == np.uint32 and key.shape == (624,)
        if not (sound and type(place) is int and 0 <= place <= 624 and has_gauss in (0, 1)):
            raise ModelFileError("The file has the state of no generator.")  # numpy does not check
        generator = np.random.RandomState(0)
        generator.set_state(("MT19937", key, place, int(has_gauss), float(gauss)))
        return generator

    def _partial(self, value: Any, depth: int) -> functools.partial[Any]:
        function, args, keywords = self._entries(value, depth)
        return functools.partial(function, *args, **keywords)

    def _optimizer(self, value: Any, depth: int) -> Any:
        found = vars(torch.optim).get(value["of"])
        if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
            raise ModelFileError(f"The file needs the optimizer {brief(value['of'])} of torch.")
        return found

    def _own(self, value: Any, depth: int) -> Any:
        if value["of"] not in NAMES:
            raise unregistered(value["of"])
        found = NAMES[value["of"]]
        return copy.deepcopy(found) if isinstance(found, torch.nn.Module) else found

    def _part(self, value: Any, depth: int) -> Any:
        place, name = value["of"]
        params = {key: self.decode(one, depth) for key, one in value["params"].items()}
        return class_named(place, name)(**params)

    READERS: dict[Any, Any] = {
        "float": _float,
        "tuple": _tuple,
        "set": _set,
        "frozenset": _frozenset,
        "dict": _dict,
        "range": _range,
        "scalar": _scalar,
        "array": _array,
        "objects": _objects,
        "tensor": _tensor,
        "sparse_array": _sparse_array,
        "sparse_matrix": _sparse_matrix,
        "device": _device,
        "path": _path,
        "random_state": _random_state,
        "partial": _partial,
        "optimizer": _optimizer,
        "own": _own,
        "part": _part,
    }
