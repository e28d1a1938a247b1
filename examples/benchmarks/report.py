"""Render docs/results.md and its figures from the lines of `run.py`.

    python examples/benchmarks/report.py

Only lines with the settings that the run has in `runs.py` now count; for each run and seed the last
line counts. The page ends with the text of `results_notes.md`.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from named_run import epochs_of, learner_of, network_of
from report_table import Section, get, mebibytes, percent, table, wrapped
from run import OUTPUT, is_same, lines_of, settings, usual
from runs import RUNS

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
KEYS = ["run", "rows", "seed"]
RULES = ("goodness", "last", "head", "hybrid", "predict")
INTRODUCTION = """\
# Results

`examples/benchmarks/report.py` renders this page from the committed lines of
`examples/benchmarks/results/runs.jsonl`, which `examples/benchmarks/run.py` has measured. Figures
are those of the last epoch, on test rows, which no choice depends on; with several seeds they are
the mean, with the standard deviation. Published figures are those of the named authors. `rows` is
the number of training rows, `epochs` ours, of those of the recipe where they are more, `minutes`
the time of one run on two cores that other programs shared, `processor minutes` what of it a
processor worked for the run, and `MiB` the peak memory of its process. Backpropagation below a run
is of the same layers in one block (`recipes.backpropagation`), with the same epochs, batches and
images, and Adam at a rate of 0.001 that falls linearly, which was tuned for none of them. It has no
normalisation between layers; where that of a run centres activations, its convolutions have batch
normalisation instead. Runs that have not been measured are not listed here, but in
[the plan](../examples/benchmarks/plan.md).
"""


def main():
    args = arguments()
    every = lines_of(args.runs)
    args.docs.mkdir(parents=True, exist_ok=True)
    (args.docs / "results.md").write_text(render(every), encoding="utf-8")
    lines = results(every)
    for section in SECTIONS:
        of_section = [line for line in lines if line["benchmark"] == section.benchmark]
        if curves := in_order(with_curve(of_section)):
            draw(curves, args.docs / figure_of(section.benchmark))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=OUTPUT, help="file of lines")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write to")
    return parser.parse_args()


def render(lines):
    notes = (HERE / "results_notes.md").read_text(encoding="utf-8")
    counted = results(lines)
    measured = {line["benchmark"] for line in counted}
    sections = [one.render(counted) for one in SECTIONS if one.benchmark in measured]
    return "\n".join([INTRODUCTION, *sections, *tries(results(lines, "held_out")), notes])


def results(lines, rows="test"):
    """The lines that count: on these rows, with the settings of today, the last of a seed."""
    lines = [line for line in lines if line["rows"] == rows and line["run"] in RUNS]
    lines = [line for line in lines if of_today(line)]
    return list({tuple(line[key] for key in KEYS): line for line in lines}.values())


def of_today(line):
    """Whether the data and settings of the line are those of the run now."""
    clf = RUNS[line["run"]].make(line["seed"])
    if line["data"] != RUNS[line["run"]].data:
        return False
    return is_same({}, settings(clf), usual(clf), line)


# Tables -------------------------------------------------------------------------------------------


def by_rule(lines):
    """A row per run and prediction rule, for all seeds."""
    rows = []
    for run in RUNS:
        seeds = [line for line in lines if line["run"] == run]
        rows += [{"run": run, "rule": rule, "seeds": seeds} for rule in RULES]
    rows = [row for row in rows if row["seeds"]]
    return [row for row in rows if published(row) != "–" or values(row, f"error_{row['rule']}")]


def values(row, name):
    """One figure of all seeds that have it."""
    return [line[name] for line in row["seeds"] if name in line]


def figure(prefix, form=percent):
    """A column: mean and standard deviation over the seeds of `prefix` and the row's rule."""

    def column(row):
        why = RUNS[row["run"]].instead.get(row["rule"]) if prefix == "error" else None
        return why or spread(values(row, f"{prefix}_{row['rule']}"), form)

    return column


def spread(found, form):
    if not found:
        return "–"
    more = f" ± {np.std(found, ddof=1) * 100:.2f}" if len(found) > 1 else ""
    return f"{form(np.mean(found))}{more}"


def accuracy(share):
    """Accuracy in per cent, as rmwkwok states figures."""
    return f"{100 * (1 - share):.1f}"


def published(row):
    return RUNS[row["run"]].published.get(row["rule"], "–")


def minutes(name):
    """A column: the mean minutes of a run, of lines that have them."""

    def column(row):
        found = values(row, name)
        return f"{np.mean(found) / 60:.1f}" if found else "–"

    return column


