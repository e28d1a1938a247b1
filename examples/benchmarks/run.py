"""Train named set-ups (`runs.py`) and append one JSON line per run to `results/runs.jsonl`.

    python examples/benchmarks/run.py mpezeshki loewe --data-home FOLDER --seeds 3
    python examples/benchmarks/run.py --plan --minutes 60 --threads 1

The second form goes through `planned.py` in its order, and begins no run that would end later.
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
from named_run import is_classifier, learner_of, losses_of, network_of
from planned import PLAN
from results import emit, machine
from runs import GROUP_OF, RUNS
from sklearn.exceptions import ConvergenceWarning
from watch import Watch, error

import sklearn_ff
from sklearn_ff.datasets import load_images

OUTPUT = Path(__file__).parent / "results" / "runs.jsonl"
HELD_OUT = 1 / 6  # of the training rows, with --validate
NOT_SETTINGS = ("callbacks", "n_threads", "random_state", "verbose")


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    start = time.perf_counter()
    pairs = list(PLAN.in_order(torch.cuda.is_available())) if args.plan else asked(args)
    for planned, seed in pairs[::-1] if args.backwards else pairs:
        args.rows = planned.rows if args.plan else "held_out" if args.validate else "test"
        spent = time.perf_counter() - start
        if args.budget is not None and spent > args.budget:
            tell(f"The budget of {args.budget:g} seconds is spent; {planned.run} is not begun.")
            return
        late = args.minutes is not None and spent / 60 + planned.processor_minutes > args.minutes
        if late and not is_done(args, planned.run, seed):
            tell(f"{planned.run}, seed {seed}: takes longer than is left; not begun")
        else:
            one(args, planned.run, seed)


def asked(args):
    """Pairs of a run that was named and a seed."""
    return [(PLAN.of(name), s) for name in dict.fromkeys(args.names) for s in range(args.seeds)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", type=known, metavar="NAME", help=", ".join(RUNS))
    parser.add_argument("--plan", action="store_true", help="all of `planned.py`, in its order")
    parser.add_argument("--backwards", action="store_true", help="the last first")
    parser.add_argument("--minutes", type=float, help="begin no run that would end later")
    parser.add_argument(
        "--data-home",
        default=os.environ.get("SKLEARN_FF_DATA"),
        help="folder with mnist.npz and fashion_mnist.npz; without it they come from OpenML",
    )
    parser.add_argument("--seeds", type=at_least_one, default=1, help="how many, from 0 (1)")
    parser.add_argument("--budget", type=float, help="seconds after which no run is begun")
    parser.add_argument("--threads", type=at_least_one, help="of torch")
    parser.add_argument("--epochs", type=at_least_one, help="for a first look, at another --output")
    parser.add_argument("--data", help="another set of images of this shape, at another --output")
    parser.add_argument("--validate", action="store_true", help="score held-out training rows")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="file of lines, also of what is done already"
    )
    args = parser.parse_args()
    if bool(args.names) == args.plan:
        parser.error("give names of runs, or --plan")
    for flag in ("epochs", "data"):
        if getattr(args, flag) and args.output.resolve() == OUTPUT.resolve():
            parser.error(f"--{flag} makes another run than the named one; give another --output")
    return args


def known(name):
    if name not in RUNS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(RUNS)}")
    return name


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


def one(args, name, seed):
    """Train, unless the line exists."""
    clf, case, given = case_of(args, name, seed)
    run = RUNS[name]
    if is_done(args, name, seed):
        tell(f"{name}, seed {seed}: done before")
        return
    emit(
        case | {"settings": given} | measured(run, clf, split(args, run), f"{name}, seed {seed}"),
        args.output,
    )


def case_of(args, name, seed):
    """The estimator of a run, and what its line begins with."""
    run = RUNS[name]
    clf = run.make(seed)
    if args.epochs:
        learner_of(clf).set_params(max_iter=args.epochs)
    case = {"benchmark": GROUP_OF[name], "run": name, "data": args.data or run.data}
    case |= {"rows": args.rows, "seed": seed}
    return clf, case, settings(clf)


def is_done(args, name, seed):
    """Whether a line of the run exists; the file is read again, as others may write to it."""
    clf, case, given = case_of(args, name, seed)
    return any(is_same(case, given, usual(clf), line) for line in lines_of(args.output))


def is_same(case, given, usual, line):
    """Whether a line is of this case; parameters that are newer than it count as defaults."""
    return case.items() <= line.items() and given.items() <= (usual | line["settings"]).items()


def settings(clf):
    """Parameters as plain values: parts as their calls, functions as their names."""
    params = clf.get_params(deep=False).items()
    return {k: plain(v) for k, v in params if k not in NOT_SETTINGS}


def usual(clf):
    """The settings of an estimator of this class with its defaults; a pipeline has none."""
    return {} if hasattr(clf, "steps") else settings(type(clf)())


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    simple = value is None or isinstance(value, (bool, int, float, str, dict))
    return value if simple else re.sub(r" at 0x\w+", "", " ".join(repr(value).split()))


def split(args, run):
    """Rows for training, for scores after epochs, and for the final score: pairs (X, codes)."""
    data = args.data or run.data
    X, y, X_test, y_test = load_images(data, args.data_home, download=not args.data_home)
    order = np.random.default_rng(0).permutation(len(y))
    n_train = run.n_train or len(y)
    if args.rows == "held_out":
        n_train = min(n_train, len(y) - int(HELD_OUT * len(y)))
    learn, hold = order[:n_train], order[n_train:]
    if run.learned:
        learn = learn[np.isin(y[learn], run.learned)]
    rows = {"train": (X[learn], y[learn])}
    scored = {"held_out": (X[hold], y[hold]), "test": (X_test, y_test)}
    rows |= {name: of_classes(run.classes, *pair) for name, pair in scored.items()}
    rows["scored"] = rows[args.rows]
    rows["watched"] = rows["scored" if run.watch_test else "held_out"]
    return rows


def of_classes(classes, X, y):
    scored = np.isin(y, classes) if classes else slice(None)
    return X[scored], y[scored]


def measured(run, clf, rows, title):
    """The figures of a run."""
    network = network_of(clf)
    if network is not None:
        every = run.every if len(rows["watched"][1]) else 0
        network.set_params(callbacks=[Watch(title, *rows["watched"], run.rules, every)])
    with suppress(OSError):
        forget_peak()
    start, started = time.perf_counter(), time.process_time()
    fit(clf, rows["train"], title)
    line = {"n_train": len(rows["train"][1]), "seconds": time.perf_counter() - start}
    line |= {"processor_seconds": time.process_time() - started}
    line |= {"peak_bytes": peak(), "threads": torch.get_num_threads(), "curve": curve(clf)}
    for watched in network.net_.history if network is not None else ():
        line["seconds"] -= watched["seconds_watching"]
        line["processor_seconds"] -= watched["processor_seconds_watching"]
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
    found = {"loss": [round(float(loss), 6) for loss in losses_of(clf)]}
    for row in clf.net_.history if is_classifier(clf) else []:
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
