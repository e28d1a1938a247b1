"""Backpropagation as a network of one block, beside a plain loop in torch: error and seconds.

    python examples/benchmarks/backprop_block.py --folder FOLDER --output FILE

Both have the layers 784-500-500-10 on MNIST, the same scale of columns, distribution of first
weights, batches of 128, Adam at 0.001 that falls linearly to zero, epochs and threads; single
precision. They run alternately, and the first one changes. Pair i has the seed i; pairs that the
output file holds are not run again. The error is that of the test rows after the last epoch.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from results import emit, machine
from torch import nn

from sklearn_ff.datasets import load_images
from sklearn_ff.recipes import backpropagation

UNITS, BATCH, RATE = (500, 500), 128, 1e-3


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    X, y, X_test, y_test = load_images("mnist", args.folder)
    X, X_test = (np.ascontiguousarray(part, dtype=np.float32) for part in (X, X_test))
    X, y = X[: args.rows], y[: args.rows]
    for seed in range(args.pairs):
        if what(args, seed) not in known(args.output):
            emit(what(args, seed) | pair(args, seed, X, y, X_test, y_test) | machine(), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def what(args, seed):
    run = {"rows": args.rows, "epochs": args.epochs, "threads": args.threads, "seed": seed}
    return {"benchmark": "backprop_block"} | run


def known(output):
    """What the lines of a file have measured."""
    if not output or not Path(output).exists():
        return []
    lines = map(json.loads, Path(output).read_text(encoding="utf-8").splitlines())
    keys = ("benchmark", "rows", "epochs", "threads", "seed")
    return [{key: line[key] for key in keys} for line in lines]


def pair(args, seed, X, y, X_test, y_test):
    """Errors and seconds of both; the one that goes first alternates with the seed."""
    models = {"block": block(args.epochs, seed), "loop": Loop(args.epochs, seed)}
    found = {}
    for name in ["block", "loop"] if seed % 2 == 0 else ["loop", "block"]:
        start = time.perf_counter()
        models[name].fit(X, y)
        found[f"seconds_{name}"] = time.perf_counter() - start
        found[f"error_{name}"] = float(np.mean(models[name].predict(X_test) != y_test))
    return found


def block(epochs, seed):
    return backpropagation(UNITS, max_iter=epochs, precision="float32", random_state=seed)


class Loop:
    """The same network and training, written in plain torch."""

    def __init__(self, epochs, seed):
        self.epochs, self.generator = epochs, torch.Generator().manual_seed(seed)

    def fit(self, X, y):
        self.mean, self.deviation = X.mean(0), np.sqrt(X.var(0, dtype=np.float64).mean())
        x, y = self.scaled(X), torch.from_numpy(y.astype(np.int64))
        self.net = self.first_network(x.shape[1])
        optimizer = torch.optim.Adam(self.net.parameters(), RATE, fused=True)
        n_steps = self.epochs * -(-len(x) // BATCH)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / n_steps)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x), generator=self.generator).split(BATCH):
                optimizer.zero_grad()
                nn.functional.cross_entropy(self.net(x[rows]), y[rows]).backward()
                optimizer.step()
                schedule.step()
        return self

    def scaled(self, X):
        return torch.from_numpy((X - self.mean) / np.float32(self.deviation))

    def first_network(self, n_inputs):
        """Normal weights of variance 1 / inputs; biases and the last layer zero."""
        first, second = UNITS
        last = nn.Linear(second, 10)
        net = nn.Sequential(
            nn.Linear(n_inputs, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), last
        )
        for p in net.parameters():
            nn.init.zeros_(p)
            if p.ndim == 2 and p is not last.weight:
                nn.init.normal_(p, std=p.shape[1] ** -0.5, generator=self.generator)
        return net

    @torch.no_grad()
    def predict(self, X):
        return self.net(self.scaled(X)).argmax(1).numpy()


if __name__ == "__main__":
    main()
