"""Time to predict 10,000 rows, divided by that of its products or of a plain forward pass.

    python examples/benchmarks/prediction_time.py --folder FOLDER --output FILE

The network is 784-500-500. `decision_function` is timed as a whole.

    goodness    divided by its products alone: the first layer's once per row, the second's once per
                class, timed by `step_limit`'s floor in parts of the same number of rows
    head        divided by a plain pass in torch: both layers with a ReLU, and a linear map of the
                1,000 activations, without scaling, normalisation or checks, 500 rows at a time,
                which is faster than all at once
    hybrid      divided by the same plain pass, on MNIST, and on artificial rows of 1,000 classes

Both run alternately; every ratio is of one such pair, and the median is reported. The errors are
those of the test rows. Peak memory is measured in a separate process: the peak of resident memory
during the prediction minus the memory before it.
"""

import argparse
import json
import os
import time
from unittest.mock import patch

import numpy as np
import torch
from memory_depth import alone, forget_peak, resident, status
from mnist import error, predicting_by
from results import emit, machine
from step_limit import Floor
from torch.nn.functional import linear, relu

from sklearn_ff import FFClassifier, _scoring
from sklearn_ff.datasets import load_images

UNITS = (500, 500)
MANY_CLASSES, MADE_UP_FEATURES, MADE_UP_ROWS = 1000, 784, 5000
PLAIN_ROWS = 500
RULES = ["goodness", "head", "hybrid"]


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    if args.peak:
        print(json.dumps(peak(*many_classes(args))))
        return
    for data in args.data:
        for result in DATA[data](args):
            emit(result | machine(), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--learn", type=int, default=60_000, help="rows of MNIST to learn from")
    parser.add_argument("--rows", type=int, default=10_000, help="rows to predict")
    parser.add_argument("--epochs", type=int, default=10, help="on MNIST")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", help="file to append the results to")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def on_mnist(args):
    """A result for every rule, of the same fit."""
    X, y, X_test, y_test = load_images("mnist", args.folder, download=not args.folder)
    X_test, y_test = X_test[: args.rows], y_test[: args.rows]
    clf = FFClassifier(UNITS, prediction="hybrid", max_iter=args.epochs, random_state=0)
    clf.fit(X[: args.learn], y[: args.learn])
    errors = {rule: error(clf, X_test, y_test, rule)[0] for rule in RULES}
    for rule in RULES:
        result = describe(args, "mnist", rule, 10) | {"learned_from": args.learn}
        result |= {"epochs": args.epochs, "error": errors[rule]}
        if rule == "hybrid":
            result |= {"points_lost": 100 * (errors["hybrid"] - errors["goodness"])}
        yield result | measure(args, clf, X_test, rule)


def on_many_classes(args):
    clf, X = many_classes(args)
    result = describe(args, "made_up", "hybrid", MANY_CLASSES)
    flags = ["--peak", "--rows", args.rows, "--threads", args.threads]
    memory = {"peak_bytes": alone(__file__, *flags), "result_bytes": 4 * MANY_CLASSES * len(X)}
    yield result | measure(args, clf, X, "hybrid") | memory


DATA = {"mnist": on_mnist, "made_up": on_many_classes}


def many_classes(args):
    """A classifier fitted on a few artificial rows of every class, and rows to predict."""
    rng = np.random.default_rng(0)
    X = rng.random((max(MADE_UP_ROWS, args.rows), MADE_UP_FEATURES), dtype=np.float32)
    y = np.arange(MADE_UP_ROWS) % MANY_CLASSES
    params = {"negatives": "uniform", "prediction": "hybrid", "max_iter": 1, "random_state": 0}
    return FFClassifier(UNITS, **params).fit(X[:MADE_UP_ROWS], y), X[: args.rows]


def describe(args, data, rule, n_classes):
    what = {"benchmark": "prediction_time", "data": data, "rule": rule, "classes": n_classes}
    return what | {"units": list(UNITS), "rows": args.rows, "threads": args.threads}


def measure(args, clf, X, rule):
    """Seconds of the rule, and of the products or the plain pass."""
    with predicting_by(clf, rule):
        other = Products(clf, X) if rule == "goodness" else PlainPass(clf, X)
        pairs = [(seconds(lambda: clf.decision_function(X)), other()) for _ in range(args.pairs)]
    ours, theirs = np.array(pairs).T
    return {
        "against": other.name,
        "seconds": float(np.median(ours)),
        "seconds_theirs": float(np.median(theirs)),
        "ratio": float(np.median(ours / theirs)),
        "ratios": (ours / theirs).round(3).tolist(),
    }


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Products:
    """Seconds of the products that `goodness` needs."""

    name = "products"

    def __init__(self, clf, X):
        rows = rows_of_a_part(clf, X)
        first, second = (rows, X.shape[1], UNITS[0]), (rows * len(clf.classes_), *UNITS)
        self.floor, self.parts = Floor([first, second], torch.float32), len(X) / rows

    def __call__(self):
        return self.parts * self.floor(max(3, round(self.parts)))


def rows_of_a_part(clf, X):
    """Number of rows that prediction scores at once."""
    with patch.object(_scoring, "label_scores", wraps=_scoring.label_scores) as scores:
        clf.decision_function(X)
    return max(len(call.args[1]) for call in scores.call_args_list)


class PlainPass:
    """Seconds of one plain pass with the weights of the network."""

    name = "plain_pass"

    def __init__(self, clf, X):
        net = clf.net_.module_
        self.layers = [(layer.affine.weight, layer.affine.bias) for layer in net.layers]
        self.head, self.x = net.head, torch.from_numpy(X)

    def __call__(self):
        return seconds(self.run)

    @torch.inference_mode()
    def run(self):
        return torch.cat([self.logits(part) for part in self.x.split(PLAIN_ROWS)])

    def logits(self, z):
        read = []
        for weight, bias in self.layers:
            z = relu(linear(z, weight, bias))
            read.append(z)
        return self.head(torch.cat(read, 1))


def peak(clf, X):
    """Bytes that a prediction needs in addition."""
    clf.decision_function(X[:10])
    forget_peak()
    before = resident()
    clf.decision_function(X)
    return 1024 * status("VmHWM") - before


if __name__ == "__main__":
    main()
