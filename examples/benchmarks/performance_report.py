"""Render docs/performance.md from the result lines.

    python examples/benchmarks/performance_report.py

Reads `results/*.jsonl` in the folder of this file; for each case the last line counts. The page
ends with the text of `performance_notes.md`, which sums up.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean, median, pstdev

import growth
import memory_depth
from report_table import (
    Section,
    by_machine,
    get,
    lines_of,
    machines,
    mebibytes,
    milliseconds,
    number,
    peak,
    percent,
    series,
    shape,
    table,
    words,
    wrapped,
)
from rows_beyond_memory import CALLS

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
FIGURE = "images/growth.svg"
INTRODUCTION = """\
# Performance

Time and memory of fits and predictions, beside other programs. Ratios are medians of ratios of
times that were measured alternately within one run; above 1, ours takes longer. Where several
machines have been measured, each has a table of its own.
[Where it takes longer](#where-it-takes-longer) sums up.

`examples/benchmarks/performance_report.py` renders this page from the committed lines in
`examples/benchmarks/results/`.
"""


def main():
    args = arguments()
    lines = read(args.results)
    args.docs.mkdir(parents=True, exist_ok=True)
    (args.docs / "performance.md").write_text(render(lines), encoding="utf-8")
    if measured := drawn(lines):
        growth.draw(measured, args.docs / FIGURE)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of lines")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write to")
    return parser.parse_args()


def read(folder):
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def render(lines):
    notes = (HERE / "performance_notes.md").read_text(encoding="utf-8")
    sections = [section.render(lines, apart=True) for section in SECTIONS]
    return "\n".join([INTRODUCTION, *sections, notes])


def learned_from(line):
    more = f", {line['rows']:,} rows, {line['epochs']} epochs" if "rows" in line else ""
    return line["data"] + more


def errors_and_memory(lines):
    """Errors of `hybrid` and `goodness`, and the memory of `hybrid` with many classes."""
    errors = {line["rule"]: line["error"] for line in lines if "error" in line}
    for line in lines:
        if "points_lost" in line:
            row = [percent(errors["goodness"]), percent(line["error"]), number(line["points_lost"])]
            yield table(["error by `goodness`", "error by `hybrid`", "points lost"], [row])
        if "peak_bytes" in line:
            yield wrapped(
                f"With {line['classes']:,} classes and {line['rows']:,} rows, `{line['rule']}` "
                f"needs {mebibytes(line['peak_bytes'])} MiB at its peak, where one score per row "
                f"and class is {mebibytes(line['result_bytes'])} MiB."
            )


def by_depth(lines):
    """A row of peaks per depth."""
    rows = {}
    for line in lines:
        rows.setdefault(line["depth"], {})[line["method"]] = line["peak_bytes"]
    return [{"depth": depth} | rows[depth] for depth in sorted(rows)]


def memory_growth(lines):
    """Growth of ours from the least depth to the greatest, and its ratio to backprop there."""
    rows = [row for row in by_depth(lines) if {"forward_forward", "backprop"} <= set(row)]
    if not rows:
        return []
    least, most = rows[0], rows[-1]
    grown = most["forward_forward"] / least["forward_forward"] - 1
    share = most["forward_forward"] / most["backprop"]
    cells = [
        ["growth", f"{least['depth']} to {most['depth']}", percent(grown)],
        ["share of backprop's", most["depth"], percent(share)],
    ]
    return [table(["Forward-Forward", "depth", "figure"], cells)]


def drawn(lines):
    """The lines of growth of the machine that has measured the most axes."""
    lines = [line for line in lines if line["benchmark"] == "growth"]
    return max(
        (lines_of(own, "growth", ["axis"]) for own in by_machine(lines)), key=len, default=[]
    )


def figure(lines):
    """The figure of growth, and its machine where there are several."""
    link = f"![Seconds per epoch against every axis, log-log]({FIGURE})"
    several = len(by_machine(lines)) > 1
    return [link, *[wrapped(f"In the figure: {one}") for one in machines(drawn(lines)) if several]]


def by_precision(lines):
    """A row per set-up that was run in both precisions, from the lines with means over seeds."""
    keys, rows = ("data", "rows", "epochs", "units", "seeds"), {}
    for line in lines:
        if line.get("precision") in ("float32", "bfloat16") and "seeds" in line:
            row = rows.setdefault(
                str([line[key] for key in keys]), {key: line[key] for key in keys}
            )
            row[line["precision"]] = line["error_goodness_mean"]
    return [
        row | {"points_lost": 100 * (row["bfloat16"] - row["float32"])}
        for row in rows.values()
        if {"float32", "bfloat16"} <= set(row)
    ]


def median_of(lines, keys, numbers):
    """A row per case of the keys, with the medians of some numbers over its lines."""
    cases = {}
    for line in lines:
        cases.setdefault(tuple(line[key] for key in keys), []).append(line)
    return [
        dict(zip(keys, case, strict=True))
        | {name: median(line[name] for line in own) for name in numbers}
        | {"errors": [line["error"] for line in own if "error" in line]}
        | {"log_losses": [line["log_loss"] for line in own if "log_loss" in line]}
        for case, own in cases.items()
    ]


def by_model(lines):
    """A row per data set and model, with its share of the seconds of "mlp"."""
    rows = median_of(lines, ("data", "model"), ("seconds",))
    theirs = {row["data"]: row["seconds"] for row in rows if row["model"] == "mlp"}
    for row in rows:
        row["share"] = row["seconds"] / theirs[row["data"]] if row["data"] in theirs else None
    order = list(dict.fromkeys(row["data"] for row in rows))
    return sorted(rows, key=lambda row: order.index(row["data"]))


def by_process(lines):
    """A row per depth: medians of what a process takes beyond four times its weights."""
    beyond = [
        line | {"beyond": line["peak_training"] - 4 * line["weights_bytes"]} for line in lines
    ]
    rows = {}
    for row in median_of(beyond, ("depth", "method"), ("beyond",)):
        rows.setdefault(row["depth"], {"depth": row["depth"]})[row["method"]] = row["beyond"]
    return [rows[depth] for depth in sorted(rows)]


def by_network(lines):
    rows = [line | {"error": line["test_error"]} for line in lines]
    return median_of(rows, ("network", "epochs"), ("seconds_per_epoch",))


def mean_error(row):
    errors = row["errors"]
    spread = f" ± {100 * pstdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{100 * fmean(errors):.2f} %{spread}"


SECTIONS = [
    Section(
        "Defaults against defaults",
        "FFClassifier((500, 500)) and MLPClassifier((500, 500)) with their defaults otherwise, on "
        "MNIST, and both with all defaults on scikit-learn's digits and eight "
        "tables, standardised, where seconds are of four folds of all tables, and errors and "
        "log-losses are means (`defaults.py`). There `trees` is HistGradientBoostingClassifier and "
        "`neighbours` KNeighborsClassifier with their defaults, the latter also with columns that "
        "are not standardised; seconds are of the fit alone. "
        "`ff_short` is `ff` with the number of epochs that reaches the error of `mlp` on held-out "
        "training rows. Seconds are medians over the seeds, errors means and deviations.",
        "defaults",
        ["data", "rows", "model", "seed", "threads"],
        {
            "data": words("data"),
            "model": get("model"),
            "seeds": lambda row: len(row["errors"]),
            "error": mean_error,
            "log-loss": lambda row: f"{fmean(row['log_losses']):.3f}",
            "seconds": get("seconds", number),
            "share of mlp's": lambda row: "–" if row["share"] is None else f"{row['share']:.3f}",
        },
        rows=lambda lines: by_model([line for line in lines if line["rows"] == "test"]),
    ),
    Section(
        "A whole fit beside others",
        "Seconds of a whole `fit`, ours and theirs: on MNIST with the same shape, batch, epochs "
        "and threads, on standardised tables with the defaults of both (`fit_time.py`). `mlp` is "
        "scikit-learn's `MLPClassifier`, `backprop` a plain loop in torch.",
        "fit_time",
        ["data", "against", "rows", "epochs", "threads"],
        {
            "data": learned_from,
            "against": get("against"),
            "seconds": get("seconds", number),
            "theirs": get("seconds_theirs", number),
            "ratio": get("ratio", number),
        },
    ),
    Section(
        "On a GPU",
        "Seconds per epoch of MNIST, beside plain backprop of the same layers on the same card "
        "(`gpu_time.py`). `dense` is 784-2000-2000-2000-2000, `conv` three convolutions of 32, 64 "
        "and 128 channels with batch normalisation and pooling. Steps are recorded as CUDA graphs, "
        "or run as they are with `compile=False`; backprop is not recorded. Where the card is "
        "shared, other jobs of ours ran on it, for both programs.",
        "gpu_time",
        ["network", "batch_size", "precision", "ours", "card"],
        {
            "network": get("network"),
            "batch": get("batch_size"),
            "precision": get("precision"),
            "steps": get("ours"),
            "card": lambda row: "alone" if row["alone"] else "shared",
            "seconds": get("seconds_per_epoch", number),
            "theirs": get("seconds_theirs", number),
            "ratio": get("ratio", number),
        },
    ),
    Section(
        "Prediction",
        "Time of `decision_function` at 784-500-500, divided by that of the products that "
        "`goodness` needs, or by that of one plain forward pass of the same network in torch "
        "(`prediction_time.py`). The errors are those of a fit of ten epochs of MNIST, one seed.",
        "prediction_time",
        ["data", "rule", "classes", "rows", "threads"],
        {
            "rule": get("rule"),
            "classes": get("classes", "{:,}".format),
            "against": words("against"),
            "ms": milliseconds("seconds"),
            "theirs, ms": milliseconds("seconds_theirs"),
            "ratio": get("ratio", number),
        },
        more=errors_and_memory,
    ),
    Section(
        "Memory against depth",
        "Peak memory of a training step in MiB, beyond data, weights, one gradient and optimizer "
        "state; 1,000 units, batches of 4,096 rows (`memory_depth.py`).",
        "memory_depth",
        ["method", "depth", "units", "batch_size"],
        {"depth": get("depth")} | {m.replace("_", " "): peak(m) for m in memory_depth.METHODS},
        rows=by_depth,
        more=memory_growth,
    ),
    Section(
        "Resident memory of a process",
        "Resident memory of a whole process at its peak in training, in MiB beyond four times its "
        "weights, median over the turns; 1,000 units, batches of 4,096 rows "
        "(`memory_process.py`). It contains the libraries and the rows.",
        "memory_process",
        ["method", "depth", "turn"],
        {"depth": get("depth")}
        | {m.replace("_", " "): peak(m) for m in ("forward_forward", "backprop")},
        rows=by_process,
    ),
    Section(
        "Rows in a file",
        "Peaks of resident memory in MiB, pages of the file included, beyond that before the call, "
        "for a memory map of rows of 3,072 columns; 32 units, batches of 512 rows, one epoch, for "
        "the classifier with a tenth of the rows held out (`rows_beyond_memory.py`).",
        "rows_beyond_memory",
        ["dtype", "gibibytes", "estimator", "rows"],
        {
            "dtype": get("dtype"),
            "file": lambda row: f"{row['file_bytes'] / 2**30:.2f} GiB",
            "rows": get("n_rows", "{:,}".format),
            "calls": lambda row: " and ".join(f"`{n}`" for n in CALLS[row["estimator"]]),
            "fit": peak("peak_fit"),
            "after it": peak("peak_use"),
        },
    ),
    Section(
        "Speed of rows in a file",
        "Rows per second of a whole `fit` and of `predict`, for a memory map whose file the system "
        "has in its cache, and for the same rows in memory, in turn; medians "
        "(`rows_beyond_memory.py --speed`).",
        "rows_beyond_memory_speed",
        ["dtype", "gibibytes", "units", "epochs", "rows", "turn"],
        {
            "dtype": get("dtype"),
            "file": lambda row: f"{row['gibibytes']:g} GiB",
            "units": get("units"),
            "epochs": get("epochs"),
            "rows": get("rows"),
            "fit": get("rows_per_second_fit", "{:,.0f}".format),
            "predict": get("rows_per_second_predict", "{:,.0f}".format),
        },
        rows=lambda lines: median_of(
            lines,
            ("dtype", "gibibytes", "units", "epochs", "rows"),
            ("rows_per_second_fit", "rows_per_second_predict"),
        ),
    ),
    Section(
        "Cost against size",
        "Seconds per epoch, with one axis varied at a time (`growth.py`). The slope is that of log "
        "seconds over log size in the upper half of the axis; beside it is the slope of the fewest "
        "multiply-adds over the same points.",
        "growth",
        ["axis"],
        {
            "axis": get("axis"),
            "values": series("values", ","),
            "seconds": series("seconds", ".3g"),
            "slope": get("slope", number),
            "slope of multiply-adds": get("slope_due", number),
        },
        last=figure,
    ),
    Section(
        "Low precision",
        "Error by `goodness`, mean over the seeds, with the matrix products of training in either "
        "precision (`mnist.py --set precision=bfloat16`).",
        "mnist",
        ["data", "rows", "epochs", "units", "seed", "seeds", "precision"],
        {
            "data": get("data"),
            "rows": words("rows"),
            "shape": shape,
            "epochs": get("epochs"),
            "seeds": lambda row: len(row["seeds"]),
            "float32": get("float32", percent),
            "bfloat16": get("bfloat16", percent),
            "points lost": get("points_lost", number),
        },
        rows=by_precision,
    ),
    Section(
        "Time to published errors",
        "Seconds of a `fit` on MNIST that reaches the error of a published program, and of that "
        "program, rewritten in a plain form and timed by the step (`time_to_error.py`). Only the "
        "error is the same, not the network: ours are chosen, on held-out training rows, to reach "
        "it fastest. For mpezeshki's it is one layer of 100 units, for Löwe's two convolutions and "
        "a dense layer, with the goodness `readout`, for one epoch of 50,000 rows.",
        "time_to_error",
        ["program", "rows", "seed", "threads"],
        {
            "program": get("program"),
            "rows": words("rows"),
            "seed": get("seed"),
            "error": get("error", percent),
            "to reach": get("goal", percent),
            "seconds": get("seconds", number),
            "theirs": get("seconds_theirs", "{:,.0f}".format),
            "times faster": get("times_faster", "{:,.0f}".format),
        },
    ),
    Section(
        "A network of one block",
        "The same network as one block and as a plain loop in torch, on MNIST "
        "(`backprop_block.py`).",
        "backprop_block",
        ["network", "seed", "epochs", "rows", "threads"],
        {
            "network": get("network"),
            "epochs": get("epochs"),
            "seeds": lambda row: len(row["errors"]),
            "test error": mean_error,
            "seconds per epoch": get("seconds_per_epoch", number),
        },
        rows=by_network,
    ),
    Section(
        "A training step over its products",
        "Time of a step inside `fit`, divided by the time of its matrix products alone, the fewest "
        "that the method needs (`step_limit.py`).",
        "step_limit",
        ["units", "batch_size", "precision", "threads"],
        {
            "shape": shape,
            "batch": get("batch_size"),
            "precision": get("precision"),
            "step, ms": milliseconds("seconds_step"),
            "products, ms": milliseconds("seconds_floor"),
            "ratio": get("ratio", number),
        },
    ),
]


if __name__ == "__main__":
    main()
