"""Error of FFClassifier on MNIST or Fashion-MNIST, by goodness and by head, for three seeds.

    python examples/benchmarks/mnist.py --data mnist --folder FOLDER
    python examples/benchmarks/mnist.py --set goodness=readout --folder FOLDER

The last 10,000 rows of a fixed permutation of the training rows are held out and scored. Choose
settings by these. Only `--test` learns from all training rows and reports the test rows.
"""

import argparse
import os
import time
from contextlib import contextmanager

import numpy as np
from results import emit

from sklearn_ff import FFClassifier
from sklearn_ff.datasets import load_images

HELD_OUT = 10_000


def main():
    args = arguments()
    rows = split(*load_images(args.data, args.folder, download=not args.folder), args.test)
    runs = [run(args, rows, seed) for seed in args.seeds]
    for result in [*runs, summary(args, runs)]:
        emit(result, args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["mnist", "fashion_mnist"], default="mnist")
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--units", type=int, nargs="+", default=[500, 500])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="parameters")
    parser.add_argument("--output", help="file to append the results to")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("--validate", action="store_true", help="score held-out rows (default)")
    rows.add_argument("--test", action="store_true", help="score the test rows")
    return parser.parse_args()


def split(X_train, y_train, X_test, y_test, test):
    """Training rows and rows to score; test rows are used only if `test`."""
    if test:
        return X_train, y_train, X_test, y_test
    order = np.random.default_rng(0).permutation(len(y_train))
    learn, hold = order[:-HELD_OUT], order[-HELD_OUT:]
    return X_train[learn], y_train[learn], X_train[hold], y_train[hold]


def run(args, rows, seed):
    X, y, X_scored, y_scored = rows
    clf = FFClassifier(hidden_layer_sizes=args.units, max_iter=args.epochs, random_state=seed)
    clf.set_params(**settings(args))
    start = time.perf_counter()
    clf.fit(X, y)
    result = {**describe(args), "seed": seed, "fit_seconds": time.perf_counter() - start}
    rules = ("goodness", "head") if clf.net_.module_.head else ("goodness",)
    for rule in rules:
        result[f"error_{rule}"], result[f"seconds_{rule}"] = error(clf, X_scored, y_scored, rule)
    return result


def describe(args):
    rows = "test" if args.test else "held_out"
    what = {"benchmark": "mnist", "data": args.data, "rows": rows, "epochs": args.epochs}
    return what | {"units": args.units, **settings(args)}


def settings(args):
    """NAME=VALUE as parameters, numbers as numbers."""
    pairs = (pair.split("=", 1) for pair in args.set)
    return {name: float(v) if v.replace(".", "", 1).isdigit() else v for name, v in pairs}


def error(clf, X, y, rule):
    """Share of rows labelled wrongly by one prediction rule, and the seconds it took."""
    start = time.perf_counter()
    with predicting_by(clf, rule):
        wrong = np.mean(clf.predict(X) != y)
    return float(wrong), time.perf_counter() - start


@contextmanager
def predicting_by(clf, rule):
    """Another prediction rule of the same fit."""
    before = clf.prediction
    clf.set_params(prediction=rule)
    try:
        yield
    finally:
        clf.set_params(prediction=before)


def summary(args, runs):
    """Mean and standard deviation over the seeds."""
    result = {**describe(args), "seeds": args.seeds}
    for name in ("error_goodness", "error_head", "fit_seconds"):
        if name not in runs[0]:
            continue
        values = [r[name] for r in runs]
        result[f"{name}_mean"] = float(np.mean(values))
        result[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return result


if __name__ == "__main__":
    main()
