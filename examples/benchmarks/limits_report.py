"""Render docs/limits.md, where Forward-Forward loses, from the committed lines.

python examples/benchmarks/limits_report.py
"""

from pathlib import Path
from statistics import fmean, median

from outliers import DEVELOPMENT, FINAL
from performance_report import HERE, read
from report import results
from report_table import by_machine, lines_of, machines, mebibytes, table, wrapped
from runs import GROUPS, RUNS
from tables import DEVELOPMENT as OF_DEVELOPMENT
from tables import OPENML

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
MODELS = {
    "ff": "`FFClassifier`",
    "mlp": "`MLPClassifier`",
    "trees": "`HistGradientBoostingClassifier`",
    "neighbours": "`KNeighborsClassifier`",
    "neighbours_unscaled": "the same, not standardised",
}
DETECTORS = {"ff": "`FFOutlierDetector`", "nearest": "nearest row"}
NAMES = {"digits": "digits", "tables": "eight tables"}
OTHERS = [name for name in OPENML if name not in OF_DEVELOPMENT]
INTRODUCTION = """\
# Where Forward-Forward loses

This page compares the package with what a user would take instead: backpropagation, gradient
boosting and nearest neighbours. `examples/benchmarks/limits_report.py` renders it from the
committed lines of `examples/benchmarks/results/`; each section names the command that has measured
them. It shows wins and losses alike. In the columns "more" a positive number is a loss of
Forward-Forward.
"""
WHEN = """\
## When not to use it

- **For a good classifier alone.** Backpropagation takes less time and is better understood.
- **For tables, without trying gradient boosting.** It needs no scaling and no imputing.
- **For outliers, without trying the nearest row.** It has no training and no settings.
- **Where seconds count.** A step needs at least two candidates, a head one more pass, and
  prediction by goodness one pass per class ([performance](performance.md)).
- **For memory in small networks.** What is saved are the activations of other layers. They are
  large in deep networks and large batches only ([table](performance.md#memory-against-depth));
  elsewhere weights, rows and the optimizer's state are larger.
- **For regression, several labels per row, or missing values**, which are not supported.

What remains are the questions it was made for: what a layer can learn without knowing what comes
after it; deep networks whose activations do not fit into memory, though backpropagation with
checkpoints takes little more ([table](performance.md#memory-against-depth)); layers that nothing
can be differentiated through; and how familiar a row is, though the nearest row tells it as well.
"""


def main():
    PAGE.write_text(render(read(HERE / "results")), encoding="utf-8")


def render(lines):
    sections = [against_backpropagation(lines), on_tables(lines), on_outliers(lines), WHEN]
    return "\n".join([INTRODUCTION, *sections])


def section(title, prose, *texts):
    return "\n\n".join([f"## {title}", wrapped(prose), *texts]) + "\n"


# Backpropagation ----------------------------------------------------------------------------------


def against_backpropagation(lines):
    named = results([line for line in lines if line["benchmark"] in GROUPS])
    pairs = [(name, run.against) for name, run in RUNS.items() if run.against]
    rows = [defaults(lines), *(compared(*(of(named, name) for name in pair)) for pair in pairs)]
    header = ["run", "data", "error", "backpropagation", "more, points", "seeds", "time, times"]
    missing = [name for name, against in pairs if not (of(named, name) and of(named, against))]
    prose = (
        "Test errors of the runs of [the results](results.md) beside backpropagation on the same "
        "layers, with the same epochs (`cifar_labels` with half of them), batches and images "
        "(`run.py NAME NAME_backprop`), and how many times the processor time of it they took, "
        "and their peak memory in MiB. Backpropagation has Adam at a rate of 0.001 that falls "
        "linearly, which was tuned for none of these networks ([results](results.md) say how they "
        "are normalised); the defaults of `FFClassifier` were "
        "chosen on held-out rows of MNIST. The standard error of 1.4 % on 10,000 test rows is 0.12 "
        "points, so smaller differences tell little, as do those of one seed. The first row is of "
        "two layers of 500 units with all other parameters at their defaults, in ten epochs "
        "(`defaults.py --data mnist`, `backprop_block.py --epochs 10`); its times are those of a "
        "fit beside a plain loop in torch (`fit_time.py`). "
        f"{len(missing)} further pairs are [planned](../examples/benchmarks/plan.md)."
    )
    found = table([*header, "MiB"], [row for row in rows if row])
    compared_runs = {name for pair in pairs if pair[0] not in missing for name in pair}
    used = [line for line in named if line["run"] in compared_runs]
    return section("To backpropagation", prose, found, *machines(used))


