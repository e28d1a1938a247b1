"""A fork of a process that has learned with several threads learns and predicts too."""

import os
import subprocess
import sys
import textwrap

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

CASES = {
    "fit in a fork": "new().fit(X, y); wait(lambda: new().fit(X, y))",
    "predict in a fork": "clf = new().fit(X, y); wait(lambda: clf.predict(X))",
    "go on in a fork": "c = new().partial_fit(X, y, [0, 1]); wait(lambda: c.partial_fit(X, y))",
    "a fork in a fork": "new().fit(X, y); wait(lambda: wait(lambda: new().fit(X, y)))",
    "torch used by others": "(torch.randn(2000, 2000) @ torch.randn(2000, 2000)); "
    "wait(lambda: FFTransformer(400, max_iter=1, device='cpu').fit(X).transform(X))",
    "torch never used": "wait(lambda: new().fit(X, y))",
    "no change in the parent": "new().fit(X, y); before = new(n_threads=2).fit(X, y).loss_; "
    "wait(lambda: new().fit(X, y)); assert torch.get_num_threads() == 2; "
    "assert new(n_threads=2).fit(X, y).loss_ == before",
    "joblib": """
from joblib import parallel_config
from sklearn.model_selection import cross_val_score
new().fit(X, y)
with parallel_config("multiprocessing", n_jobs=2):
    scores = cross_val_score(new(), X, y, cv=2, error_score="raise")
assert np.array_equal(scores, cross_val_score(new(n_threads=1), X, y, cv=2))
""",
    "workers of a pool": """
import multiprocessing
new().fit(X, y)
def work(seed): return new().set_params(random_state=seed).fit(X, y).loss_
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert np.isfinite(pool.map(work, range(3))).all()
""",
    "threads that a fork lacks": """
new().fit(X, y)
def child():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        new(n_threads=2).fit(X, y)
    assert any("n_threads=2 is not used" in str(w.message) for w in told)
wait(child)
""",
}


@pytest.mark.slow
@pytest.mark.fault("H1")
@pytest.mark.parametrize("case", CASES)
def test_forks_do_not_hang(case):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    program = textwrap.dedent(BEGIN) + CASES[case]
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment,
        timeout=240,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
