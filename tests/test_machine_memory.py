"""A lack of memory is reported, and does not change the estimator."""

import platform
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier, FFTransformer, _machine
from sklearn_ff.exceptions import FFMemoryError

X, Y = load_iris(return_X_y=True)
TORCH = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 8000000000 bytes. Error code 12 (Cannot allocate memory)"
)
ERRORS = {
    "torch": (RuntimeError(TORCH), "8000000000 bytes"),
    "torch, on Windows": (RuntimeError("not enough memory: you tried to allocate 8 bytes."), "8 b"),
    "torch, on a GPU": (
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.18 "
            "GiB of which 1.50 GiB is free."
        ),
        "2.00 GiB more could not be allocated of the 79.18",
    ),
    "C++": (RuntimeError("std::bad_alloc"), "a request could not be"),
    "numpy": (MemoryError("Unable to allocate 7.45 GiB for an array"), "7.45 GiB"),
    "Python": (MemoryError(), "a request could not be"),
}


class Fails:
    """An activation that raises an error, if it has one, as where memory runs out."""

    error = None

    def __call__(self, a):
        if self.error is not None:
            raise self.error
        return a.relu()


@pytest.mark.fault("H4", "H5")
@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
@pytest.mark.parametrize("call", ["fit", "partial_fit", "use", "score_samples"])
def test_memory_that_runs_out_is_reported_with_sizes_and_a_remedy(name, cls, call, monkeypatch):
    if call == "score_samples" and cls is FFClassifier:
        call = "predict"
    use = "predict_proba" if cls is FFClassifier else "transform"
    error, size = ERRORS[name]
    est = cls(4, activation=Fails(), max_iter=2, batch_size=50, random_state=0).fit(X, Y)
    expected = getattr(est, use)(X)
    monkeypatch.setattr(Fails, "error", error)
    with pytest.raises(FFMemoryError, match=f"{size}.* GiB .*batch_size, smaller layers") as caught:
        getattr(est, use if call == "use" else call)(X, *[Y] * ("fit" in call))
    assert caught.value.__cause__ is error
    monkeypatch.undo()
    np.testing.assert_array_equal(getattr(est, use)(X), expected)


def test_other_errors_stay_what_they_are(monkeypatch):
    monkeypatch.setattr(Fails, "error", RuntimeError("no such thing"))
    with pytest.raises(RuntimeError, match=r"^no such thing$"):
        FFClassifier(4, activation=Fails()).fit(X, Y)


def test_the_limit_of_a_container_is_kept(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(_machine, "CONTROL_GROUP", (limit,))
    clf = FFClassifier(20_000, max_iter=1)
    limit.write_text("1000000\n")
    with pytest.raises(FFMemoryError, match=r"needs about .* more than the 0.0 GiB"):
        clf.fit(X, Y)
    for unlimited in ("max\n", "9223372036854771712\n"):
        limit.write_text(unlimited)
        clf.fit(X[::10], Y[::10])


SCRIPT = """
import resource, sys
import numpy as np
from sklearn_ff import FFClassifier
from sklearn_ff.exceptions import FFMemoryError

def leave(megabytes):
    pages = int(open("/proc/self/statm").read().split()[0])
    used = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, resource.RLIM_INFINITY))

rng = np.random.default_rng(0)
X, y = rng.normal(size=(200, 20)), np.arange(200) % 100
clf = FFClassifier(8, max_iter=1, random_state=0, device="cpu").fit(X, y)
expected, large = clf.predict(X), FFClassifier(300_000, max_iter=1, device="cpu")
many = np.zeros((400_000, 20), np.float32)
leave(60)
for call in ({calls}):
    try:
        call()
    except FFMemoryError as error:
        print(type(error.__cause__).__name__, error)
    else:
        sys.exit("nothing was raised")
    assert (clf.predict(X) == expected).all()
clf.fit(X, y)
"""


@pytest.mark.slow
@pytest.mark.fault("H4")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
@pytest.mark.filterwarnings("ignore")
def test_a_limit_of_the_address_space_is_reported_in_fit_and_predictions():
    calls = "lambda: clf.predict_proba(many), lambda: large.fit(X, y)"
    script = textwrap.dedent(SCRIPT).replace("{calls}", calls)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Memory ran out") == 2 and "RuntimeError" in done.stdout


ROOM = """
import resource
import torch
from sklearn_ff._machine import keep_freed_room

def cleared():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

torch.use_deterministic_algorithms(True)  # fills tensors that hold no values yet
before = cleared()
keep_freed_room()
print(cleared() - before)
for turn in range(5):
    before = cleared()
    tensors = [torch.ones(2**20) for _ in range(6)]
    del tensors
print(cleared() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries keep what they like")
def test_room_of_freed_tensors_is_kept_for_the_next_ones():
    out = subprocess.run([sys.executable, "-c", ROOM], capture_output=True, text=True, check=True)
    pages = list(map(int, out.stdout.split()))
    assert max(pages) < 6 * 1024 / 10, "pages that the system has cleared anew"