def epochs(row):
    """Epochs of a run, of those of the publication."""
    return epochs_told(RUNS[row["run"]])


def epochs_told(run):
    learner = learner_of(run.make(0))
    n = learner.max_iter if network_of(learner) is None else epochs_of(learner)
    return f"{n} of {run.epochs}" if run.epochs else str(n)


def n_rows(row):
    return f"{row['seeds'][-1]['n_train']:,}"


def data_of(row):
    return row["seeds"][-1]["data"]


def rule(row):
    return RUNS[row["run"]].by or row["rule"]


def memory(row):
    return mebibytes(max(filter(None, values(row, "peak_bytes")), default=None))


COMMON = {"run": get("run"), "by": rule}
COSTS = {
    "seeds": lambda row: len(row["seeds"]),
    "rows": n_rows,
    "epochs": epochs,
    "minutes": minutes("seconds"),
    "processor minutes": minutes("processor_seconds"),
    "MiB": memory,
}
SECTIONS = [
    Section(
        "Recipes beside what was published",
        "Test error on MNIST of `sklearn_ff.recipes` with the settings of the programs. "
        "`mpezeshki_never_true` differs from `mpezeshki` in that a negative label is never the "
        "true one; `mpezeshki_our_defaults` has its layers and defaults for all other parameters.",
        "recipes",
        KEYS,
        COMMON
        | {
            "published": published,
            "test error": figure("error"),
            "training error": figure("train_error"),
        }
        | COSTS,
        rows=by_rule,
        more=lambda lines: told(lines, "Loss and errors against epochs of the recipes"),
    ),
    Section(
        "Published methods",
        "Test errors of other recipes, and of a linear classifier on the features of those "
        "without labels. Published figures are those of the authors, in brackets of their "
        "backpropagation; many are the lowest of all epochs, or of settings that were chosen on "
        "test rows, and some networks are known in outline only, as the recipes say. Some networks "
        "are narrower here: `deeper_forward` and `trifecta` have two fifths and an eighth of the "
        "published channels, `rmwkwok_routed_500` a quarter of the units; `scodellaro` has an "
        "eighth of the channels, kernels of 5 x 5 pixels instead of 7 x 7, a tenth of the epochs "
        "and a higher rate, which do not reach the published figure. Those whose names end with "
        "`full` are as published.",
        "field",
        KEYS,
        COMMON | {"data": data_of, "published": published, "test error": figure("error")} | COSTS,
        rows=by_rule,
        more=lambda lines: told(lines, "Loss against epochs of published methods"),
    ),
    Section(
        "rmwkwok's table of five digits",
        "Accuracy on the test rows of digits 0 to 4, in per cent; digits 5 to 9 are the negative "
        "rows. Published figures are the best of all epochs on test rows, so the same figure of "
        "ours is beside that of the last epoch; it is too high an estimate of the accuracy on new "
        "rows. Backpropagation learns from digits 0 to 4 only.",
        "rmwkwok",
        KEYS,
        COMMON
        | {
            "published, best on test": published,
            "ours, last epoch": figure("error", accuracy),
            "ours, best on test": figure("best_on_test", accuracy),
        }
        | COSTS,
        rows=by_rule,
        more=lambda lines: told(lines, "Test errors against epochs of the five-digit runs"),
    ),
    Section(
        "What the five-digit goodness depends on",
        "`rmwkwok_500_short` is `rmwkwok_500_supervised` for 30 of its 200 epochs, and the others "
        "are this with one thing changed: first weights uniform by Glorot's rule, as those of the "
        "program; negative rows in passes over all of them, each of which keeps its first label, "
        "as there; both; Adam's eps as there; goodness of all layers, not of all but the first; "
        "thresholds; and batches of 128 rows. Accuracy in per cent.",
        "ablation",
        KEYS,
        COMMON | {"ours, last epoch": figure("error", accuracy)} | COSTS,
        rows=by_rule,
        more=lambda lines: told(lines, "Test errors against epochs of the changed runs"),
    ),
    Section(
        "Our networks",
        "Test error of networks whose settings were chosen on held-out training rows, as "
        "`run.py --validate` scores them, each trained once per seed on all training rows. The "
        "goodness `readout` is a linear classifier in every layer, a local loss; `fashion_dense` "
        "has the default goodness, and its softmax head predicts best on held-out rows. The other "
        "three are behind lower errors in publications: of Forward-Forward, Distance-Forward "
        "(Wu et al., 2024), a deeper convolutional network, and Hinton (2022), dense layers "
        "with shifted images; of local losses, Nøkland and Eidnes (2019), with similarity "
        "matching, deeper convolutions, and flips on Fashion-MNIST.",
        "images",
        KEYS,
        COMMON
        | {
            "data": data_of,
            "test error": figure("error"),
            "published": published,
        }
        | COSTS,
        rows=by_rule,
        more=lambda lines: [
            *told(lines, "Loss against epochs of our networks"),
            "Their settings, where they differ from the defaults:",
            "\n".join(settings_of(line) for line in in_order(with_curve(lines))),
        ],
    ),
    Section(
        "A subset of CIFAR-10",
        "Test error on 4,000 images of a convolutional network that has learned from 16,000 "
        "others, compressed as JPEG: three blocks of two convolutions, images shifted and flipped. "
        "Published figures are of the whole set, not of these. `cifar_labels` shows "
        "labels and predicts by goodness, in one pass per class, after 12 epochs where the others "
        "have 25, in about the same time; `cifar_groups` scores classes in "
        "one pass; `cifar_readout` and `cifar_similarity` are local losses. `run.py NAME --data "
        "cifar10` does the same with the whole set.",
        "cifar",
        KEYS,
        COMMON | {"test error": figure("error")} | COSTS,
        rows=by_rule,
        more=lambda lines: told(lines, "Loss against epochs on the subset of CIFAR-10"),
    ),
    Section(
        "Features without labels",
        "Test error of a linear classifier (`LogisticRegression`) on features that `FFTransformer` "
        "has learned without labels. Of recipes the settings are those published, with the "
        "differences that they tell: the second layer of `scff` learns from shifted images in the "
        "program. Settings of our own networks were chosen on held-out training rows.",
        "unlabelled",
        KEYS,
        COMMON
        | {
            "data": data_of,
            "test error": figure("error"),
            "published": published,
        }
        | COSTS,
        rows=by_rule,
        more=lambda lines: told(lines, "Loss against epochs of the features"),
    ),
]


