"""Seconds per epoch against rows, columns, units, depth and classes, each varied alone.

    python examples/benchmarks/growth.py --output examples/benchmarks/results/growth.jsonl

Rows are artificial; the other axes are as in BASE. Epochs are timed inside `fit`, and the median
without the first one is reported. The slope is that of a straight line through the logarithms in
the upper half of the axis, where the constant cost of a batch has the least weight. It is compared
with the slope of the fewest multiply-adds of an epoch, as `step_limit` counts them, at the same
points.
"""

import argparse
import time

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from results import emit, machine
from skorch.callbacks import Callback
from step_limit import products

from sklearn_ff import FFClassifier

BASE = {"rows": 10_000, "columns": 100, "units": 200, "depth": 2, "classes": 10}
AXES = {
    "rows": [10_000, 30_000, 100_000, 300_000, 1_000_000],
    "columns": [25, 100, 400, 1600, 6400],
    "units": [125, 250, 500, 1000, 2000],
    "depth": [1, 2, 4, 8, 16, 32],
    "classes": [2, 5, 10, 30, 100, 300, 1000],
}
BATCH = 128


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    for axis in args.axes:
        emit(measure(args, axis) | machine(), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--axes", nargs="+", choices=list(AXES), default=list(AXES))
    parser.add_argument("--seconds", type=float, default=5.0, help="of epochs, for every point")
    parser.add_argument("--largest", type=int, help="leave out larger values of the axes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def measure(args, axis):
    values = [value for value in AXES[axis] if not args.largest or value <= args.largest]
    points = [BASE | {axis: value} for value in values]
    seconds = [seconds_per_epoch(args, **point) for point in points]
    needed = [multiply_adds(**point) for point in points]
    due = slope(values, needed)
    return {
        "benchmark": "growth",
        "axis": axis,
        "base": BASE,
        "batch_size": BATCH,
        "threads": args.threads,
        "values": values,
        "seconds": seconds,
        "multiply_adds": needed,
        "slope": slope(values, seconds),
        "slope_due": due,
    }


def slope(values, costs):
    """Of log cost against log value, over the upper half of the values."""
    upper = slice(min(len(values) // 2, len(values) - 2), None)
    return float(np.polyfit(np.log(values[upper]), np.log(costs[upper]), 1)[0])


def seconds_per_epoch(args, rows, columns, units, depth, classes):
    X = np.random.default_rng(0).random((rows, columns), dtype=np.float32)
    y = np.arange(rows) % classes
    params = {"negatives": "hard", "precision": "float32", "random_state": 0}
    epochs = Epochs(args.seconds)
    FFClassifier(
        [units] * depth, batch_size=BATCH, max_iter=1000, callbacks=[epochs], **params
    ).fit(X, y)
    return float(np.median(Epochs.seconds[1:]))


def multiply_adds(rows, columns, units, depth, classes):
    """Of an epoch."""
    needed = products([units] * depth, BATCH, columns, classes)
    return round(rows / BATCH * sum(m * k * n for m, k, n in needed))


class Epochs(Callback):
    """Times every epoch, and ends training when time is up, but not before the second epoch."""

    seconds = []  # of the class: the estimator trains with a copy of this callback

    def __init__(self, limit):
        self.limit = limit

    def on_train_begin(self, net, **kwargs):
        self.seconds.clear()

    def on_epoch_begin(self, net, **kwargs):
        self.start_ = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        self.seconds.append(time.perf_counter() - self.start_)
        if len(self.seconds) > 1 and sum(self.seconds) > self.limit:
            raise KeyboardInterrupt("time is up")


def draw(results, path):
    """Measured seconds, and multiply-adds scaled to the last point; the bytes are reproducible."""
    with rc_context({"svg.hashsalt": "sklearn_ff", "svg.fonttype": "none"}):
        figure = Figure(figsize=(3 * len(results), 3), layout="tight")
        axes = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
        for ax, result in zip(axes, results, strict=True):
            draw_axis(ax, result)
        axes[0].set_ylabel("seconds per epoch")
        axes[0].legend()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def draw_axis(ax, result):
    scale = result["seconds"][-1] / result["multiply_adds"][-1]
    ax.loglog(result["values"], result["seconds"], "o-", label="measured")
    ax.loglog(result["values"], [scale * n for n in result["multiply_adds"]], "--", label="due")
    ax.set(xlabel=result["axis"])
    ax.set_xticks(result["values"], [f"{value:,}" for value in result["values"]], rotation=45)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_title(f"slope {result['slope']:.2f}, due {result['slope_due']:.2f}")


if __name__ == "__main__":
    main()
