"""Time of a whole `fit` beside those of scikit-learn's MLPClassifier and plain backprop in torch.

    python examples/benchmarks/fit_time.py --folder FOLDER --output FILE
    python examples/benchmarks/fit_time.py --data iris wine breast_cancer

MNIST: all learn from the same float32 rows, 784-500-500, in batches of 128, for the same number of
epochs, on the same number of threads; ours has its defaults otherwise, and "backprop" is a loop of
ten lines with Adam and cross entropy. Tables: FFClassifier() and MLPClassifier() with their
defaults, on standardised columns, since on others MLPClassifier may stop before it has learned. All
run alternately in one process, and the first one changes, so that a machine that slows down or
warms up favours none. Every ratio is of one turn, and the median is reported.
"""

import argparse
import os
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from mnist_speed import SHAPE, WARM_UP_ROWS, ff, mlp, seconds_to_fit
from results import emit, machine
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import nn

from sklearn_ff import FFClassifier
from sklearn_ff.datasets import load_images

TABLES = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer}


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    with threadpool_limits(args.threads):
        for data in args.data:
            turns = on_table(args, data) if data in TABLES else on_mnist(args)
            compare(args, data, turns)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["mnist", *TABLES]
    parser.add_argument("--data", nargs="+", choices=names, default=names)
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--rows", type=int, default=60_000, help="of MNIST")
    parser.add_argument("--epochs", type=int, default=2, help="on MNIST")
    parser.add_argument("--pairs", type=int, default=3, help="on MNIST")
    parser.add_argument("--pairs-of-tables", type=int, default=21)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def on_mnist(args):
    """The turns of all three at the shape and batch of `mnist_speed`, after one to warm up."""
    X, y, *_ = load_images("mnist", args.folder, download=not args.folder)
    X, y = np.ascontiguousarray(X[: args.rows], dtype=np.float32), y[: args.rows]
    take_turns(fits_on(X[:WARM_UP_ROWS], y[:WARM_UP_ROWS], 1), 1)
    return take_turns(fits_on(X, y, args.epochs), args.pairs)


def fits_on(X, y, epochs):
    def fit(model, seed):
        return seconds_to_fit(model(epochs, seed), X, y, epochs)

    return {name: partial(fit, model) for name, model in MODELS.items()}


def on_table(args, data):
    """The turns of two estimators with their defaults, after one to warm up."""
    X, y = TABLES[data](return_X_y=True)
    X = StandardScaler().fit_transform(X)
    fits = {
        "ff": lambda seed: seconds_to_fit(FFClassifier(random_state=seed), X, y),
        "mlp": lambda seed: seconds_to_fit(MLPClassifier(random_state=seed), X, y),
    }
    return take_turns(fits, args.pairs_of_tables + 1)[1:]


def take_turns(fits, n_turns):
    """Seconds by name, for every turn; its number is the seed of the fits and selects the first."""
    turns = []
    for seed in range(n_turns):
        first = seed % len(fits)
        order = [*fits][first:] + [*fits][:first]
        turns.append({name: fits[name](seed) for name in order})
    return turns


class Backprop:
    """ReLU, Adam and cross entropy; batches are slices of one tensor by a permuted index."""

    def __init__(self, epochs, seed):
        self.n_iter_, self.seed = epochs, seed

    def fit(self, X, y):
        torch.manual_seed(self.seed)
        x, y = torch.from_numpy(X), torch.from_numpy(y.astype(np.int64))
        net = nn.Sequential(*layers(x.shape[1], SHAPE["hidden_layer_sizes"], 10))
        optimizer = torch.optim.Adam(net.parameters(), fused=True)
        for _ in range(self.n_iter_):
            for rows in torch.randperm(len(x)).split(SHAPE["batch_size"]):
                loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return self


def layers(n_inputs, units, n_classes):
    """Linear maps with a ReLU between any two."""
    for inputs, outputs in pairwise([n_inputs, *units]):
        yield from (nn.Linear(inputs, outputs), nn.ReLU())
    yield nn.Linear(units[-1], n_classes)


MODELS = {"ff": ff, "mlp": mlp, "backprop": Backprop}


def compare(args, data, turns):
    """One result for each program that ours is compared with."""
    for other in [name for name in turns[0] if name != "ff"]:
        ratios = np.array([turn["ff"] / turn[other] for turn in turns])
        result = {
            **describe(args, data),
            "against": other,
            "seconds": float(np.median([turn["ff"] for turn in turns])),
            "seconds_theirs": float(np.median([turn[other] for turn in turns])),
            "ratio": float(np.median(ratios)),
            "ratios": ratios.round(3).tolist(),
        }
        emit(result | machine(), args.output)


def describe(args, data):
    what = {"benchmark": "fit_time", "data": data, "threads": args.threads}
    return what | ({"rows": args.rows, "epochs": args.epochs} if data == "mnist" else {})


if __name__ == "__main__":
    main()
