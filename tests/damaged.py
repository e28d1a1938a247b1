"""Files of estimators that are damaged or made to do harm: `load` raises its own error, or loads.

python tests/damaged.py --cases 2000 --seed 0
"""

import argparse
import json
import resource
import tempfile
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from safetensors.numpy import save as tensors_to_bytes
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier, FFTransformer, ModelFileError, load, save
from sklearn_ff._files import ENTRY, checksum, read

X, y = load_iris(return_X_y=True)
X, y = X[::5], y[::5]
REFUSED, EQUAL, OTHER = "refused", "equal", "another model"
ROUND = 50
# Bytes that a file of some kilobytes may let a process take, beside what it has at the beginning.
ROOM = 2**30


@cache
def models():
    """Fitted estimators by the bytes of their files."""
    given = {
        "hybrid": FFClassifier([5, 4], prediction="hybrid", random_state=0).partial_fit(
            X, y.astype(str), classes=["0", "1", "2"]
        ),
        "plain": FFClassifier(4, max_iter=2, random_state=0).fit(X, y),
        "transformer": FFTransformer(4, max_iter=2, random_state=0).fit(X),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        found = []
        for model in given.values():
            save(model, path)
            found.append((path.read_bytes(), *read(path), model))
        return found


# Damage to bytes ----------------------------------------------------------------------------------


@st.composite
def damaged_bytes(draw):
    """A file with some bytes changed, lost or added, and the model that it was of."""
    data, _, _, model = draw(st.sampled_from(models()))
    at = draw(st.one_of(st.integers(0, 80), st.integers(0, len(data) - 1)))
    kind = draw(st.sampled_from(["flip", "cut", "add", "write", "length", "other"]))
    if kind == "flip":
        data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
    elif kind == "cut":
        data = data[:at] + data[at + draw(st.integers(1, len(data))) :]
    elif kind == "add":
        data = data[:at] + draw(st.binary(min_size=1, max_size=40)) + data[at:]
    elif kind == "write":
        some = draw(st.binary(min_size=1, max_size=40))
        data = data[:at] + some + data[at + len(some) :]
    elif kind == "length":
        size = draw(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2 * len(data))))
        data = size.to_bytes(8, "little") + data[8:]
    else:
        data = draw(st.one_of(st.binary(max_size=200), st.just(data + data), st.just(b"")))
    return data, model


# Harm in a sound form -----------------------------------------------------------------------------

NAMES = ["os.system", "builtins.eval", "goodness.MeanSquare", "layers.Block", "FFClassifier", ""]
KINDS = ["array", "own", "part", "partial", "dict", "tuple", "objects", "random_state", "range"]
KINDS += ["sparse_array", "optimizer", "device", "float", "scalar", "set", "tensor", "path", "x"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 7, 2**31, 2**63, 10**30, 1e308, -0.5, "", "cpu", "cuda:9", "meta"]),
    st.sampled_from(["array.0", "weights.layers.0.affine.weight", "float16", "<U1000000", *NAMES]),
)
TAGGED = st.builds(
    lambda kind, of, more: {"is": kind, "of": of, **more},
    st.sampled_from(KINDS),
    st.one_of(LEAVES, st.lists(LEAVES, max_size=4), st.lists(st.lists(LEAVES, max_size=3))),
    st.sampled_from([{}, {"dtype": "<U9"}, {"dtype": "|O"}, {"shape": [10**12]}, {"params": {}}]),
)
DEEP = json.loads("[" * 400 + "]" * 400)
VALUES = st.one_of(LEAVES, TAGGED, st.lists(LEAVES, max_size=3), st.just(DEEP))


def places(value, at=()):
    """Paths to everything in JSON."""
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, one in inner:
        yield (*at, key)
        yield from places(one, (*at, key))


def changed_at(value, path, change):
    """JSON with another value, or none, at a place."""
    key, *rest = path
    new = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        new[key] = changed_at(value[key], rest, change)
    elif change is None:
        del new[key]
    else:
        new[key] = change[0]
    return new


def other_arrays(draw, arrays):
    """The arrays with one lost, added, or of another shape, type or contents."""
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    kinds = ["lose", "add", "flat", "more", "type", "integers", "huge", "nan", "rename"]
    kind = draw(st.sampled_from(kinds))
    new = {key: value for key, value in arrays.items() if key != name}
    if kind == "lose":
        return new
    if kind == "add":
        return {**arrays, draw(st.sampled_from(["array.999", "weights.x", "y"])): array}
    if kind == "rename":
        return {**new, draw(st.sampled_from(sorted(arrays))): array}
    if kind == "more":
        array = np.concatenate([array.ravel(), array.ravel()])
    elif kind == "flat":
        array = array.reshape(-1, 1)
    elif kind == "type":
        array = array.astype(draw(st.sampled_from(["f2", "f4", "f8", "i8", "u1", "?"])))
    elif kind == "integers":
        array = np.full(array.shape, draw(st.sampled_from([-1, 10**9, 2**62])))
    else:
        array = np.full(array.shape, 3e38 if kind == "huge" else np.nan, array.dtype)
    return {**new, name: array}


@st.composite
def harmful(draw):
    """A file of sound form and checksum, whose contents do not fit together."""
    _, content, arrays, model = draw(st.sampled_from(models()))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(draw(st.integers(0, 2))):
            arrays = other_arrays(draw, arrays)
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([*places(content)]))
        content = changed_at(content, path, draw(st.one_of(st.none(), st.tuples(VALUES))))
    text = json.dumps(content)
    return tensors_to_bytes(arrays, {ENTRY: checksum(text, arrays) + text}), model


# What must hold -----------------------------------------------------------------------------------


def answers(model):
    if isinstance(model, FFClassifier):
        return [model.predict_proba(X), model.predict(X), model.transform(X)]
    return [model.transform(X), model.score_samples(X)]


def ended(case):
    """How the loading of a file ended: in the package's own error, or in an estimator that either
    answers or says in words why it does not."""
    data, model = case
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, "model")
        path.write_bytes(data)
        try:
            again = load(path)
        except ModelFileError as error:
            assert str(path) in str(error)
            return REFUSED
        try:
            found = answers(again)
        except ValueError:  # a parameter that is looked at when predicting, NotFittedError
            return OTHER
    expected = answers(model) if type(again) is type(model) else []
    equal = len(found) == len(expected) and all(map(np.array_equal, found, expected))
    return EQUAL if equal else OTHER


def counted(strategy, n_cases, first_seed=0, property=ended):
    """How the cases of a strategy end."""
    outcomes = Counter()

    @settings(
        max_examples=min(ROUND, n_cases),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
        phases=[Phase.generate],
    )
    @given(strategy)
    def every(case):
        outcomes.update([property(case)])

    for start in range(first_seed, first_seed + -(-n_cases // ROUND)):
        seed(start)(every)()
    return outcomes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    answers(models()[0][3])
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    for name, strategy in (("bytes", damaged_bytes()), ("contents", harmful())):
        print(name, dict(counted(strategy, options.cases // 2, options.seed)), flush=True)


if __name__ == "__main__":
    main()
