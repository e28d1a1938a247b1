"""The published pages are what the committed results come to."""

import json
import re
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1]
ROOT = BENCHMARKS.parents[1]


def test_performance_page_is_up_to_date(benchmark):
    report = benchmark("performance_report")
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert page == report["render"](report["read"](BENCHMARKS / "results"))
    assert [
        f for f in re.findall(r"]\((.*\.svg)\)", page) if not (ROOT / "docs" / f).exists()
    ] == []


@pytest.mark.parametrize(
    ("name", "flags", "cases"),
    [
        ("fit_time", ["--rows", 300, "--epochs", 1], {"mlp", "backprop"}),
        ("prediction_time", ["--rows", 50, "--epochs", 1], {"goodness", "head", "hybrid"}),
    ],
)
def test_benchmarks_of_time(benchmark, capsys, few_images, name, flags, cases):
    flags += ["--data", "mnist", "--folder", few_images, "--pairs", 1]
    benchmark(name, *flags, "--threads", torch.get_num_threads())["main"]()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line.get("rule", line["against"]) for line in lines} == cases
    page = benchmark("performance_report")["render"](lines)
    assert len(re.findall(r"^\| mnist|^\| (?:goodness|head|hybrid) ", page, re.M)) >= len(cases)


def test_an_error_of_one_seed_has_no_spread(benchmark):
    mean_error = benchmark("performance_report")["mean_error"]
    assert mean_error({"errors": [0.1]}) == "10.00 %"
    assert mean_error({"errors": [0.1, 0.2]}) == "15.00 % ± 5.00"


def test_growth_is_drawn_alike_every_time(benchmark, monkeypatch, capsys, tmp_path):
    flags = ["--axes", "depth", "--largest", 2, "--seconds", 0, "--output", tmp_path / "g.jsonl"]
    growth = benchmark("growth", *flags, "--threads", torch.get_num_threads())
    monkeypatch.setitem(growth["BASE"], "rows", 300)
    growth["main"]()
    figures = []
    for number in range(2):
        flags = ["--results", tmp_path, "--docs", tmp_path / str(number)]
        benchmark("performance_report", *flags)["main"]()
        figures.append((tmp_path / str(number) / "images" / "growth.svg").read_bytes())
    assert figures[0] == figures[1]
    page = (tmp_path / "1" / "performance.md").read_text(encoding="utf-8")
    assert "| depth | 1 · 2 |" in page and "](images/growth.svg)" in page


def test_performance_page_shows_ratios_and_growth(benchmark):
    render = benchmark("performance_report")["render"]
    step = {"benchmark": "step_limit", "units": [5], "batch_size": 128, "precision": "float32"}
    step |= {"seconds_step": 3.0, "seconds_floor": 1.0, "ratio": 3.0}
    assert render([]).count("not been measured") == 13
    assert "| 3000.0 | 1000.0 | 3.00 |" in render([step]).replace(",", "")
    assert "| 3.00 |" not in render([step, step | {"ratio": 2.0}])  # the last line counts
    peaks = {("forward_forward", 2): 20, ("forward_forward", 64): 21, ("backprop", 2): 15}
    peaks["backprop", 64] = 100
    lines = [
        {"benchmark": "memory_depth", "method": method, "depth": depth, "peak_bytes": peak}
        for (method, depth), peak in peaks.items()
    ]
    page = render(lines)
    assert "| 2 to 64 | 5.00 % |" in page
    assert "| 64 | 21.00 % |" in page


def test_performance_page_compares_precisions_and_programs(benchmark):
    render = benchmark("performance_report")["render"]
    mnist = {"benchmark": "mnist", "data": "mnist", "rows": "test", "epochs": 10, "units": [500]}
    lines = [
        mnist | {"seeds": [0, 1], "precision": precision, "error_goodness_mean": error}
        for precision, error in [("float32", 0.0140), ("bfloat16", 0.0155)]
    ]
    assert "| 1.40 % | 1.55 % | 0.15 |" in render(lines)
    late = {"benchmark": "time_to_error", "program": "loewe", "rows": "test", "seed": 0}
    late |= {"error": 0.02, "goal": 0.0145, "seconds": 1.0, "seconds_theirs": 900.0}
    page = render([late | {"times_faster": 900.0}])
    assert "| 2.00 % | 1.45 % | 1.00 | 900 | 900 |" in page


