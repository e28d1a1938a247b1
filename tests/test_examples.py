"""The examples run as a user would run them, and so do the snippets of the documentation."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff import negatives as negatives_module
from sklearn_ff._families import FAMILIES
from sklearn_ff.schedules import schedules

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "plot_digits.py"
BENCHMARKS = ROOT / "examples" / "benchmarks"
GALLERY = {
    "plot_features": (
        ["--quick", "--max-iter", "1"],
        ["raw pixels ", "PCA ", "FFTransformer ", "'output': '", "is not ranked"],
    ),
    "plot_familiarity": (
        ["--max-iter", "2"],
        ["ROC AUC", "FFTransformer ", "IsolationForest ", "row length ", "noise: FFTransformer"],
    ),
    "plot_own_goodness": ([], ["mean absolute ", "'goodness__p': "]),
    "plot_own_negatives": ([], ["look-alike accuracy 0.9", "shifted    accuracy 0.9"]),
}


def registered(axis):
    """Names of the classes that have a name as parts."""
    return {cls.__name__ for cls in FAMILIES[axis].registry.values()}


BASES = {"DataNegatives", "Negatives", "Pool", "negatives"}
AXES = {  # page: the names that it must tell of
    "overlay": FAMILIES["overlay"].names,
    "negatives": [
        *FAMILIES["negatives"].names,
        *sorted(set(negatives_module.__all__) - BASES - registered("negatives")),
    ],
    "goodness": FAMILIES["goodness"].names,
    "objective": FAMILIES["objective"].names,
    "schedule": schedules.names,
    "prediction": [
        *sorted(FFClassifier._parameter_constraints["prediction"][0].options),
        *sorted(FFTransformer._parameter_constraints["output"][0].options),
    ],
}


def fenced(path):
    """The python snippets of a page."""
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


SNIPPETS = [
    pytest.param(code, id=f"{path.name}-{number}")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for number, code in enumerate(fenced(path))
    if path.name != "README.md" or "load_digits" in code  # the others there go on from the first
]


def run(folder, *flags):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, flags)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_plot_digits(tmp_path):
    done = run(tmp_path, "--quick")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "plot_digits.png").read_bytes().startswith(b"\x89PNG")
    for word in ("accuracy", "log-loss", "MLPClassifier", "sharpness", "plot_digits.png"):
        assert word in done.stdout


def test_wrong_folder(tmp_path):
    done = run(tmp_path, "--data", "mnist", "--folder", "nowhere")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and "no folder 'nowhere'" in done.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--data", "mnist", "--folder", "."], "no file 'mnist.npz'"),
        (["--fast"], "unrecognized arguments: --fast"),
        (["--data", "letters"], "invalid choice: 'letters'"),
        (["--figure", "nowhere/figure.png"], "no folder for --figure nowhere/figure.png"),
    ],
)
def test_wrong_flags_get_one_sentence(monkeypatch, capsys, tmp_path, flags, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *flags])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


def test_goes_on_without_matplotlib(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    draw = runpy.run_path(str(SCRIPT))["draw"]
    assert draw(tmp_path / "figure.png", None, None, None) is False
    assert capsys.readouterr().out.startswith("matplotlib is not installed")


@pytest.mark.parametrize("name", GALLERY)
def test_gallery(monkeypatch, capsys, tmp_path, name):
    flags, words = GALLERY[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *flags])
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    out, err = capsys.readouterr()
    assert err == ""
    assert [word for word in words if word not in out] == []
    assert list(tmp_path.iterdir()) == []


def test_every_example_is_run():
    there = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert there == {SCRIPT.stem, *GALLERY}


@pytest.mark.parametrize("name", ["plot_own_goodness", "plot_own_negatives"])
def test_own_parts_take_less_than_forty_lines(name):
    lines = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 40


@pytest.mark.parametrize("name", ["plot_features", "plot_familiarity"])
def test_help(monkeypatch, capsys, name):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert stop.value.code == 0
    assert "--max-iter" in capsys.readouterr().out


@pytest.mark.parametrize("verdict", [(0.4, "fails"), (0.8, "loses to B"), (0.95, "beats B")])
def test_familiarity_states_losses(verdict):
    ours, words = verdict
    page = runpy.run_path(str(ROOT / "examples" / "plot_familiarity.py"))
    assert words in page["verdict"]("noise", ours, {"A": 0.6, "B": 0.9})
    assert "alike" in page["verdict"]("noise", 0.9, {"A": 0.6, "B": 0.9})


@pytest.mark.parametrize(("axis", "name"), [(a, name) for a in AXES for name in AXES[a]])
def test_every_part_is_in_the_table_of_its_page(axis, name):
    page = (ROOT / "docs" / f"{axis}.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{name}\b|^\| `transform`, `output=.{name}", page, re.M)


@pytest.mark.parametrize("axis", ["overlay", "negatives", "goodness", "objective"])
def test_every_part_is_in_the_readme(axis):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{axis}` .*", readme, re.M).group()
    assert [name for name in FAMILIES[axis].names if f"`{name}`" not in row] == []


@pytest.mark.parametrize("page", AXES)
def test_pages_are_linked(page):
    assert f"](docs/{page}.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", SNIPPETS)
def test_snippets_run(monkeypatch, capsys, code):
    for family in FAMILIES.values():  # a snippet may register a part
        monkeypatch.setattr(family, "registry", dict(family.registry))
    exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})
    assert capsys.readouterr().err == ""


def benchmark(monkeypatch, name, *flags):
    """The names of a script of examples/benchmarks, whose `main` will see these flags."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", [name, *map(str, flags)])
    return runpy.run_path(str(BENCHMARKS / f"{name}.py"))