def tries(lines):
    """What was tried on held-out rows, with the settings that differ from the defaults."""
    if not lines:
        return
    columns = COMMON | {"data": data_of, "held-out error": figure("error")}
    columns |= {"processor minutes": minutes("processor_seconds")}
    cells = [[column(row) for column in columns.values()] for row in by_rule(lines)]
    prose = (
        "Errors on the sixth of the training rows that `run.py --validate` holds out, by which "
        "the settings of our networks were chosen; the test rows are not used."
    )
    settings = "\n".join(settings_of(line) for line in in_order(with_curve(lines)))
    texts = ["## Tried on held-out rows", wrapped(prose), table(columns, cells), settings]
    yield "\n\n".join(texts) + "\n"


# Figures ------------------------------------------------------------------------------------------


def figure_of(benchmark):
    return f"images/results_{benchmark}.svg"


def told(lines, caption):
    """The figure of the section."""
    if with_curve(lines):
        yield f"![{caption}]({figure_of(lines[0]['benchmark'])})"


def settings_of(line):
    """The settings of a run that differ from the defaults."""
    known = usual(RUNS[line["run"]].make(0))
    given = {k: v for k, v in line["settings"].items() if k in known and v != known[k]}
    return f"- `{line['run']}`: `{', '.join(f'{k}={v}' for k, v in given.items())}`"


def with_curve(lines):
    """The first seed of every run."""
    return list({line["run"]: line for line in reversed(lines) if line["curve"]["loss"]}.values())


def in_order(lines):
    """Lines in the order of their runs."""
    return sorted(lines, key=lambda line: [*RUNS].index(line["run"]))


def draw(lines, path):
    """A panel per run; always the same bytes."""
    columns = min(3, len(lines))
    shape = -(-len(lines) // columns), columns
    with rc_context({"svg.hashsalt": "sklearn_ff", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4 * shape[1], 3 * shape[0]), layout="tight")
        panels = figure.subplots(*shape, squeeze=False).ravel()
        for panel, line in zip(panels, lines, strict=False):
            draw_curve(panel, line)
        for panel in panels[len(lines) :]:
            panel.axis("off")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def draw_curve(panel, line):
    """Errors after the epochs that were scored, or the loss if none was."""
    curve = line["curve"]
    watched = [name for name in curve if name.startswith("error_")]
    for name in watched:
        errors = [100 * value for value in curve[name]]
        panel.plot(curve["epoch"], errors, label=name.removeprefix("error_"))
    if not watched:
        panel.plot(range(1, 1 + len(curve["loss"])), curve["loss"], label="training loss")
    panel.set(title=line["run"], xlabel="epoch", ylabel="error, %" if watched else "loss")
    panel.legend()


if __name__ == "__main__":
    main()
