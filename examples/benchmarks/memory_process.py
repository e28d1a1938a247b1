"""Resident memory of a whole process that trains, against depth: Forward-Forward and backprop.

    python examples/benchmarks/memory_process.py --output FILE

1,000 units per layer, batches of 4,096 rows, three epochs of one batch, each network in its own
process, with the memory allocator as it is. The figure is the peak of resident memory from before
the network exists to the end of the training, or of the whole `fit`, minus four times the weights
(weights, gradient, two moments of Adam). It varies with the layout of the heap, so there are turns.
Lines that the output file holds are not measured again.
"""

import argparse
import json
import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import torch
from memory_depth import CLASSES, FEATURES, ROWS, UNITS, forget_peak, rows, status
from results import emit, machine
from skorch.callbacks import Callback
from torch import nn

from sklearn_ff import FFClassifier

DEPTHS, METHODS, EPOCHS = [2, 8, 32, 64], ["forward_forward", "backprop"], 3


def main():
    args = arguments()
    if args.method:
        print(json.dumps(measured(args.method, args.depth)))
        return
    for turn, depth, method in product(range(args.turns), args.depths, METHODS):
        what = {"benchmark": "memory_process", "method": method, "depth": depth}
        what |= {"units": UNITS, "batch_size": ROWS, "threads": 1, "turn": turn}
        if what not in known(args.output, what):
            emit(what | in_own_process(method, depth) | machine(), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS)
    parser.add_argument("--turns", type=int, default=3, help="whose peaks differ by the heap")
    parser.add_argument("--output", help="file to append the results to")
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--depth", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def known(output, keys):
    """What the lines of a file have measured."""
    if not output or not Path(output).exists():
        return []
    lines = map(json.loads, Path(output).read_text(encoding="utf-8").splitlines())
    return [{key: line.get(key) for key in keys} for line in lines]


def in_own_process(method, depth):
    command = [sys.executable, __file__, "--method", method, "--depth", str(depth)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(method, depth):
    """Bytes: weights, and the peaks of the training and of the whole fit."""
    torch.set_num_threads(1)
    X, y = rows()
    forget_peak()
    train, n_weights = {"forward_forward": forward_forward, "backprop": backprop}[method](
        depth, X, y
    )
    whole = 1024 * status("VmHWM")
    return {"weights_bytes": 4 * n_weights, "peak_training": train, "peak_fit": whole}


class Peak(Callback):
    """Peak of resident memory when training ends."""

    found = []  # of the class: the estimator trains with a copy of this callback

    def on_train_end(self, net, **kwargs):
        self.found.append(1024 * status("VmHWM"))


def forward_forward(depth, X, y):
    params = {"negatives": "hard", "precision": "float32", "scaling": "shared", "random_state": 0}
    clf = FFClassifier(
        [UNITS] * depth, batch_size=ROWS, max_iter=EPOCHS, callbacks=[Peak()], **params
    ).fit(X, y)
    return Peak.found[-1], sum(p.numel() for p in clf.net_.module_.parameters())


def backprop(depth, X, y):
    widths = [FEATURES] + [UNITS] * depth
    layers = [layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.ReLU())]
    net = nn.Sequential(*layers, nn.Linear(UNITS, CLASSES))
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    x, y = torch.from_numpy(X), torch.from_numpy(np.asarray(y))
    for _ in range(EPOCHS):
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return 1024 * status("VmHWM"), sum(p.numel() for p in net.parameters())


if __name__ == "__main__":
    main()