def test_performance_page_is_up_to_date(monkeypatch):
    report = benchmark(monkeypatch, "performance_report")
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert page == report["render"](report["read"](BENCHMARKS / "results"))
    assert [
        f for f in re.findall(r"]\((.*\.svg)\)", page) if not (ROOT / "docs" / f).exists()
    ] == []


@pytest.fixture
def few_images(tmp_path):
    """A folder with a few rows of noise in the place of MNIST."""
    x = np.random.default_rng(0).integers(256, size=(300, 28, 28), dtype=np.uint8)
    y = np.arange(300) % 10
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "flags", "cases"),
    [
        ("fit_time", ["--rows", 300, "--epochs", 1], {"mlp", "backprop"}),
        ("prediction_time", ["--rows", 50, "--epochs", 1], {"goodness", "head", "hybrid"}),
    ],
)
def test_benchmarks_of_time(monkeypatch, capsys, few_images, name, flags, cases):
    flags += ["--data", "mnist", "--folder", few_images, "--pairs", 1]
    benchmark(monkeypatch, name, *flags, "--threads", torch.get_num_threads())["main"]()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line.get("rule", line["against"]) for line in lines} == cases
    page = benchmark(monkeypatch, "performance_report")["render"](lines)
    assert len(re.findall(r"^\| mnist|^\| (?:goodness|head|hybrid) ", page, re.M)) >= len(cases)


def test_growth_is_drawn_alike_every_time(monkeypatch, capsys, tmp_path):
    flags = ["--axes", "depth", "--largest", 2, "--seconds", 0, "--output", tmp_path / "g.jsonl"]
    growth = benchmark(monkeypatch, "growth", *flags, "--threads", torch.get_num_threads())
    monkeypatch.setitem(growth["BASE"], "rows", 300)
    growth["main"]()
    figures = []
    for number in range(2):
        flags = ["--results", tmp_path, "--docs", tmp_path / str(number)]
        benchmark(monkeypatch, "performance_report", *flags)["main"]()
        figures.append((tmp_path / str(number) / "images" / "growth.svg").read_bytes())
    assert figures[0] == figures[1]
    page = (tmp_path / "1" / "performance.md").read_text(encoding="utf-8")
    assert "| depth | 1 · 2 |" in page and "](images/growth.svg)" in page


def test_performance_page_shows_ratios_and_growth(monkeypatch):
    render = benchmark(monkeypatch, "performance_report")["render"]
    step = {"benchmark": "step_limit", "units": [5], "batch_size": 128, "precision": "float32"}
    step |= {"seconds_step": 3.0, "seconds_floor": 1.0, "ratio": 3.0}
    assert render([]).count("not been measured") == 7
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


