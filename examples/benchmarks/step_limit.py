"""Time of a training step, divided by that of its matrix products on this machine.

    python examples/benchmarks/step_limit.py --output examples/benchmarks/results/step_limit.jsonl

The floor counts the fewest multiply-adds of the default method (one negative label, drawn from the
head's belief) and times products of exactly these shapes and this precision:

    layer 1     W·base(x) and its weight gradient, once per row, for all labels
    layer l     the positive, the negative and the neutral candidate forward; two of them backward
    head        its logits, and its weight gradient

An epoch of `fit` and the floor run alternately; every ratio is of one such pair, and the median is
reported. The step is timed inside `fit`, by the epoch, so its overhead counts.
"""

import argparse
import time
from itertools import pairwise

import numpy as np
import torch
from results import emit, machine
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier

N_FEATURES, N_CLASSES = 784, 10
SHAPES = [(500, 500), (2000, 2000, 2000, 2000)]
CASES = [(128, "float32"), (1024, "float32"), (128, "bfloat16"), (1024, "bfloat16")]


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    for units in SHAPES:
        for batch, precision in CASES:
            if precision in args.precisions:
                emit(measure(args, units, batch, precision), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="of steps, for every case")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def measure(args, units, batch, precision):
    needed = products(units, batch)
    floor = Floor(needed, getattr(torch, precision))
    step = floor()  # first estimate of the time of a step
    pairs, steps = 8, max(2, int(args.seconds / 8 / (2.5 * step)))
    taken = Turns(floor, steps, pairs)
    rng = np.random.default_rng(0)
    X = rng.random((steps * batch, N_FEATURES), dtype=np.float32)
    y = rng.integers(N_CLASSES, size=len(X))
    params = {"negatives": "hard", "scaling": "shared"}
    FFClassifier(
        units,
        batch_size=batch,
        precision=precision,
        max_iter=pairs,
        callbacks=[taken],
        random_state=0,
        **params,
    ).fit(X, y)
    ratios = np.array(Turns.seconds[1:]) / steps / np.array(Turns.floors[1:])
    return {
        "benchmark": "step_limit",
        "units": list(units),
        "batch_size": batch,
        "precision": precision,
        "threads": args.threads,
        "steps": steps,
        "multiply_adds": sum(m * k * n for m, k, n in needed),
        "seconds_step": float(np.median(Turns.seconds[1:]) / steps),
        "seconds_floor": float(np.median(Turns.floors[1:])),
        "ratio": float(np.median(ratios)),
        "ratios": ratios.round(3).tolist(),
        **machine(),
    }


def products(units, batch, n_features=N_FEATURES, n_classes=N_CLASSES):
    """(rows, inner, columns) of every matrix product that a step needs."""
    needed = [(batch, n_features, units[0]), (units[0], batch, n_features)]
    for inputs, outputs in pairwise(units):
        needed += [(batch, inputs, outputs)]  # neutral: the head's belief comes first
        needed += [(2 * batch, inputs, outputs), (outputs, 2 * batch, inputs)]
    read = sum(units)
    return [*needed, (batch, read, n_classes), (n_classes, batch, read)]


class Floor:
    """Seconds of the products alone, on operands with the memory layout of a step."""

    def __init__(self, needed, dtype):
        self.operands = [(torch.rand(m, k, dtype=dtype), torch.rand(k, n)) for m, k, n in needed]
        self.operands = [(a, b.to(dtype)) for a, b in self.operands]

    def __call__(self, repeats=3):
        for a, b in self.operands:
            a @ b
        start = time.perf_counter()
        for _ in range(repeats):
            for a, b in self.operands:
                a @ b
        return (time.perf_counter() - start) / repeats


class Turns(Callback):
    """Times every epoch, and the floor after it."""

    seconds, floors = [], []  # of the class: the estimator trains with a copy of this callback

    def __init__(self, floor, steps, pairs):
        self.floor, self.steps, self.pairs = floor, steps, pairs

    def on_train_begin(self, net, **kwargs):
        self.seconds.clear()
        self.floors.clear()

    def on_epoch_begin(self, net, **kwargs):
        self.start_ = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        self.seconds.append(time.perf_counter() - self.start_)
        self.floors.append(self.floor(max(3, self.steps // 4)))


if __name__ == "__main__":
    main()
