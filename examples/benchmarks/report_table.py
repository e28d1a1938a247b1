"""Sections of the rendered pages: one per benchmark, with a table of its results."""

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

NOT_MEASURED = "This has not been measured yet."


@dataclass
class Section:
    """The results of one benchmark: a table with a row per case, which the keys identify."""

    title: str
    prose: str
    benchmark: str
    keys: list
    columns: dict  # header: function of a row
    rows: Callable = list  # function of the lines: the rows of the table
    more: Callable = lambda lines: []  # function of the lines: texts below the table
    last: Callable = lambda lines: []  # function of the lines of all machines: texts at the end

    def render(self, lines, apart=False):
        """One table, or one for every machine that the lines come from, `apart`."""
        lines = [line for line in lines if line["benchmark"] == self.benchmark]
        groups = by_machine(lines) if apart else [lines]
        found = [text for own in groups for text in self.of_lines(own)]
        found = [*found, *self.last(lines)] if found else [NOT_MEASURED]
        text = [f"## {self.title}", wrapped(self.prose), *found]
        return "\n\n".join(text) + "\n"

    def of_lines(self, lines):
        """The table of some lines, their machines, and what is said below."""
        lines = lines_of(lines, self.benchmark, self.keys)
        rows = self.rows(lines)
        return [self.table(rows), *machines(lines), *self.more(lines)] if rows else []

    def table(self, rows):
        cells = [[column(row) for column in self.columns.values()] for row in rows]
        return table(self.columns, cells)


def lines_of(lines, benchmark, keys):
    """The last line of each case of a benchmark, in the order of the first lines."""
    lines = [line for line in lines if line["benchmark"] == benchmark]
    return list({json.dumps([line.get(key) for key in keys]): line for line in lines}.values())


def number(value):
    return f"{value:.2f}"


def percent(share):
    return f"{100 * share:.2f} %"


def mebibytes(size):
    return "–" if size is None else f"{size / 2**20:,.0f}"


def get(key, form=str):
    """A column: one entry of the row."""
    return lambda row: form(row[key])


def milliseconds(key):
    return lambda row: f"{1000 * row[key]:,.1f}"


def shape(row):
    return "-".join(map(str, [784, *row["units"]]))


def words(key):
    return lambda row: row[key].replace("_", " ")


def series(key, form):
    return lambda row: " · ".join(format(value, form) for value in row[key])


def peak(method):
    return lambda row: mebibytes(row.get(method))


def table(header, rows):
    rows = [list(header), ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def wrapped(text):
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def by_machine(lines):
    """Lists of the lines of each machine, in the order of their last lines, newest first."""
    found = {}
    for line in lines:
        name = machine(line) if "processor" in line else ""
        found[name] = [*found.pop(name, []), line]
    return [*found.values()][::-1]


def machines(lines):
    """A sentence for every machine that the lines come from."""
    return dict.fromkeys(machine(line) for line in lines if "processor" in line)


def machine(line):
    card = f"{line['card']} with " if "card" in line else ""
    able = ", ".join(line["instructions"]) or "plain instructions"
    threads = f"; threads: {line['threads']}" if "threads" in line else ""
    return (
        f"Measured on {card}{line['processor']} ({able}), torch {line['torch']}, "
        f"scikit-learn {line['scikit_learn']}{threads}."
    )
