"""Fits in processes that are killed at random moments, and go on in others to the same bits.

python tests/killed.py --kills 50 --seed 0
"""

import argparse
import os
import random
import signal
import tempfile
import time
import warnings
from pathlib import Path

import torch
from sklearn.datasets import load_iris
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from sklearn_ff import FFClassifier, FFTransformer, register, save
from sklearn_ff._checkpoints import state_in
from sklearn_ff.callbacks import Checkpoint
from sklearn_ff.layers import Module
from sklearn_ff.negatives import Permuted
from sklearn_ff.schedules import Greedy

X, y = load_iris(return_X_y=True)
X, y = X[::2], y[::2]
COMMON = {"max_iter": 5, "batch_size": 16, "random_state": 0}


@register("killed: block")
def block(shape):
    return nn.Sequential(nn.Linear(shape[0], 6), nn.BatchNorm1d(6), nn.Dropout(0.2))


def cases():
    """Estimators whose training depends on all that a checkpoint holds."""
    return {
        "greedy": FFClassifier(
            [6, 5],
            schedule=Greedy("by_epoch"),
            negatives="hard",
            objective="logistic",
            dropout=0.2,
            **COMMON,
        ),
        "stopped early": FFClassifier(
            [6, 5], schedule="greedy", early_stopping=True, n_iter_no_change=2, tol=0.05, **COMMON
        ),
        "global draws": FFClassifier(
            layers=[Module(block), Module(block)],
            goodness="readout",
            optimizer=["sgd", "adamw"],
            **COMMON,
        ),
        "flat loss": FFClassifier(
            6, learning_rate="constant", tol=0.02, n_iter_no_change=2, **COMMON
        ),
        "once": FFClassifier(6, negatives=Permuted(redraw="once"), prediction="head", **COMMON),
        "rates": FFClassifier(
            6,
            learning_rate="constant",
            tol=None,
            callbacks=[LRScheduler("StepLR", step_size=2, gamma=0.5)],
            **COMMON,
        ),
        "stages": FFClassifier(
            [6, 5],
            schedule=[(0, 2), ("all", 2), ("head", 3)],
            prediction="head",
            batch_size=16,
            random_state=0,
        ),
        "transformer": FFTransformer([6, 5], peer_normalization=0.03, **COMMON),
    }


def fitted(name, *callbacks):
    """The bytes of the file of a fitted estimator."""
    model = cases()[name]
    model.set_params(callbacks=[*(model.callbacks or ()), *callbacks])
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        save(model.fit(X, y).set_params(callbacks=None), Path(folder, "model"))
        return Path(folder, "model").read_bytes()


class Slow(Callback):
    """A batch takes some time, in which a process can be killed."""

    def on_batch_end(self, net, **kwargs):
        time.sleep(0.002)


def child(name, folder, result):
    """Fit in another process, and write the file of the estimator; return the process's number."""
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        result.write_bytes(fitted(name, Checkpoint(folder), Slow()))
        status = 0
    finally:
        os._exit(status)


def run(name, kills, randomly, longest):
    """Kill a fit so many times and let it end; the number of kills that have met it."""
    expected, met = fitted(name), 0
    with tempfile.TemporaryDirectory() as place:
        folder, result = Path(place, "checkpoints"), Path(place, "result")
        for _ in range(kills):
            number = child(name, folder, result)
            time.sleep(randomly.uniform(0, longest))
            os.kill(number, signal.SIGKILL)
            _, status = os.waitpid(number, 0)
            met += os.WIFSIGNALED(status)
            for path in folder.glob("*.safetensors"):
                state_in(path)  # whole
        _, status = os.waitpid(child(name, folder, result), 0)
        assert status == 0, name
        assert result.read_bytes() == expected, f"{name}: other bits after {met} kills"
        assert not [*folder.glob(".*")], "temporary files are left"
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", nargs="*", default=[*cases()])
    parser.add_argument("--longest", type=float, default=0.4, help="seconds until a kill, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    randomly, total = random.Random(options.seed), 0
    for name in options.cases:
        met = run(name, -(-options.kills // len(options.cases)), randomly, options.longest)
        print(f"{name}: {met} kills met the fit, and it ended with the same bits", flush=True)
        total += met
    print(f"{total} kills")


if __name__ == "__main__":
    main()