def test_results_page_is_up_to_date(benchmark, tmp_path):
    report = benchmark("report", "--docs", tmp_path)
    report["main"]()
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert page == (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for path in tmp_path.rglob("*.svg"):  # whose bytes depend on the release of matplotlib
        assert (ROOT / "docs" / path.relative_to(tmp_path)).exists()


def test_results_have_the_settings_of_today_and_are_the_last_of_a_seed(benchmark):
    report = benchmark("report")
    today = report["settings"](report["RUNS"]["loewe"].make(0))
    line = {"rows": "test", "run": "loewe", "benchmark": "recipes", "seed": 0, "data": "mnist"}
    older = {k: v for k, v in today.items() if k != "head"}  # came up later
    found = [{"settings": older}, {"settings": today}, {"settings": today | {"max_iter": 1}}]
    assert report["results"]([line | one for one in found]) == [line | found[1]]
    assert report["results"]([line | found[2]]) == []
    assert report["results"]([line | found[0] | {"rows": "held_out"}]) == []


def test_pages_of_plan_parts_and_limits_are_up_to_date(benchmark):
    plan, parts, limits = map(benchmark, ("plan_report", "parts_report", "limits_report"))
    lines, of_parts = (plan["lines_of"](path) for path in (plan["OUTPUT"], parts["OUTPUT"]))
    which = (ROOT / "docs" / "which_parts.md").read_text(encoding="utf-8")
    assert parts["with_figures"](which, of_parts) == which
    every = limits["read"](BENCHMARKS / "results")
    for name, page in {
        "examples/benchmarks/plan.md": plan["render"](lines, of_parts),
        "docs/parts_matrix.md": parts["matrix"](of_parts),
        "docs/limits.md": limits["render"](every),
    }.items():
        assert (ROOT / name).read_text(encoding="utf-8") == page, name


def test_a_run_stands_beside_backpropagation_on_its_layers(benchmark):
    limits = benchmark("limits_report")
    line = {"data": "mnist", "peak_bytes": 2**20, "processor_seconds": 6.0}
    ours = line | {"run": "mnist_dense_shifts", "error_goodness": 0.02}
    theirs = line | {"run": "mnist_dense_shifts_backprop", "error_goodness": 0.015}
    found = limits["compared"]([ours], [theirs | {"processor_seconds": 2.0}])
    assert found == [
        "mnist_dense_shifts",
        "mnist",
        "2.00 %",
        "1.50 %",
        "+0.50",
        "1 / 1",
        "3.0",
        "1 / 1",
    ]
    assert limits["compared"]([ours], []) is None


def test_the_matrix_of_parts_has_what_is_measured_and_tells_what_diverges(benchmark):
    report = benchmark("parts_report")
    usual = {"benchmark": "parts", "data": "mnist", "rows": "held_out", **report["USUAL"]}
    lines = [usual | {"seed": seed, "error": error} for seed, error in enumerate([0.02, 0.03])]
    lines.append(usual | {"objective": "margin", "seed": 0, "error": None})
    lines.append(
        usual | {"objective": "similarity", "goodness": "readout", "seed": 0, "error": 0.1}
    )
    mnist, tables = report["matrix"](lines).split("## ")[1:]
    assert "3 of " in mnist and "0 of " in tables and "|" not in tables
    assert mnist.count("\n| `") == 2  # rows without a figure are left out
    assert "| `mean_square` | `hard` | diverges | × | 2.50 ± 0.71 |" in mnist  # × is refused
    assert "| `readout` | `hard` | – | 10.00 | – |" in mnist
    assert "| the defaults | 2.50 ± 0.71 | – |" in report["summary"](lines)


def test_the_table_of_the_readme_is_up_to_date(benchmark):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert benchmark("readme_table")["with_table"](text) == text


def test_limits_tell_tables_of_development_from_others(benchmark):
    limits = benchmark("limits_report")
    errors = {"ff": [0.1, 0.3], "mlp": [0.2, 0.2], "trees": [0.05, 0.4]}
    lines = [
        {"data": "tables", "model": model, "error_by_table": {"Glass": one, "Soybean": other}}
        for model, (one, other) in errors.items()
    ]
    mlp, trees = limits["summary"](lines).splitlines()
    assert "on 1 of 2 tables (+0.00 points" in mlp and "on 1 of 1 (+10.00 points)" in mlp
    assert "on 1 of 2 tables (-2.50 points" in trees and "on 0 of 1 (-10.00 points)" in trees
    page = limits["by_table"](lines)
    assert "| mean of the development tables | 10.00 | 20.00 | 5.00 | – | – | +5.00 |" in page
    assert "| mean of the other tables | 30.00 | 20.00 | 40.00 | – | – | +10.00 |" in page
