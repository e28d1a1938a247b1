"""Render plan.md, the plan of the machine time, from `planned.py` and the lines.

python examples/benchmarks/plan_report.py
"""

from pathlib import Path

import numpy as np
import parts
from planned import CORES, PLAN
from report import epochs_told, results
from report_table import table, wrapped
from run import OUTPUT, lines_of
from runs import RUNS

PAGE = Path(__file__).parent / "plan.md"
INTRODUCTION = """\
# The plan of the figures

What is measured and what is not yet. `plan_report.py` renders this page from `planned.py` and the
committed lines. It lists every run of [the results](../../docs/results.md) in the order in which
they are trained: group by group, the first seed of every run of a group before the second ones.
`epochs` are ours, of those of the recipe where they are more: all where a run takes at most twenty
processor minutes, and of the programs at the end of the list, else as many as fit. `processor
minutes` are those of one run, measured where a line has them, else estimated. A run counts as half
of them, since two runs with a thread each keep two cores busy. Three seeds where that is at most
ten minutes, two up to thirty, one beyond, and of most with fewer epochs than the recipe; the two
founding programs have three.
"""


def main():
    PAGE.write_text(render(lines_of(OUTPUT), lines_of(parts.OUTPUT)), encoding="utf-8")


def render(lines, lines_of_parts):
    lines = results(lines) + results(lines, "held_out")
    groups = [group(title, planned, lines) for title, planned in PLAN.groups.items()]
    return "\n".join([INTRODUCTION, total(lines), *groups, of_parts(lines_of_parts)])


def total(lines):
    """The hours of all, and of what is left."""
    every = [one for group in PLAN.groups.values() for one in group if not one.gpu]
    hours = sum(one.n_seeds * minutes(one, lines) for one in every) / 60 / CORES
    left = sum(missing_seeds(one, lines) * minutes(one, lines) for one in every) / 60 / CORES
    text = (
        f"In all the named runs take {hours:.1f} hours on {CORES} cores, of which {left:.1f} are "
        f"left; `python examples/benchmarks/run.py --plan --minutes 60 --threads 1` carries on for "
        f"an hour, and a second such command with `--backwards` beside it from the other end. Runs "
        f"for a GPU are not counted; the command trains them where there is one."
    )
    return f"{wrapped(text)}\n"


def group(title, planned, lines):
    rows = [row(one, lines) for one in planned]
    header = ["run", "data", "epochs", "processor minutes", "seeds", "measured"]
    return f"## {title}\n\n{table(header, rows)}\n"


def row(planned, lines):
    run = RUNS[planned.run]
    return [
        f"`{planned.run}`",
        run.data,
        epochs_told(run),
        "GPU" if planned.gpu else f"{minutes(planned, lines):.1f}",
        planned.n_seeds,
        planned.n_seeds - missing_seeds(planned, lines),
    ]


def of(planned, lines):
    return [line for line in lines if (line["run"], line["rows"]) == (planned.run, planned.rows)]


def minutes(planned, lines):
    """Processor minutes of a run: the mean of those measured, or the estimate."""
    found = [
        line["processor_seconds"] for line in of(planned, lines) if "processor_seconds" in line
    ]
    return np.mean(found) / 60 if found else planned.processor_minutes


def missing_seeds(planned, lines):
    seeds = {line["seed"] for line in of(planned, lines)}
    return sum(seed not in seeds for seed in range(planned.n_seeds))


def of_parts(lines):
    """What `parts.py` takes."""
    rows = []
    for data, estimate in parts.MINUTES.items():
        own = [line for line in lines if line["data"] == data]
        found = [line["processor_seconds"] / 60 for line in own]
        mean = np.mean(found) if found else estimate
        n = len(parts.legal())
        done = sum(line["seed"] == 0 for line in own)
        left = sum(1 for _ in parts.missing([data], parts.SEEDS, lambda: lines))
        hours = f"{n * mean / 60 / CORES:.1f}"
        rows.append([data, n, done, len(own) - done, left, f"{mean:.2f}", hours])
    header = ["data", "combinations", "first seeds", "further seeds", "runs left"]
    header += ["processor minutes of one", f"hours of the first seeds, on {CORES} cores"]
    text = wrapped(
        "`parts.py` goes through [parts against parts](../../docs/parts_matrix.md), with a plan of "
        "its own: the first seed of every combination, then two further ones of those that are "
        "close to the best. `python examples/benchmarks/parts.py --threads 1` carries on."
    )
    return f"## Parts against parts\n\n{text}\n\n{table(header, rows)}\n"


if __name__ == "__main__":
    main()