def defaults(lines):
    """A row for the defaults of `FFClassifier((500, 500))`; None without all of its lines."""
    tested = [line for line in lines if line["benchmark"] == "defaults" and line["rows"] == "test"]
    ours = [
        line["error"]
        for line in lines_of(tested, "defaults", ["data", "model", "seed"])
        if (line["data"], line["model"]) == ("mnist", "ff")
    ]
    theirs = [line["test_error"] for line in lines if line.get("network") == "block"]
    times = [
        line["ratio"]
        for line in lines_of(lines, "fit_time", ["data", "against"])
        if (line["data"], line["against"]) == ("mnist", "backprop")
    ]
    if not (ours and theirs and times):
        return None
    errors = 100 * fmean(ours), 100 * fmean(theirs)
    cells = [f"{errors[0]:.2f} %", f"{errors[1]:.2f} %", f"{errors[0] - errors[1]:+.2f}"]
    seeds = f"{len(ours)} / {len(theirs)}"
    return ["the defaults", "mnist", *cells, seeds, f"{times[-1]:.1f}", "–"]


def of(lines, name):
    return [line for line in lines if line["run"] == name]


def compared(ours, theirs):
    """A row of the table; None if one of both is missing."""
    if not ours or not theirs:
        return None
    errors = [100 * fmean(error_of(line) for line in side) for side in (ours, theirs)]
    seconds = [[line.get("processor_seconds") for line in side] for side in (ours, theirs)]
    measured = all(all(side) for side in seconds)
    times = f"{fmean(seconds[0]) / fmean(seconds[1]):.1f}" if measured else "–"
    memory = " / ".join(mebibytes(max(line["peak_bytes"] for line in s)) for s in (ours, theirs))
    return [
        ours[0]["run"],
        ours[0]["data"],
        *(f"{error:.2f} %" for error in errors),
        f"{errors[0] - errors[1]:+.2f}",
        f"{len(ours)} / {len(theirs)}",
        times,
        memory,
    ]


def error_of(line):
    """The error by the rule of the recipe: the first that the run has."""
    return next(line[f"error_{rule}"] for rule in (*RUNS[line["run"]].rules, "predict"))


# Tables -------------------------------------------------------------------------------------------


def on_tables(lines):
    lines = [line for line in lines if line["benchmark"] == "defaults" and line["rows"] == "test"]
    lines = [line for line in by_machine(lines)[0] if line["data"] in NAMES]
    lines = lines_of(lines, "defaults", ["data", "model", "seed"])
    prose = (
        "Defaults against defaults on scikit-learn's digits and on eight tables, standardised: "
        "means over four outer folds and the seeds, seconds of all fits of the folds "
        "(`defaults.py --data digits tables`). The prediction of nearest neighbours is not in its "
        "seconds. The comparison favours `FFClassifier`: its defaults were chosen with training "
        f"rows of {', '.join(OF_DEVELOPMENT[:-1])} and {OF_DEVELOPMENT[-1]}, and the scale of its "
        "probabilities with those of all eight tables; a test row of one fold is a training row of "
        "the three others. Those of scikit-learn know none of them. The four other tables are the "
        "fairer test."
    )
    return section(
        "To gradient boosting and nearest neighbours",
        prose,
        models(lines),
        summary(lines),
        wrapped("By table, errors in per cent, and how much more that of `FFClassifier` is:"),
        by_table(lines),
        *machines(lines),
    )