def test_performance_page_compares_precisions_and_programs(monkeypatch):
    render = benchmark(monkeypatch, "performance_report")["render"]
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


def test_results_page_is_up_to_date(monkeypatch, tmp_path):
    report = benchmark(monkeypatch, "report", "--docs", tmp_path)
    report["main"]()
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert page == (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for path in tmp_path.rglob("*.svg"):  # whose bytes depend on the release of matplotlib
        assert (ROOT / "docs" / path.relative_to(tmp_path)).exists()
    if not report["OUTPUT"].exists():
        assert report["render"]([]).count("not been measured") == len(report["SECTIONS"])


def train(monkeypatch, folder, *flags):
    """One epoch of named runs on a few rows; the lines written so far."""
    flags = [*flags, "--data-home", folder, "--output", folder / "runs.jsonl", "--epochs", 1]
    benchmark(monkeypatch, "run", *flags)["main"]()
    return [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]


def test_runs_resume_and_are_rendered_alike(monkeypatch, capsys, few_images):
    names = ["rmwkwok_dense_supervised", "rmwkwok_backprop"]
    lines = train(monkeypatch, few_images, *names, "--seeds", 2)
    assert [(line["run"], line["seed"]) for line in lines] == [
        (n, s) for n in names for s in (0, 1)
    ]
    ours = lines[0]
    assert {"seconds", "peak_bytes", "threads", "torch", "processor", "settings"} <= set(ours)
    assert ours["curve"]["error_head"] == [ours["error_head"]] == [ours["best_on_test_head"]]
    assert "0.0 minutes left" in capsys.readouterr().err
    assert train(monkeypatch, few_images, *names, "--seeds", 2) == lines
    assert capsys.readouterr().err.count("done before") == 4
    today = benchmark(monkeypatch, "runs")["RUNS"]
    for line in lines:  # as if the epoch were all of them
        line["settings"]["max_iter"] = today[line["run"]].make(0).max_iter
    (few_images / "full.jsonl").write_text("\n".join(map(json.dumps, lines)))
    figures = []
    for number in range(2):
        docs = few_images / str(number)
        benchmark(monkeypatch, "report", "--runs", few_images / "full.jsonl", "--docs", docs)[
            "main"
        ]()
        figures.append((docs / "images" / "results_rmwkwok.svg").read_bytes())
    assert figures[0] == figures[1]
    page = (few_images / "0" / "results.md").read_text(encoding="utf-8")
    assert "| rmwkwok_backprop | backpropagation | 99.2 | " in page
    assert "](images/results_rmwkwok.svg)" in page and page.count("not been measured") == 2


def test_committed_runs_count_as_done(monkeypatch):
    """A default that is renamed or moved would have them trained again, for hours."""
    run = benchmark(monkeypatch, "run")
    lines = run["lines_of"](run["OUTPUT"])
    assert lines
    for line in lines:
        clf = run["RUNS"][line["run"]].make(line["seed"])
        case = {name: line[name] for name in ("benchmark", "run", "data", "rows", "seed")}
        given, usual = run["settings"](clf), run["settings"](type(clf)())
        assert run["is_same"](case, given, usual, line), line["run"]


def test_a_run_that_sets_what_an_older_line_does_not_know_is_another(monkeypatch):
    is_same = benchmark(monkeypatch, "run")["is_same"]
    line = {"run": "one", "settings": {"known": 1}}
    usual = {"known": 0, "newer": "usual"}
    assert is_same({"run": "one"}, {"known": 1, "newer": "usual"}, usual, line)
    assert not is_same({"run": "one"}, {"known": 1, "newer": "other"}, usual, line)
    assert not is_same({"run": "one"}, {"known": 0, "newer": "usual"}, usual, line)


def test_settings_of_a_run_are_the_same_in_every_process(monkeypatch):
    run = benchmark(monkeypatch, "run")
    for name, one in run["RUNS"].items():
        assert " at 0x" not in str(run["settings"](one.make(0))), name


def test_a_torn_line_of_the_runs_is_named(monkeypatch, few_images):
    (few_images / "runs.jsonl").write_text('{"run": "loewe"}\n{"run": "loe')
    with pytest.raises(SystemExit, match=r"Line 2 of .* is torn"):
        train(monkeypatch, few_images, "loewe")


def test_runs_validate_and_keep_to_a_budget(monkeypatch, capsys, few_images):
    lines = train(monkeypatch, few_images, "mpezeshki_our_defaults", "--validate")
    assert (lines[0]["rows"], lines[0]["n_train"]) == ("held_out", 250)
    assert "best_on_test_goodness" not in lines[0] and "train_error_goodness" in lines[0]
    page = benchmark(monkeypatch, "report")["render"](lines)
    assert page.count("not been measured") == 3  # figures of held-out rows are not results
    flags = ["mpezeshki", "loewe", "--budget", 1e-9]
    assert train(monkeypatch, few_images, *flags) == lines
    assert "mpezeshki is not begun" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--epochs", "--seeds", "--threads"])
def test_runs_refuse_to_do_nothing(monkeypatch, capsys, few_images, flag):
    with pytest.raises(SystemExit):
        train(monkeypatch, few_images, "loewe", flag, 0)
    assert f"{flag}: '0' is no whole number of at least 1" in capsys.readouterr().err


def test_a_first_look_is_no_result(monkeypatch, capsys):
    output = BENCHMARKS / ".." / "benchmarks" / "results" / "runs.jsonl"
    with pytest.raises(SystemExit):
        benchmark(monkeypatch, "run", "loewe", "--epochs", 1, "--output", output)["main"]()
    assert "give another --output" in capsys.readouterr().err


def test_a_run_given_twice_is_trained_once_and_none_without_budget(monkeypatch, few_images):
    lines = train(monkeypatch, few_images, "rmwkwok_backprop", "rmwkwok_backprop")
    assert len(lines) == 1
    assert train(monkeypatch, few_images, "rmwkwok_dense", "--budget", 0) == lines


def test_an_interrupted_run_writes_no_line(monkeypatch, few_images):
    run = benchmark(monkeypatch, "run")

    class Interrupted:
        def fit(self, X, y):
            warnings.warn("Training interrupted by user.", stacklevel=2)

    with pytest.raises(SystemExit, match=r"mlp: Training interrupted.* No line is written"):
        run["fit"](Interrupted(), (0, 0), "mlp")

    class Pressed(Callback):
        def on_epoch_end(self, net, **kwargs):
            signal.raise_signal(signal.SIGINT)

    clf = FFClassifier(4, max_iter=3, random_state=0, callbacks=[Pressed()])
    with pytest.raises(SystemExit, match="ours: Training was interrupted"):
        run["fit"](clf, load_iris(return_X_y=True), "ours")


def test_results_have_the_settings_of_today_and_are_the_last_of_a_seed(monkeypatch):
    report = benchmark(monkeypatch, "report")
    today = report["settings"](report["RUNS"]["loewe"].make(0))
    line = {"rows": "test", "run": "loewe", "benchmark": "recipes", "seed": 0}
    older = {k: v for k, v in today.items() if k != "head"}  # came up later
    found = [{"settings": older}, {"settings": today}, {"settings": today | {"max_iter": 1}}]
    assert report["results"]([line | one for one in found]) == [line | found[1]]
    assert report["results"]([line | found[2]]) == []
    assert report["results"]([line | found[0] | {"rows": "held_out"}]) == []


def test_the_best_on_test_is_the_least_of_all_epochs(monkeypatch):
    run = benchmark(monkeypatch, "run")
    watched = {"error_head": [0.3, 0.1, 0.2]}
    run["errors"].__globals__.update(curve=lambda clf: watched, error=lambda *args: 0.2)
    clf = FFClassifier(4, max_iter=1).fit(*load_iris(return_X_y=True))
    found = run["errors"](run["RUNS"]["rmwkwok_dense"], clf, {"scored": (0, 0)})
    assert found == {"error_head": 0.2, "best_on_test_head": 0.1}


def test_every_named_run_makes_an_estimator(monkeypatch):
    runs = benchmark(monkeypatch, "runs")["RUNS"]
    for name, run in runs.items():
        assert run.make(3).random_state == 3, name
