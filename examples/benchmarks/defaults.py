"""Defaults against defaults: FFClassifier((500, 500)) and MLPClassifier((500, 500)).

    python examples/benchmarks/defaults.py --folder FOLDER \
        --output examples/benchmarks/results/defaults.jsonl
    python examples/benchmarks/defaults.py --folder FOLDER --validate --data mnist

Every model has its defaults but for the sizes of the layers. On images three are fitted to the same
float32 rows: "mlp"; "ff"; and "ff_short", which is "ff" with as many epochs as reach, on held-out
training rows (`--validate`), the error that "mlp" ends with. The summary compares seconds and test
errors, seed by seed. On the digits of scikit-learn and on the eight tables, standardised, "mlp",
"ff", "trees" (HistGradientBoostingClassifier) and "neighbours" (KNeighborsClassifier) have all
defaults, the latter also with columns as they are ("neighbours_unscaled"); seconds, errors and
log-losses are of the four outer folds of `tables.py`.
Runs whose line is in the file are not repeated; models take turns.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
import tables
import torch
from results import emit, machine
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_ff import FFClassifier
from sklearn_ff.datasets import load_images

UNITS = (500, 500)
SHORT = {"mnist": 3, "fashion_mnist": 3}  # epochs of "ff_short", of MNIST's --validate
HELD_OUT = 10_000
IMAGES = {
    "mlp": lambda data, seed: MLPClassifier(UNITS, random_state=seed),
    "ff": lambda data, seed: FFClassifier(UNITS, random_state=seed),
    "ff_short": lambda data, seed: FFClassifier(UNITS, max_iter=SHORT[data], random_state=seed),
}
FOLDS = {"digits": ["digits"], "tables": list(tables.OPENML)}
TABLES = {
    "mlp": lambda data, seed: MLPClassifier(random_state=seed),
    "ff": lambda data, seed: FFClassifier(random_state=seed),
    "trees": lambda data, seed: HistGradientBoostingClassifier(random_state=seed),
    "neighbours": lambda data, seed: KNeighborsClassifier(),
    "neighbours_unscaled": lambda data, seed: KNeighborsClassifier(),
}
MODELS = list(dict.fromkeys([*IMAGES, *TABLES]))


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    done = finished(args)
    with threadpool_limits(args.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlp may not have converged
        for data in args.data:
            run_all(args, data, done)
    for data in args.data:
        summarise(data, [line for line in done if line["data"] == data])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["digits", "tables", "mnist", "fashion_mnist"]
    parser.add_argument("--data", nargs="+", choices=names, default=names)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--validate", action="store_true", help="score held-out training rows")
    parser.add_argument("--output", help="file to append the results to, and to go on from")
    return parser.parse_args()


def setting(args):
    rows = "held out" if args.validate else "test"
    return {"benchmark": "defaults", "rows": rows, "threads": args.threads, **machine()}


def finished(args):
    if not args.output or not Path(args.output).exists():
        return []
    lines = map(json.loads, Path(args.output).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if setting(args).items() <= line.items()]


def run_all(args, data, done):
    """Run what is not in `done` yet, and add it; the model that goes first changes by seed."""
    models = TABLES if data in FOLDS else IMAGES
    names = [name for name in models if name in args.models]
    for seed in args.seeds:
        for name in names[seed % len(names) :] + names[: seed % len(names)]:
            case = {"data": data, "model": name, "seed": seed}
            if not any(case.items() <= line.items() for line in done):
                found = (on_folds if data in FOLDS else on_images)(args, **case)
                line = {**setting(args), **case, **found}
                done.append(line)
                emit(line, args.output)


def on_images(args, data, model, seed):
    X, y, X_test, y_test = load_images(data, args.folder)[:4]
    if args.validate:
        X, X_test, y, y_test = X[:-HELD_OUT], X[-HELD_OUT:], y[:-HELD_OUT], y[-HELD_OUT:]
    X, X_test = (np.ascontiguousarray(rows, dtype=np.float32) for rows in (X, X_test))
    clf = IMAGES[model](data, seed)
    clf.fit(X[:1000], y[:1000])  # to warm up
    start = time.perf_counter()
    clf.fit(X, y)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "epochs": clf.n_iter_,
        "error": float(1 - clf.score(X_test, y_test)),
        "log_loss": float(log_loss(y_test, clf.predict_proba(X_test))),
    }


def on_folds(args, data, model, seed):
    """Seconds of all fits, and means over the folds of every table."""
    seconds, errors, losses = {}, {}, {}
    for name in FOLDS[data]:
        X, y = load_digits(return_X_y=True) if name == "digits" else tables.load(name, args.folder)
        runs = [
            on_fold(TABLES[model](data, seed), scaler(model), X, y, *fold)
            for fold in tables.splits(X, y, "inner" if args.validate else "outer")
        ]
        taken, errors[name], losses[name] = map(float, np.mean(runs, axis=0))
        seconds[name] = taken * len(runs)
    return {
        "seconds": sum(seconds.values()),
        "error": float(np.mean(list(errors.values()))),
        "log_loss": float(np.mean(list(losses.values()))),
        "seconds_by_table": seconds,
        "error_by_table": errors,
    }


def scaler(model):
    return "passthrough" if model.endswith("unscaled") else StandardScaler()


def on_fold(clf, scale, X, y, learn, hold):
    """Seconds of one fit, and its error and log-loss on the rows that are held."""
    prepare = make_pipeline(SimpleImputer(strategy="most_frequent"), scale)
    rows = prepare.fit_transform(X[learn])
    start = time.perf_counter()
    clf.fit(rows, y[learn])
    seconds = time.perf_counter() - start
    p = clf.predict_proba(prepare.transform(X[hold]))
    error = np.mean(clf.classes_[p.argmax(1)] != y[hold])
    return seconds, error, log_loss(y[hold], p, labels=clf.classes_)


def summarise(data, lines):
    """Print means over the seeds, and the median ratio of the seconds of one seed."""
    found = {name: {} for name in MODELS}
    for line in lines:
        found[line["model"]][line["seed"]] = line
    for name, runs in found.items():
        if not runs:
            continue
        errors = [100 * line["error"] for line in runs.values()]
        seconds = [line["seconds"] for line in runs.values()]
        both = runs.keys() & found["mlp"].keys()
        ratios = [runs[seed]["seconds"] / found["mlp"][seed]["seconds"] for seed in both]
        told = f", {np.median(ratios):.3f} of mlp's time" if name != "mlp" and ratios else ""
        print(
            f"{data} {name}: error {np.mean(errors):.2f} % ± {np.std(errors):.2f}, "
            f"{np.median(seconds):.2f} seconds{told}"
        )


if __name__ == "__main__":
    main()
