"""Time to fit FFClassifier beside scikit-learn's MLPClassifier of the same shape, on MNIST.

    python examples/benchmarks/mnist_speed.py --folder FOLDER --threads 2 --epochs 10

Both learn from the same float32 rows, in batches of 128, for the same number of epochs, on the same
number of threads. They run alternately, and the first one changes, so that a machine that slows
down or warms up favours neither. Pair i has the seed i.
"""

import argparse
import os
import time
import warnings

import numpy as np
import torch
from results import emit
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from sklearn_ff import FFClassifier
from sklearn_ff.datasets import load_images

SHAPE = {"hidden_layer_sizes": (500, 500), "batch_size": 128}
WARM_UP_ROWS = 1000


def main():
    args = arguments()
    X, y, *_ = load_images(args.data, args.folder, download=not args.folder)
    X = np.ascontiguousarray(X, dtype=np.float32)
    torch.set_num_threads(args.threads)
    with threadpool_limits(args.threads):
        pair(X[:WARM_UP_ROWS], y[:WARM_UP_ROWS], 1, 0)
        ratios = [report(args, X, y, seed) for seed in range(args.pairs)]
    median = {**describe(args), "pairs": args.pairs, "median_ratio": float(np.median(ratios))}
    emit(median, args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["mnist", "fashion_mnist"], default="mnist")
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def describe(args):
    return {"benchmark": "mnist_speed", "data": args.data, "epochs": args.epochs} | {
        "threads": args.threads
    }


def report(args, X, y, seed):
    """Time one pair, write it down, and return seconds of FF over seconds of MLP."""
    seconds = pair(X, y, args.epochs, seed)
    ratio = seconds["ff"] / seconds["mlp"]
    emit({**describe(args), "seed": seed, "seconds": seconds, "ratio": ratio}, args.output)
    return ratio


def pair(X, y, epochs, seed):
    """Seconds of both fits; the one that goes first alternates with the seed."""
    models = {"ff": ff(epochs, seed), "mlp": mlp(epochs, seed)}
    order = ["ff", "mlp"] if seed % 2 == 0 else ["mlp", "ff"]
    return {name: seconds_to_fit(models[name], X, y, epochs) for name in order}


def ff(epochs, seed):
    return FFClassifier(**SHAPE, max_iter=epochs, random_state=seed)


def mlp(epochs, seed):
    """Without early stopping, so that both run all epochs."""
    patience = epochs + 1
    return MLPClassifier(**SHAPE, max_iter=epochs, n_iter_no_change=patience, random_state=seed)


def seconds_to_fit(model, X, y, epochs=None):
    """Seconds of a fit; if a number of epochs is given, the fit must run all of them."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    seconds = time.perf_counter() - start
    if epochs is not None and model.n_iter_ != epochs:
        raise RuntimeError(f"{model} ran {model.n_iter_} epochs instead of {epochs}.")
    return seconds


if __name__ == "__main__":
    main()
