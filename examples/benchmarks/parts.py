"""Parts against parts: negatives x objective x goodness, on MNIST and on eight tables.

    python examples/benchmarks/parts.py --minutes 60 --threads 1

Every combination that `fit` accepts, by name, and all else at its default. MNIST: 784-500-500, ten
epochs, of 50,000 training rows, the others scored. Tables: default sizes; the inner splits of
`tables.py`, which leave the outer test folds alone, of all eight tables. The first seed comes
before the others, what differs from the defaults in one part before what differs in more, and
`permuted`, whose negative labels are sometimes true, last. Further seeds are for the combinations
whose error with the first one is at most half above the best. Runs whose line is in the file are
not repeated. `parts_report.py` renders the lines.
"""

import argparse
import os
import time
import warnings
from functools import cache, lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import tables
import torch
from mnist import split
from results import emit, machine
from run import lines_of, tell
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ff import FFClassifier
from sklearn_ff._compatibility import check
from sklearn_ff._input import Request, read
from sklearn_ff._plan import make_plan
from sklearn_ff._settings import settings_of
from sklearn_ff.datasets import load_images
from sklearn_ff.exceptions import DivergenceError
from sklearn_ff.goodness import goodness
from sklearn_ff.negatives import negatives
from sklearn_ff.objectives import objectives

OUTPUT = Path(__file__).parent / "results" / "parts.jsonl"
USUAL = {"negatives": "hard", "objective": "swish", "goodness": "mean_square"}
DATA = {"mnist": "held_out", "tables": "inner"}  # and the rows that are scored
SEEDS, CLOSE = 3, 1.5
MINUTES = {"mnist": 1.3, "tables": 0.5}  # of a processor, about, with one negative label


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    start = time.perf_counter()
    for case in missing(args.data, args.seeds, lambda: lines_of(args.output)):
        if not {*args.only} <= {*case.values()}:
            continue
        if args.minutes is not None and time.perf_counter() - start > 60 * args.minutes:
            return
        tell(", ".join(map(str, case.values())))
        emit(case | run(args.folder, **case) | {"threads": args.threads} | machine(), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--only", nargs="+", default=[], help="combinations with all these names")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many, from 0")
    parser.add_argument("--minutes", type=float, help="after which no run is begun")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="also of what is done already")
    return parser.parse_args()


def missing(data, seeds, read_lines):
    """The cases without a line, in order; lines are read before each, as others may write."""
    for seed, (names, combination) in product(range(seeds), in_order(data)):
        case = {"benchmark": "parts", "data": names, "rows": DATA[names]} | combination
        lines = read_lines()
        done = any((case | {"seed": seed}).items() <= line.items() for line in lines)
        if not done and (seed == 0 or is_close(case, lines)):
            yield case | {"seed": seed}


def is_close(case, lines):
    """Whether the first seed of a case is close to the best of its data."""
    found = [line for line in lines if line["data"] == case["data"] and line["seed"] == 0]
    errors = [line["error"] for line in found if line["error"] is not None]
    own = [line["error"] for line in found if case.items() <= line.items()]
    return bool(own) and own[0] is not None and own[0] <= CLOSE * min(errors)


def in_order(data):
    """Pairs of data and a combination: few differences from the defaults first."""
    found = [(names, combination) for combination in legal() for names in data]
    return sorted(found, key=lambda pair: last(pair[1]))


def last(combination):
    """What a combination is sorted by."""
    return combination["negatives"] == "permuted", differences(combination)


def differences(combination):
    """In how many parts a combination differs from the defaults."""
    return sum(combination[name] != usual for name, usual in USUAL.items())


@cache
def legal():
    """The combinations that `fit` accepts, of negatives that are labels."""
    labels = [name for name in negatives.names if not negatives.get(name).of_rows]
    every = product(labels, objectives.names, goodness.names)
    return [
        one for one in (dict(zip(USUAL, names, strict=True)) for names in every) if not refusal(one)
    ]


def refusal(combination):
    """Why `fit` refuses a combination; empty if it accepts it."""
    clf = FFClassifier(8, max_iter=1, **combination)
    settings = settings_of(clf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = read(clf, settings, *iris()[:1], Request(iris()[1]), None)
            check(make_plan(settings, data, None, False))
        except ValueError as refused:
            return str(refused)
    return ""


@cache
def iris():
    return load_iris(return_X_y=True)


def run(folder, data, seed, negatives, objective, goodness, **case):
    """Error and seconds; an error of None where training diverged."""
    parts = {"negatives": negatives, "objective": objective, "goodness": goodness}
    start, started = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = SCORED[data](folder, parts | {"random_state": seed})
        except DivergenceError:
            found = {"error": None}
    found["seconds"] = time.perf_counter() - start
    return found | {"processor_seconds": time.process_time() - started}


def on_mnist(folder, parameters):
    X, y, X_scored, y_scored = mnist_rows(folder)
    clf = FFClassifier((500, 500), max_iter=10, **parameters).fit(X, y)
    return {"error": float(np.mean(clf.predict(X_scored) != y_scored))}


@lru_cache(1)
def mnist_rows(folder):
    return split(*load_images("mnist", folder, download=not folder), test=False)


def on_tables(folder, parameters):
    """Mean error over the tables, and that of each."""
    errors = {name: on_table(*table_rows(name, folder), parameters) for name in tables.OPENML}
    return {"error": float(np.mean(list(errors.values()))), "error_by_table": errors}


@cache
def table_rows(name, folder):
    return tables.load(name, folder)


def on_table(X, y, parameters):
    errors = []
    for learn, hold in tables.splits(X, y, "inner"):
        prepare = SimpleImputer(strategy="most_frequent"), StandardScaler()
        model = make_pipeline(*prepare, FFClassifier(**parameters)).fit(X[learn], y[learn])
        errors.append(1 - model.score(X[hold], y[hold]))
    return float(np.mean(errors))


SCORED = {"mnist": on_mnist, "tables": on_tables}


if __name__ == "__main__":
    main()
