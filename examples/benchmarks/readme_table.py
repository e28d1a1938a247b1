"""Render the table of README.md from the lines of `defaults.py`.

    python examples/benchmarks/readme_table.py

The lines of the machine that was measured last count. The table stands between two comments.
"""

from pathlib import Path
from statistics import fmean

from performance_report import HERE, by_model, read
from report_table import by_machine, lines_of, machine, table, wrapped

README = HERE.parents[1] / "README.md"
BEGIN = "<!-- figures of examples/benchmarks/readme_table.py -->\n"
END = "<!-- end of figures -->\n"
NAMES = {
    "digits": "digits",
    "tables": "eight tables",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
}
KEYS = ["data", "model", "seed", "threads"]


def main():
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")


def with_table(text, folder: Path = HERE / "results"):
    """The text with the figures of today between the comments."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{render(read(folder))}\n\n{END}{after}"


def render(lines):
    lines = [line for line in lines if line["benchmark"] == "defaults" and line["rows"] == "test"]
    lines = lines_of(by_machine(lines)[0], "defaults", KEYS)
    found = {(row["data"], row["model"]): row for row in by_model(lines)}
    rows = []
    for data, name in NAMES.items():
        both = [found.get((data, model)) for model in ("ff", "mlp")]
        if all(both):
            cells = [" / ".join(column(row) for row in both) for column in COLUMNS.values()]
            seeds = dict.fromkeys(len(row["errors"]) for row in both)
            rows.append([name, *cells, " / ".join(map(str, seeds))])
    return table(["data", *COLUMNS, "seeds"], rows) + "\n\n" + wrapped(machine(lines[-1]))


COLUMNS = {
    "error, %": lambda row: f"{100 * fmean(row['errors']):.2f}",
    "log-loss": lambda row: f"{fmean(row['log_losses']):.3f}",
    "seconds": lambda row: f"{row['seconds']:.1f}",
}


if __name__ == "__main__":
    main()
