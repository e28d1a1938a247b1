"""A fork of a process that has learned with several threads learns and predicts too."""

import os
import subprocess
import sys
from functools import cache

import pytest

if not hasattr(os, "fork"):
    pytest.skip("this system has no fork", allow_module_level=True)

BEGIN = """
import os, warnings
import numpy as np, torch
torch.set_num_threads(2)
from sklearn_ff import FFClassifier, FFTransformer
rng = np.random.default_rng(0)
X = rng.normal(size=(600, 300)); y = (X[:, 0] > 0).astype(int)
def new(**given): return FFClassifier(400, max_iter=1, random_state=0, device="cpu", **given)
def wait(child):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            child(); code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
"""

# What a process has done before it forks, and the cases that then follow one another in it.
FIRST = {
    "learned": "new().fit(X, y)",
    "used torch": "torch.randn(2000, 2000) @ torch.randn(2000, 2000)",
    "done nothing": "",
}
CASES = {
    "learned": {
        "fit": "wait(lambda: new().fit(X, y))",
        "predict": "clf = new().fit(X, y); wait(lambda: clf.predict(X))",
        "go on": "c = new().partial_fit(X, y, [0, 1]); wait(lambda: c.partial_fit(X, y))",
        "a fork in a fork": "wait(lambda: wait(lambda: new().fit(X, y)))",
        "no change in the parent": "before = new(n_threads=2).fit(X, y).loss_; "
        "wait(lambda: new().fit(X, y)); assert torch.get_num_threads() == 2; "
        "assert new(n_threads=2).fit(X, y).loss_ == before",
        "joblib": """
from joblib import parallel_config
from sklearn.model_selection import cross_val_score
with parallel_config("multiprocessing", n_jobs=2):
    scores = cross_val_score(new(), X, y, cv=2, error_score="raise")
assert np.array_equal(scores, cross_val_score(new(n_threads=1), X, y, cv=2))
""",
        "workers of a pool": """
import multiprocessing
def work(seed): return new().set_params(random_state=seed).fit(X, y).loss_
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert np.isfinite(pool.map(work, range(3))).all()
""",
        "threads that a fork lacks": """
def child():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        new(n_threads=2).fit(X, y)
    assert any("n_threads=2 is not used" in str(w.message) for w in told)
wait(child)
""",
    },
    "used torch": {
        "transform": "t = FFTransformer(400, max_iter=1, device='cpu'); "
        "wait(lambda: t.fit(X).transform(X))",
    },
    "done nothing": {"fit": "wait(lambda: new().fit(X, y))"},
}


@cache
def ended(first):
    """What a process prints, the cases that it has come through, and its errors."""
    program = [BEGIN, FIRST[first]]
    for name, code in CASES[first].items():
        program += [code, f"print({name!r}, flush=True)"]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    command = [sys.executable, "-W", "ignore", "-c", "\n".join(program)]
    given = {"env": environment, "timeout": 240, "capture_output": True}
    try:
        ran = subprocess.run(command, **given)
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(), "it hangs"
    return ran.stdout.decode(), ran.stderr.decode()


@pytest.mark.slow
@pytest.mark.fault("H1")
@pytest.mark.parametrize("first, case", [(first, case) for first in CASES for case in CASES[first]])
def test_forks_do_not_hang(first, case):
    printed, errors = ended(first)
    assert case in printed.splitlines(), errors
