"""Threads and processes: how many are used, and what is left of them."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier

X, Y = load_iris(return_X_y=True)


class Counts:
    """An activation that notes how many threads torch uses where it is called."""

    def __init__(self):
        self.seen = set()

    def __call__(self, a):
        self.seen.add(torch.get_num_threads())
        return a.relu()

    def __deepcopy__(self, memo):
        return self  # what a fit notes reaches the caller


def threads_in_a_fit(n_threads=None):
    counts = Counts()
    FFClassifier(8, activation=counts, max_iter=2, n_threads=n_threads, random_state=0).fit(X, Y)
    return counts.seen


def threads_of_a_new_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]


@pytest.mark.fault("H2")
def test_processes_of_a_search_share_the_processors():
    """joblib's default backend allots them; torch keeps to that."""
    with parallel_config("loky", n_jobs=2):
        seen = set().union(*Parallel()(delayed(threads_in_a_fit)() for _ in range(2)))
    assert max(seen) <= max(1, (os.cpu_count() or 1) // 2)


@pytest.mark.fault("H3")
def test_fits_in_threads_have_their_own_number_of_threads():
    before = torch.get_num_threads(), threads_of_a_new_thread()
    given = [1, 2] * 4
    seen = Parallel(2, "threading")(delayed(threads_in_a_fit)(n) for n in given)
    assert seen == [{n} for n in given]
    assert (torch.get_num_threads(), threads_of_a_new_thread()) == before


class CountsInTraining(Callback):
    def __init__(self):
        self.seen = set()

    def on_batch_end(self, net, **kwargs):
        self.seen.add(torch.get_num_threads())


@pytest.mark.parametrize("units, n_threads, expected", [(8, None, 1), (8, 2, 2), (4096, None, 2)])
def test_small_networks_learn_in_one_thread(units, n_threads, expected):
    before, counts = torch.get_num_threads(), CountsInTraining()
    torch.set_num_threads(2)
    try:
        params = {"max_iter": 1, "batch_size": 64, "callbacks": [counts], "n_threads": n_threads}
        FFClassifier(units, **params).fit(X, Y)
        assert (counts.seen, torch.get_num_threads()) == ({expected}, 2)
    finally:
        torch.set_num_threads(before)


LIFE = """
import gc, os, threading
import numpy as np
from sklearn.datasets import load_iris
from sklearn_ff import FFClassifier

X, y = load_iris(return_X_y=True)
def resident(): return int(open("/proc/self/statm").read().split()[1])
def files(): return len(os.listdir("/proc/self/fd"))

for cycle in range(14):
    clf = FFClassifier(32, max_iter=2, early_stopping=True, random_state=cycle).fit(X, y)
    clf.predict_proba(X)
    gc.collect()
    if cycle == 4:
        before = resident(), files(), threading.active_count()
after = resident(), files(), threading.active_count()
if not (after[0] < 1.05 * before[0] and after[1:] == before[1:]):
    raise SystemExit(f"resident pages, open files, threads: {before} became {after}")
"""


@pytest.mark.fault("H8", "H9")
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="asks Linux what a process holds")
def test_many_fits_without_a_home_or_an_output_leave_nothing_behind(tmp_path):
    tmp_path.chmod(0o500)
    places = {name: str(tmp_path / "none") for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    program = f"import os\nos.close(0), os.close(1)\n{textwrap.dedent(LIFE)}"
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | places, stderr=subprocess.PIPE, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.fault("H7")
def test_importing_the_package_imports_nothing_that_it_can_do_without():
    program = "import sys, torch, skorch; before = {*sys.modules}; import sklearn_ff; "
    program += "print(*({*sys.modules} - before))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert "sklearn_ff" in loaded
    assert loaded & {"matplotlib", "pandas", "polars", "torchvision", "PIL", "IPython"} == set()
