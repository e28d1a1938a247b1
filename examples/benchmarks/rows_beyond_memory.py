"""Memory and speed where rows are in a file that is larger than what a process is to hold.

    python examples/benchmarks/rows_beyond_memory.py --output FILE [--gibibytes 4]
    python examples/benchmarks/rows_beyond_memory.py --output FILE --speed --gibibytes 0.125

A file of rows of 3,072 columns, ten classes, is made on the spot and removed at the end. Processes
of their own map it: one fits a classifier, with a tenth of the rows held out, and predicts all
rows, another fits a transformer and scores their familiarity. The figures are the peaks of resident
memory, pages of the file included, beyond that before the first call. With `--speed` a process with
the map takes turns with one that has loaded the rows, and the figures are rows per second of the
whole `fit` and of `predict`. Lines that the output file holds are not measured again.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from memory_depth import alone, forget_peak, resident, status
from memory_process import known
from results import emit, machine

from sklearn_ff import FFClassifier, FFTransformer

WIDTH, CLASSES, BATCH, BLOCK = 3072, 10, 512, 4096
DTYPES = ["float32", "float64", "uint8"]
CALLS = {"classifier": ("fit", "predict"), "transformer": ("fit", "score_samples")}


def main():
    args = arguments()
    if args.path:
        torch.set_num_threads(1)
        print(json.dumps((speeds if args.speed else peaks)(args)))
        return
    for dtype in args.dtypes:
        cases = [case | {"dtype": dtype} for case in described(args)]
        left = [case for case in cases if case not in known(args.output, case)]
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            path = args.file or Path(folder, "rows.npy")
            if left and not path.exists():
                make(path, dtype, args.gibibytes)
            for case in left:
                flags = ["--path", path, "--units", args.units, "--epochs", args.epochs]
                flags += ["--rows", case["rows"], "--estimator", case["estimator"]]
                flags += ["--speed"] * args.speed
                emit(case | alone(__file__, *flags) | machine(), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gibibytes", type=float, default=4.0, help="size of the file")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES)
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--speed", action="store_true", help="measure seconds, not memory")
    parser.add_argument("--pairs", type=int, default=2, help="turns of file and memory")
    parser.add_argument("--folder", help="where the file is made")
    parser.add_argument("--file", type=Path, help="a file that stays, made if it is not there")
    parser.add_argument("--output", help="file to append the results to")
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", help=argparse.SUPPRESS)
    parser.add_argument("--estimator", choices=CALLS, help="only this one")
    return parser.parse_args()


def described(args):
    """What is measured, turn by turn."""
    turns = [("file", 0, name) for name in CALLS if args.estimator in (None, name)]
    if args.speed:
        turns = [(rows, i, "classifier") for i in range(args.pairs) for rows in ("file", "memory")]
    name = "rows_beyond_memory_speed" if args.speed else "rows_beyond_memory"
    what = {"benchmark": name, "gibibytes": args.gibibytes, "columns": WIDTH, "units": args.units}
    what |= {"epochs": args.epochs, "batch_size": BATCH, "threads": 1}
    return [what | {"rows": rows, "turn": i, "estimator": name} for rows, i, name in turns]


def make(path, dtype, gibibytes):
    """A file of noisy prototypes, whose row i is of class i mod 10."""
    rng, size = np.random.default_rng(0), np.dtype(dtype).itemsize
    n = int(gibibytes * 2**30 / (WIDTH * size))
    file = np.lib.format.open_memmap(path, "w+", dtype, (n, WIDTH))
    prototypes = rng.integers(128, size=(CLASSES, WIDTH), dtype=np.uint8)
    noise = rng.integers(128, size=(BLOCK, WIDTH), dtype=np.uint8)
    for start in range(0, n, BLOCK):
        y = np.arange(start, min(start + BLOCK, n)) % CLASSES
        file[start : start + BLOCK] = prototypes[y] + np.roll(noise, start // BLOCK, 1)[: len(y)]


def opened(args):
    rows = np.load(args.path, mmap_mode="r")
    y = np.arange(len(rows)) % CLASSES
    return (rows if args.rows == "file" else np.array(rows)), y


def classifier(args):
    params = {"batch_size": BATCH, "precision": "float32", "random_state": 0}
    return FFClassifier(args.units, max_iter=args.epochs, early_stopping=not args.speed, **params)


def peaks(args):
    """Peaks in bytes of every call, beyond what was resident before the first one."""
    X, y = opened(args)
    few = np.random.default_rng(0).random((300, 20))
    classifier(args).fit(few, np.arange(300) % 2).predict(few)  # loads what is loaded once
    before, found = resident(), {}
    model = classifier(args)
    if args.estimator == "transformer":
        model = FFTransformer(args.units, batch_size=BATCH, max_iter=args.epochs, random_state=0)
    for kind, name in zip(("fit", "use"), CALLS[args.estimator], strict=True):
        forget_peak()
        start = time.perf_counter()
        getattr(model, name)(X, *[y] * (name == "fit"))
        found[f"seconds_{kind}"] = time.perf_counter() - start
        found[f"peak_{kind}"] = 1024 * status("VmHWM") - before
    return {"n_rows": len(y), "file_bytes": X.nbytes, **found}


def speeds(args):
    """Rows per second of a whole fit, over its epochs, and of predict."""
    X, y = opened(args)
    clf, times = classifier(args), [time.perf_counter()]
    for call in (lambda: clf.fit(X, y), lambda: clf.predict(X)):
        call()
        times.append(time.perf_counter())
    fit, predict = np.diff(times)
    return {
        "n_rows": len(y),
        "rows_per_second_fit": args.epochs * len(y) / fit,
        "rows_per_second_predict": len(y) / predict,
    }


if __name__ == "__main__":
    main()