def models(lines):
    rows = []
    for data, name in NAMES.items():
        for model, called in MODELS.items():
            own = [line for line in lines if (line["data"], line["model"]) == (data, model)]
            if own:
                error = f"{100 * fmean(line['error'] for line in own):.2f} %"
                loss = f"{fmean(line['log_loss'] for line in own):.3f}"
                seconds = f"{median(line['seconds'] for line in own):.1f}"
                rows.append([name, called, error, loss, seconds])
    return table(["data", "model", "error", "log-loss", "seconds"], rows)


def summary(lines):
    """A sentence for every other model, on the eight tables."""
    every = means_by_table([line for line in lines if line["data"] == "tables"])
    told = []
    for model in ("mlp", "trees", "neighbours"):
        both = {name for name, means in every.items() if {"ff", model} <= set(means)}
        if both:
            own = compared_errors(every, both, model)
            new = compared_errors(every, both.intersection(OTHERS), model)
            told.append(
                f"- {MODELS[model]} has the lower error on {own[0]} of {len(both)} tables "
                f"({own[1]} points for `FFClassifier` on average), of the other tables on {new[0]} "
                f"of {len(both.intersection(OTHERS))} ({new[1]} points)."
            )
    return "\n".join(told)


def compared_errors(every, names, model):
    """On how many of these tables a model is better than ours, and how much more our errors are."""
    more = [every[name]["ff"] - every[name][model] for name in names]
    return sum(one > 0 for one in more), f"{fmean(more):+.2f}" if more else "–"


def means_by_table(lines):
    """Mean errors of every model in per cent: table: {model: error}."""
    found = {}
    for line in lines:
        for name, error in line["error_by_table"].items():
            found.setdefault(name, {}).setdefault(line["model"], []).append(100 * error)
    return {
        name: {model: fmean(errors[model]) for model in MODELS if model in errors}
        for name, errors in found.items()
    }


def by_table(lines):
    """Errors of every table, and differences from the best of the others."""
    every = means_by_table(lines)
    rows = [row_of(name, means) for name, means in every.items()]
    for title, names in {"development": OF_DEVELOPMENT, "other": OTHERS}.items():
        of_kind = [every[name] for name in names if name in every]
        if of_kind:
            shared = [model for model in MODELS if all(model in means for means in of_kind)]
            means = {model: fmean(means[model] for means in of_kind) for model in shared}
            rows.append(row_of(f"mean of the {title} tables", means))
    return table(["table", *MODELS.values(), "more than the best of them"], rows)


def row_of(name, means):
    """The errors of a table, and the difference from the best of the others."""
    cells = [f"{means[model]:.2f}" if model in means else "–" for model in MODELS]
    others = [value for model, value in means.items() if model != "ff"]
    return [name, *cells, f"{means['ff'] - min(others):+.2f}" if others else "–"]


# Outliers -----------------------------------------------------------------------------------------


def on_outliers(lines):
    found = {}
    for line in lines_of(lines, "outliers", ["set", "by", "seed"]):
        found.setdefault((line["set"], line["by"]), []).append(line["auroc"])
    rows = []
    for name in [*DEVELOPMENT, *FINAL]:
        means = [fmean(found[name, by]) for by in DETECTORS]
        rows.append([name, *(f"{mean:.3f}" for mean in means), f"{means[1] - means[0]:+.3f}"])
    for title, names in {"development": DEVELOPMENT, "final": FINAL}.items():
        means = [fmean(fmean(found[name, by]) for name in names) for by in DETECTORS]
        cells = [f"{mean:.3f}" for mean in means]
        rows.append([f"mean of the {title} sets", *cells, f"{means[1] - means[0]:+.3f}"])
    prose = (
        "Areas under the ROC curve, means of three seeds (`outliers.py`; settings were chosen on "
        "the development sets). The distance from the nearest training row needs no training."
    )
    header = ["set", *DETECTORS.values(), "more for the nearest row"]
    return section("To the nearest row, in finding outliers", prose, table(header, rows))


if __name__ == "__main__":
    main()
