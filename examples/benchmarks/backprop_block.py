"""A network of one block beside the same network in a plain torch loop, on MNIST.

    python examples/benchmarks/backprop_block.py --folder FOLDER \
        --output examples/benchmarks/results/backprop_block.jsonl
    python examples/benchmarks/backprop_block.py --folder FOLDER --quick

Both are 784-500-500-10 with ReLU and cross entropy, learn from the same float32 rows, scaled alike,
in batches of 128, with Adam at 0.001 falling linearly to zero, for the same number of epochs, on
the same number of threads. First weights have the same distribution: normal with variance
1 / inputs, biases and the last layer zero. They run alternately, and the first one changes with the
seed. Runs whose line is in the file already are not repeated. The summary is of all lines in it:
mean and standard deviation of the test error over seeds, and seconds per epoch, where the ratio is
the median of the ratios of one seed.
"""

import argparse
import json
import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from results import emit, machine
from threadpoolctl import threadpool_limits
from torch import nn

from sklearn_ff.datasets import load_images
from sklearn_ff.recipes import backpropagation

UNITS, BATCH, RATE = (500, 500), 128, 1e-3
QUICK_ROWS = 3000


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    X, y, X_test, y_test = rows(args)
    setting = {
        "benchmark": "backprop_block",
        "data": "mnist",
        "rows": len(X),
        "epochs": args.epochs,
        "threads": args.threads,
        **machine(),
    }
    done = finished(args.output, setting)
    with threadpool_limits(args.threads):
        for fit in NETWORKS.values():  # to warm up
            fit(X[:1000], y[:1000], 1, 0)
        for seed in args.seeds:
            names = [*NETWORKS] if seed % 2 == 0 else [*NETWORKS][::-1]
            for name in names:
                if (name, seed) not in done:
                    start = time.perf_counter()
                    predict = NETWORKS[name](X, y, args.epochs, seed)
                    seconds = (time.perf_counter() - start) / args.epochs
                    error = float(np.mean(predict(X_test) != y_test))
                    run = {"network": name, "seed": seed, "test_error": error}
                    emit({**setting, **run, "seconds_per_epoch": seconds}, args.output)
                    done[name, seed] = error, seconds
    summarise(done, args.seeds)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS} rows, 3 epochs")
    parser.add_argument("--output", help="file to append the results to, and to go on from")
    args = parser.parse_args()
    args.epochs = 3 if args.quick else args.epochs
    return args


def rows(args):
    X, y, X_test, y_test = load_images("mnist", args.folder, download=not args.folder)[:4]
    n = QUICK_ROWS if args.quick else len(X)
    X, X_test = (np.ascontiguousarray(part, dtype=np.float32) for part in (X[:n], X_test))
    return X, y[:n], X_test, y_test


def finished(path, setting):
    """Errors and seconds per epoch of the lines with this setting, by network and seed."""
    if not path or not Path(path).exists():
        return {}
    lines = map(json.loads, Path(path).read_text(encoding="utf-8").splitlines())
    return {
        (line["network"], line["seed"]): (line["test_error"], line["seconds_per_epoch"])
        for line in lines
        if setting.items() <= line.items()
    }


def block(X, y, epochs, seed):
    """The recipe, whose rows are scaled beforehand as those of the loop are."""
    scale = scaler(X)
    clf = backpropagation(UNITS, max_iter=epochs, scaling=None, precision="float32")
    clf.set_params(random_state=seed).fit(scale(X), y)
    return lambda X: clf.predict(scale(X))


def loop(X, y, epochs, seed):
    """Batches are slices of one tensor by a permuted index."""
    torch.manual_seed(seed)
    scale = scaler(X)
    x, y = torch.from_numpy(scale(X)), torch.from_numpy(y.astype(np.int64))
    net = network(x.shape[1])
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, fused=True)
    n_updates = epochs * -(-len(x) // BATCH)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / n_updates)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.cross_entropy(net(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()
    return lambda X: net(torch.from_numpy(scale(X))).argmax(1).numpy()


def network(n_inputs):
    sizes = [n_inputs, *UNITS]
    hidden = [part for pair in pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    net = nn.Sequential(*hidden, nn.Linear(UNITS[-1], 10))
    for linear in net[::2]:
        nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
        nn.init.zeros_(linear.bias)
    nn.init.zeros_(net[-1].weight)
    return net


def scaler(X):
    """All pixels brought to mean 0 and deviation 1 by the training rows."""
    mean, deviation = X.mean(dtype=np.float64), X.std(dtype=np.float64)
    return lambda X: ((X - mean) / deviation).astype(np.float32)


NETWORKS = {"block": block, "torch": loop}


def summarise(done, seeds):
    """Print errors and times, and the median ratio of the times of one seed."""
    for name in NETWORKS:
        errors, seconds = np.transpose([done[name, seed] for seed in seeds])
        print(
            f"{name:5} test error {100 * errors.mean():.2f} % ± {100 * errors.std():.2f}, "
            f"{np.median(seconds):.2f} seconds per epoch"
        )
    ratios = [done["block", seed][1] / done["torch", seed][1] for seed in seeds]
    print(f"ratio of times {np.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
