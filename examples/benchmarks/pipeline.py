"""Seconds of a step on two ranks, layers or rows divided, and a model that predicts them.

    python examples/benchmarks/pipeline.py --output FILE

Every rank has one thread. Measured in turns: one process, layers on two ranks (`fit_layers`), rows
on two ranks (`fit`), of the same network and batches. The model knows nothing of these but

* the seconds of every layer in one process, alone, and those of a step outside of its layers,
* by how much two processes that compute at the same time slow each other down,
* the seconds of a message from rank to rank, and of a sum over both, of the sizes that occur.

A step of the pipeline takes as long as its slowest rank: its layers, its messages, and what is
outside; while another rank computes too, it is slowed down. Two and four ranks with a processor of
their own each are predicted besides. A step of data parallel takes one of half of the batch, longer
by what the larger of two random shares exceeds the half, and a sum over the weights of every layer.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
import warnings

import numpy as np
import torch
import torch.distributed as dist
from results import emit, machine
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, distributed
from sklearn_ff.datasets import load_images
from sklearn_ff.distributed._layers import cuts

CANDIDATES, CLASSES = 2, 10


def main():
    args = arguments()
    torch.set_num_threads(1)
    X, y, *_ = load_images("mnist", args.folder, download=not args.folder)
    X, y = np.ascontiguousarray(X[: args.rows], dtype=np.float32), y[: args.rows]
    with Pair() as pair:
        for units, batch in zip(args.units, args.batches, strict=True):
            emit(measured(args, pair, units, batch, X, y), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=os.environ.get("SKLEARN_FF_DATA"))
    parser.add_argument("--rows", type=int, default=5120, help="of MNIST")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--units", type=int, nargs="+", default=[500, 1000])
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--epochs", type=int, default=2, help="timed, after one to warm up")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def measured(args, pair, units, batch, X, y):
    """Seconds of a step as measured, and as predicted."""
    estimator = FFClassifier(
        [units] * args.layers,
        negatives="uniform",
        batch_size=batch,
        max_iter=args.epochs + 1,
        random_state=0,
        precision="float32",
    )
    half = estimator.__class__(**estimator.get_params(deep=False)).set_params(batch_size=batch // 2)
    n, cut = len(X) // batch, len(X) // 2
    turns = []
    for _ in range(args.turns):
        one = pair.only(timed, estimator, "one", X, y)
        both = pair.run(timed, (estimator, "one", X, y), (estimator, "one", X, y))
        less = pair.only(timed, half, "one", X[:cut], y[:cut])
        layers = pair.run(timed, (estimator, "layers", X, y), (estimator, "layers", None, None))
        rows = pair.run(
            timed,
            (estimator, "rows", X[:cut], y[:cut]),
            (estimator, "rows", X[cut:], y[cut:]),
        )
        sizes = [units * (784 + CLASSES + 1), *[units * (units + 1)] * (args.layers - 1)]
        message = batch * (CANDIDATES * units + CANDIDATES + 1)
        told = pair.run(exchanged, (message, sizes), (message, sizes))[0]
        turns.append(
            {
                "one": one["epoch"] / n,
                "layer_seconds": one["layers"],
                "outside": one["epoch"] / n - one["layers"].sum(),
                "half": less["epoch"] / n,
                "slowdown": np.mean([each["epoch"] for each in both]) / one["epoch"],
                "pipeline": layers[0]["epoch"] / n,
                "rows": rows[0]["epoch"] / n,
                "message": told[0],
                "sum": told[1],
            }
        )
    found = {name: np.median([turn[name] for turn in turns], 0) for name in turns[0]}
    pipeline = of_pipeline(found, n, 2)
    rows = of_rows(found, batch)
    return {
        "benchmark": "pipeline",
        "shape": [784, *[units] * args.layers],
        "batch": batch,
        "steps": n,
        "one_ms": 1e3 * found["one"],
        "layers_ms": (1e3 * found["layer_seconds"]).round(3).tolist(),
        "outside_ms": 1e3 * float(found["outside"]),
        "half_ms": 1e3 * float(found["half"]),
        "slowdown": float(found["slowdown"]),
        "message_bytes": 4 * message,
        "message_ms": 1e3 * float(found["message"]),
        "sum_bytes": 4 * sum(sizes),
        "sum_ms": 1e3 * float(found["sum"]),
        "pipeline_ms": 1e3 * float(found["pipeline"]),
        "pipeline_predicted_ms": 1e3 * pipeline,
        "pipeline_times": float(found["one"] / found["pipeline"]),
        "own_processors_predicted_times": {
            n_ranks: found["one"] / of_pipeline(found | {"slowdown": 1.0}, n, n_ranks)
            for n_ranks in (2, args.layers)
        },
        "rows_ms": 1e3 * float(found["rows"]),
        "rows_predicted_ms": 1e3 * rows,
        "rows_times": float(found["one"] / found["rows"]),
        "turns": args.turns,
        **machine(),
    }


# The model ----------------------------------------------------------------------------------------


def of_pipeline(found, n, n_ranks):
    """Seconds of a step: of the slowest rank, and of the others while it has no work, divided.

    Ranks slow each other down while both compute: the slowest one while another does.
    """
    costs = found["layer_seconds"]
    ranks = [
        costs[own.start : own.stop].sum()
        + found["outside"]
        + found["message"] * ((own.start > 0) + (own.stop < len(costs)))
        for own in cuts(costs, n_ranks)
    ]
    *others, slowest = sorted(ranks)
    step = slowest + (found["slowdown"] - 1) * max(others)
    return float(step + sum(others) / n)


def of_rows(found, batch):
    """Seconds of a step: one of half of the batch and some rows more, and a sum over all weights.

    Of b rows in random order each of two ranks has b/2 ± √b/2, the larger share b/2 + 0.4 √b.
    """
    per_row = (found["one"] - found["half"]) / (batch / 2)
    step = found["half"] + 0.4 * batch**0.5 * per_row
    return float(found["slowdown"] * step + found["sum"])


# What is timed ------------------------------------------------------------------------------------


class Clock(Callback):
    """Seconds of every layer: from the gradient of the one below to its own."""

    def on_train_begin(self, net, **kwargs):
        self.seconds = []

    def on_batch_begin(self, net, **kwargs):
        self.times = [time.perf_counter()]

    def on_grad_computed(self, net, **kwargs):
        self.times.append(time.perf_counter())

    def on_batch_end(self, net, **kwargs):
        self.times.append(time.perf_counter())
        self.seconds.append(np.diff(self.times))


def timed(estimator, how, X, y):
    """Mean seconds of an epoch after the first, and of the layers in a step."""
    estimator = estimator.__class__(**estimator.get_params(deep=False))
    clock = Clock()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how == "one":
            fitted = estimator.set_params(callbacks=[clock]).fit(X, y)
        else:
            call = distributed.fit if how == "rows" else distributed.fit_layers
            fitted = call(estimator, X, y)
    if fitted is None:
        return None
    found = {"epoch": float(np.mean(fitted.net_.history[:, "dur"][1:]))}
    if how == "one":
        steps = np.array(clock.seconds[len(clock.seconds) // estimator.max_iter :])
        layers = steps.mean(0)
        layers[-2] += layers[-1]  # the update of the last layer
        found["layers"] = layers[:-1]
    return found


def exchanged(message, sizes, repeats=20):
    """Seconds of a message to the other rank, and of a sum of every size, over both."""
    rank, flat = dist.get_rank(), torch.zeros(message)
    seconds = []
    for _ in range(repeats):
        dist.barrier()
        begin = time.perf_counter()
        (dist.send if rank == 0 else dist.recv)(flat, 1 - rank)
        seconds.append(time.perf_counter() - begin)
    sums = [torch.zeros(size) for size in sizes]
    added = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for one in sums:  # copied before and after, as gradients are
            dist.all_reduce(copied := torch.cat([one]))
            one.copy_(copied)
        added.append(time.perf_counter() - begin)
    return float(np.median(seconds)), float(np.median(added))


# Two processes ------------------------------------------------------------------------------------


def serve(connection, rank, store):
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", f"file://{store}", rank=rank, world_size=2)
    while (task := connection.recv()) is not None:
        function, given = task
        connection.send(function(*given))


class Pair:
    """Two spawned processes of one thread, which run functions at the same time."""

    def __enter__(self):
        context = multiprocessing.get_context("spawn")
        self.folder = tempfile.TemporaryDirectory()
        self.ends, self.processes = [], []
        for rank in range(2):
            here, there = context.Pipe()
            given = there, rank, f"{self.folder.name}/store"
            process = context.Process(target=serve, args=given, daemon=True)
            process.start()
            self.ends.append(here)
            self.processes.append(process)
        return self

    def run(self, function, *given):
        for end, own in zip(self.ends, given, strict=True):
            end.send((function, own))
        return [end.recv() for end in self.ends]

    def only(self, function, *given):
        """The result of the first alone, while the other waits."""
        self.ends[0].send((function, given))
        return self.ends[0].recv()

    def __exit__(self, *error):
        for process in self.processes:
            process.kill()
        self.folder.cleanup()


if __name__ == "__main__":
    main()
