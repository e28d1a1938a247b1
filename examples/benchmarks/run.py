"""Train named set-ups (`runs.py`) and append one JSON line per run to `results/runs.jsonl`.

    python examples/benchmarks/run.py mpezeshki loewe --data-home FOLDER --seeds 3

Runs with a line of the same rows, seed and settings are skipped, so an interrupted command
continues where it stopped. Test rows are scored after the last epoch. With `--validate` a sixth of
the training rows is held out and scored instead, for the choice of settings. Some published figures
are the best of all epochs on test rows; for those the line has `best_on_test_...` too. `report.py`
renders the lines.
"""

import argparse
import json
import os
import platform
import re
import sys
import time
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from memory_depth import forget_peak, status
from results import emit, machine
from runs import GROUP_OF, RUNS
from sklearn.exceptions import ConvergenceWarning
from watch import Watch, error

import sklearn_ff
from sklearn_ff import FFClassifier
from sklearn_ff.datasets import load_images

OUTPUT = Path(__file__).parent / "results" / "runs.jsonl"
HELD_OUT = 1 / 6  # of the training rows, with --validate
NOT_SETTINGS = ("callbacks", "n_threads", "random_state", "verbose")


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    start, done = time.perf_counter(), lines_of(args.output)
    for name in dict.fromkeys(args.names):
        for seed in range(args.seeds):
            if args.budget is not None and time.perf_counter() - start > args.budget:
                tell(f"The budget of {args.budget:g} seconds is spent; {name} is not begun.")
                return
            one(args, name, seed, done)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=RUNS, metavar="NAME", help=", ".join(RUNS))
    parser.add_argument(
        "--data-home",
        default=os.environ.get("SKLEARN_FF_DATA"),
        help="folder with mnist.npz and fashion_mnist.npz; without it they come from OpenML",
    )
    parser.add_argument("--seeds", type=at_least_one, default=1, help="how many, from 0 (1)")
    parser.add_argument("--budget", type=float, help="seconds after which no run is begun")
    parser.add_argument("--threads", type=at_least_one, help="of torch")
    parser.add_argument("--epochs", type=at_least_one, help="for a first look, at another --output")
    parser.add_argument("--validate", action="store_true", help="score held-out training rows")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="file of lines, also of what is done already"
    )
    args = parser.parse_args()
    if args.epochs and args.output.resolve() == OUTPUT.resolve():
        parser.error("--epochs is for a first look, which is no result; give another --output")
    return args


def at_least_one(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def lines_of(path):
    """The lines of the file, if it exists; an incomplete line raises an error that names it."""
    found = []
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise SystemExit(f"Line {number} of {path} is torn ({error}); remove it.") from None
    return found


def tell(text):
    print(text, file=sys.stderr, flush=True)


def one(args, name, seed, done):
    """Train, unless the line exists."""
    run = RUNS[name]
    clf = run.make(seed)
    if args.epochs:
        clf.set_params(max_iter=args.epochs)
    case = {"benchmark": GROUP_OF[name], "run": name, "data": run.data}
    case |= {"rows": "held_out" if args.validate else "test", "seed": seed}
    given, usual = settings(clf), settings(type(clf)())
    if any(is_same(case, given, usual, line) for line in done):
        tell(f"{name}, seed {seed}: done before")
        return
    emit(
        case | {"settings": given} | measured(run, clf, split(args, run), f"{name}, seed {seed}"),
        args.output,
    )


def is_same(case, given, usual, line):
    """Whether a line is of this case; parameters that are newer than it count as defaults."""
    return case.items() <= line.items() and given.items() <= (usual | line["settings"]).items()


def settings(clf):
    """Parameters as plain values: parts as their calls, functions as their names."""
    params = clf.get_params(deep=False).items()
    return {k: plain(v) for k, v in params if k not in NOT_SETTINGS}


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    simple = value is None or isinstance(value, (bool, int, float, str, dict))
    return value if simple else re.sub(r" at 0x\w+", "", " ".join(repr(value).split()))


def split(args, run):
    """Rows for training, for scores after epochs, and for the final score: pairs (X, codes)."""
    X, y, X_test, y_test = load_images(run.data, args.data_home, download=not args.data_home)
    order = np.random.default_rng(0).permutation(len(y))
    n_train = run.n_train or len(y)
    if args.validate:
        n_train = min(n_train, len(y) - int(HELD_OUT * len(y)))
    learn, hold = order[:n_train], order[n_train:]
    if run.learned:
        learn = learn[np.isin(y[learn], run.learned)]
    rows = {"train": (X[learn], y[learn])}
    scored = {"held_out": (X[hold], y[hold]), "test": (X_test, y_test)}
    rows |= {name: of_classes(run.classes, *pair) for name, pair in scored.items()}
    rows["scored"] = rows["held_out" if args.validate else "test"]
    rows["watched"] = rows["scored" if run.watch_test else "held_out"]
    return rows


def of_classes(classes, X, y):
    scored = np.isin(y, classes) if classes else slice(None)
    return X[scored], y[scored]


def measured(run, clf, rows, title):
    """The figures of a run."""
    ours = isinstance(clf, FFClassifier)
    if ours:
        every = run.every if len(rows["watched"][1]) else 0
        clf.set_params(callbacks=[Watch(title, *rows["watched"], run.rules, every)])
    with suppress(OSError):
        forget_peak()
    start = time.perf_counter()
    fit(clf, rows["train"], title)
    line = {"n_train": len(rows["train"][1]), "seconds": time.perf_counter() - start}
    line |= {"peak_bytes": peak(), "threads": torch.get_num_threads(), "curve": curve(clf)}
    if ours:
        line["seconds"] -= sum(row["seconds_watching"] for row in clf.net_.history)
    line |= errors(run, clf, rows)
    return line | versions() | machine()


def fit(clf, rows, title):
    """Fit; an interrupted fit is no result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("error", "Training (was )?interrupted")
        try:
            clf.fit(*rows)
        except UserWarning as interrupted:
            raise SystemExit(f"{title}: {interrupted} No line is written.") from None


def errors(run, clf, rows):
    """Errors of the last epoch; and the lowest of all epochs, if the same rows are scored."""
    if not run.rules:
        X, y = rows["scored"]
        return {"error_predict": float(np.mean(clf.predict(X) != y))}
    found = {}
    for rule in run.rules:
        found[f"error_{rule}"] = error(clf.net_.module_, *rows["scored"], rule)
        if run.train_error:
            found[f"train_error_{rule}"] = error(clf.net_.module_, *rows["train"], rule)
        watched = curve(clf).get(f"error_{rule}")
        if run.watch_test and watched:
            found[f"best_on_test_{rule}"] = min(watched)
    return found


def curve(clf):
    """Loss of every epoch, and errors of the epochs after which rows were scored."""
    found = {"loss": [round(float(loss), 6) for loss in clf.loss_curve_]}
    history = clf.net_.history if isinstance(clf, FFClassifier) else []
    for row in history:
        for name, value in row.get("watched", {}).items():
            found.setdefault(name, []).append(value)
    return found


def peak():
    """Peak memory of the process in bytes; None where the system does not report it."""
    with suppress(OSError):
        return 1024 * status("VmHWM")


def versions():
    return {
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "sklearn_ff": sklearn_ff.__version__,
    }


if __name__ == "__main__":
    main()
