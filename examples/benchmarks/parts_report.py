"""Render the lines of `parts.py`: docs/parts_matrix.md, and the figures of docs/which_parts.md.

python examples/benchmarks/parts_report.py
"""

from pathlib import Path

import numpy as np
from parts import DATA, OUTPUT, USUAL, differences, legal
from report_table import machines, table, wrapped
from run import lines_of

from sklearn_ff.goodness import goodness
from sklearn_ff.negatives import negatives
from sklearn_ff.objectives import objectives

DOCS = Path(__file__).parents[2] / "docs"
MATRIX, PAGE = DOCS / "parts_matrix.md", DOCS / "which_parts.md"
BEGIN = "<!-- figures of examples/benchmarks/parts_report.py -->\n"
END = "<!-- end of figures -->\n"
NAMES = {"mnist": "MNIST", "tables": "eight tables"}
BEST = 5
INTRODUCTION = """\
# Parts against parts

`examples/benchmarks/parts_report.py` renders this page from the committed lines of
`examples/benchmarks/results/parts.jsonl`, which `examples/benchmarks/parts.py` has measured: every
combination of negative labels, objective and goodness that `fit` accepts, by name, and all other
parameters at their defaults. Errors are in per cent, of held-out training rows: 10,000 of MNIST,
after ten epochs of the other 50,000 with two layers of 500 units; and inner splits of eight tables,
whose outer test folds are not used, as the mean over the tables. With several seeds a figure is
their mean, with the standard deviation. Columns are objectives. Rows and columns without any figure
are left out; "×" means that `fit` refuses the combination, "–" that it has not been measured. The
comparison favours the defaults, for which the rate and the factors of the scores were chosen.
[Which parts?](which_parts.md) says what follows.
"""


def main():
    lines = lines_of(OUTPUT)
    MATRIX.write_text(matrix(lines), encoding="utf-8")
    PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")


def matrix(lines):
    """The page of all combinations."""
    found = errors(lines)
    sections = [section(data, found, lines) for data in DATA]
    return "\n".join([INTRODUCTION, *sections])


def section(data, found, lines):
    own = of(data, lines)
    columns = measured("objective", own, objectives)
    rows = [
        [f"`{name}`", f"`{part}`", *(cell(data, found, part, one, name) for one in columns)]
        for name in measured("goodness", own, goodness)
        for part in measured("negatives", [o for o in own if o["goodness"] == name], negatives)
    ]
    told = f"{len(first_seeds(own))} of {len(legal())} combinations have been measured."
    header = ["goodness", "negatives", *(f"`{one}`" for one in columns)]
    tables = [table(header, rows), *machines(own)] if own else []
    return "\n\n".join([f"## {NAMES[data]}", told, *tables]) + "\n"


def measured(kind, lines, family):
    """The parts of a kind that some line has, in the order of their names."""
    found = {line[kind] for line in lines}
    return [name for name in family.names if name in found]


def first_seeds(lines):
    return [line for line in lines if line["seed"] == 0]


def cell(data, found, *names):
    one = dict(zip(USUAL, names, strict=True))
    if one not in legal():
        return "×"
    return figure(found.get((data, *names)))


def figure(errors):
    """Mean and deviation of the errors of all seeds; what diverged has none."""
    if not errors:
        return "–"
    if None in errors:
        return "diverges"
    more = f" ± {100 * np.std(errors, ddof=1):.2f}" if len(errors) > 1 else ""
    return f"{100 * np.mean(errors):.2f}{more}"


def errors(lines):
    """The errors of every seed, by data and names."""
    found = {}
    for line in lines:
        found.setdefault((line["data"], *(line[name] for name in USUAL)), []).append(line["error"])
    return found


def of(data, lines):
    return [line for line in lines if line["data"] == data]


# Which parts? -------------------------------------------------------------------------------------


def with_figures(text, lines):
    """The text of the page with the figures of today between the comments."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{summary(lines)}\n\n{END}{after}"


def summary(lines):
    found = errors(lines)
    return "\n\n".join(
        [
            wrapped(
                "Defaults, and one part changed, errors on held-out rows in per cent. The rate and "
                "the factors of the scores were chosen for the defaults, which favours them. On "
                "MNIST a difference of a tenth of a point is within the spread of seeds:"
            ),
            changed(found),
            *(best(data, found) for data in DATA),
        ]
    )


def changed(found):
    """A row for the defaults, and for what differs in one part."""
    rows = []
    for one in sorted(legal(), key=lambda one: (differences(one), changed_parts(one))):
        if differences(one) <= 1:
            other = [f"`{part}`" for part in changed_parts(one)]
            errors = [found.get((data, *one.values())) for data in DATA]
            if any(errors):
                rows.append([*(other or ["the defaults"]), *map(figure, errors)])
    return table(["parts", *NAMES.values()], rows)


def changed_parts(one):
    return [f'{key}="{value}"' for key, value in one.items() if value != USUAL[key]]


def best(data, found):
    """The combinations with the lowest errors."""
    known = {k[1:]: v for k, v in found.items() if k[0] == data and v and None not in v}
    ranked = sorted(known, key=lambda names: np.mean(known[names]))[:BEST]
    rows = [[*(f"`{name}`" for name in names), figure(known[names])] for names in ranked]
    told = f"The lowest of {NAMES[data]}, of {len(known)} combinations that have been measured:"
    return f"{told}\n\n" + table([*USUAL, "error, %"], rows)


if __name__ == "__main__":
    main()
