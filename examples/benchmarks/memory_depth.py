"""Peak memory of a training step against depth: Forward-Forward, backprop, checkpointed backprop.

    python examples/benchmarks/memory_depth.py --output FILE

1,000 units per layer, batches of 4,096 rows, each network in its own process. The figure is the
peak of resident memory during a step minus the memory before it, when data, weights and optimizer
state exist. From backprop's peak one gradient of all weights is subtracted too; from ours nothing,
since a gradient is freed after its layer's update.
"""

import argparse
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from results import emit, machine
from skorch.callbacks import Callback
from torch import nn
from torch.utils.checkpoint import checkpoint_sequential

from sklearn_ff import FFClassifier

ROWS, FEATURES, UNITS, CLASSES = 4096, 784, 1000, 10
DEPTHS = [2, 4, 8, 16, 32, 64]
METHODS = ["forward_forward", "readout", "backprop", "checkpointed"]


def main():
    args = arguments()
    if args.method:
        print(json.dumps(PEAKS.get(args.method, forward_forward)(args.depth, args.method)))
        return
    for depth in args.depths:
        for method in METHODS:
            emit(describe(depth, method) | in_own_process(depth, method), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS)
    parser.add_argument("--output", help="file to append the results to")
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--depth", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def describe(depth, method):
    what = {"benchmark": "memory_depth", "method": method, "depth": depth, "units": UNITS}
    return what | {"batch_size": ROWS} | machine()


def in_own_process(depth, method):
    return {"peak_bytes": alone(__file__, "--method", method, "--depth", depth)}


def alone(script, *flags):
    """The last line that a script prints in its own process."""
    # Large blocks are returned to the system as soon as they are freed, so that the peak is exact.
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, script, *map(str, flags)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def rows():
    rng = np.random.default_rng(0)
    X = rng.random((ROWS, FEATURES), dtype=np.float32)
    return X, np.arange(ROWS) % CLASSES


def resident():
    return 1024 * status("VmRSS")


def status(name):
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def forget_peak():
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


class Peak(Callback):
    """Peak of every batch minus the memory before it; the last one counts."""

    found = []  # of the class: the estimator trains with a copy of this callback

    def on_batch_begin(self, net, **kwargs):
        forget_peak()
        self.before_ = resident()

    def on_batch_end(self, net, **kwargs):
        self.found.append(1024 * status("VmHWM") - self.before_)


def forward_forward(depth, method):
    params = {"goodness": "readout"} if method == "readout" else {"negatives": "hard"}
    params |= {"precision": "float32", "scaling": "shared", "random_state": 0}
    clf = FFClassifier([UNITS] * depth, batch_size=ROWS, max_iter=3, callbacks=[Peak()], **params)
    clf.fit(*rows())
    return Peak.found[-1]


def backprop(depth, method):
    widths = [FEATURES] + [UNITS] * depth
    layers = [layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.ReLU())]
    net = nn.Sequential(*layers, nn.Linear(UNITS, CLASSES))
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    x, y = map(torch.from_numpy, rows())
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        forget_peak()
        before = resident()
        nn.functional.cross_entropy(forward(net, x, method), y).backward()
        optimizer.step()
        peak = 1024 * status("VmHWM") - before
    return peak - sum(4 * p.numel() for p in net.parameters())


def forward(net, x, method):
    if method == "backprop":
        return net(x)
    segments = max(1, round((len(net) / 2) ** 0.5))
    return checkpoint_sequential(net, segments, x, use_reentrant=False)


PEAKS = {"backprop": backprop, "checkpointed": backprop}


if __name__ == "__main__":
    main()
