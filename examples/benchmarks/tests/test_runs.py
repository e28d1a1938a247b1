"""Named runs: resumed, never trained twice, and never taken for what they are not."""

import json
import re
import signal
import warnings
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier

BENCHMARKS = Path(__file__).parents[1]


@pytest.fixture
def train(benchmark, few_images):
    """Trains one epoch of named runs on a few rows, and returns the lines written so far."""

    def run(*flags):
        flags = [*flags, "--data-home", few_images, "--output", few_images / "runs.jsonl"]
        benchmark("run", *flags, "--epochs", 1)["main"]()
        return [json.loads(line) for line in (few_images / "runs.jsonl").read_text().splitlines()]

    return run


def test_runs_resume_and_are_rendered_alike(benchmark, train, capsys, few_images):
    names = ["rmwkwok_dense_supervised", "rmwkwok_backprop"]
    lines = train(*names, "--seeds", 2)
    assert [(line["run"], line["seed"]) for line in lines] == [
        (n, s) for n in names for s in (0, 1)
    ]
    ours = lines[0]
    assert ours["processor_seconds"] >= 0
    assert {"seconds", "peak_bytes", "threads", "torch", "processor", "settings"} <= set(ours)
    assert ours["curve"]["error_head"] == [ours["error_head"]] == [ours["best_on_test_head"]]
    assert "0.0 minutes left" in capsys.readouterr().err
    assert train(*names, "--seeds", 2) == lines
    assert capsys.readouterr().err.count("done before") == 4
    today = benchmark("runs")["RUNS"]
    for line in lines:  # as if the epoch were all of them
        line["settings"]["max_iter"] = today[line["run"]].make(0).max_iter
    (few_images / "full.jsonl").write_text("\n".join(map(json.dumps, lines)))
    figures = []
    for number in range(2):
        docs = few_images / str(number)
        benchmark("report", "--runs", few_images / "full.jsonl", "--docs", docs)["main"]()
        figures.append((docs / "images" / "results_rmwkwok.svg").read_bytes())
    assert figures[0] == figures[1]
    page = (few_images / "0" / "results.md").read_text(encoding="utf-8")
    assert "| rmwkwok_backprop | backpropagation | 99.2 | " in page
    assert "](images/results_rmwkwok.svg)" in page
    assert re.findall("^## (.{8})", page, re.M) == ["rmwkwok'", "What exp"]  # what is measured


def test_committed_runs_count_as_done(benchmark):
    """A default that is renamed or moved would have them trained again, for hours."""
    run = benchmark("run")
    lines = run["lines_of"](run["OUTPUT"])
    assert lines
    for line in lines:
        clf = run["RUNS"][line["run"]].make(line["seed"])
        case = {name: line[name] for name in ("benchmark", "run", "data", "rows", "seed")}
        given, usual = run["settings"](clf), run["usual"](clf)
        assert run["is_same"](case, given, usual, line), line["run"]


def test_a_run_that_sets_what_an_older_line_does_not_know_is_another(benchmark):
    is_same = benchmark("run")["is_same"]
    line = {"run": "one", "settings": {"known": 1}}
    usual = {"known": 0, "newer": "usual"}
    assert is_same({"run": "one"}, {"known": 1, "newer": "usual"}, usual, line)
    assert not is_same({"run": "one"}, {"known": 1, "newer": "other"}, usual, line)
    assert not is_same({"run": "one"}, {"known": 0, "newer": "usual"}, usual, line)


def test_settings_of_a_run_are_the_same_in_every_process(benchmark):
    run = benchmark("run")
    for name, one in run["RUNS"].items():
        assert " at 0x" not in str(run["settings"](one.make(0))), name


def test_a_torn_line_of_the_runs_is_named(train, few_images):
    (few_images / "runs.jsonl").write_text('{"run": "loewe"}\n{"run": "loe')
    with pytest.raises(SystemExit, match=r"Line 2 of .* is torn"):
        train("loewe")


def test_runs_validate_and_keep_to_a_budget(benchmark, train, capsys, few_images):
    lines = train("mpezeshki_our_defaults", "--validate")
    assert (lines[0]["rows"], lines[0]["n_train"]) == ("held_out", 250)
    assert "best_on_test_goodness" not in lines[0] and "train_error_goodness" in lines[0]
    page = benchmark("report")["render"](lines)
    assert "mpezeshki_our_defaults" not in page.split("## Tried on held-out rows")[0]
    flags = ["mpezeshki", "loewe", "--budget", 1e-9]
    assert train(*flags) == lines
    assert "mpezeshki is not begun" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--epochs", "--seeds", "--threads"])
def test_runs_refuse_to_do_nothing(train, capsys, few_images, flag):
    with pytest.raises(SystemExit):
        train("loewe", flag, 0)
    assert f"{flag}: '0' is no whole number of at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--epochs", "--data"])
def test_a_first_look_is_no_result(benchmark, capsys, flag):
    output = BENCHMARKS / ".." / "benchmarks" / "results" / "runs.jsonl"
    with pytest.raises(SystemExit):
        benchmark("run", "loewe", flag, 1, "--output", output)["main"]()
    assert f"{flag} makes another run" in capsys.readouterr().err


def test_a_run_given_twice_is_trained_once_and_none_without_budget(train, few_images):
    lines = train("rmwkwok_backprop", "rmwkwok_backprop")
    assert len(lines) == 1
    assert train("rmwkwok_dense", "--budget", 0) == lines


def test_an_interrupted_run_writes_no_line(benchmark, few_images):
    run = benchmark("run")

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


def test_the_best_on_test_is_the_least_of_all_epochs(benchmark):
    run = benchmark("run")
    watched = {"error_head": [0.3, 0.1, 0.2]}
    run["errors"].__globals__.update(curve=lambda clf: watched, error=lambda *args: 0.2)
    clf = FFClassifier(4, max_iter=1).fit(*load_iris(return_X_y=True))
    found = run["errors"](run["RUNS"]["rmwkwok_dense"], clf, {"scored": (0, 0)})
    assert found == {"error_head": 0.2, "best_on_test_head": 0.1}


def test_every_named_run_makes_an_estimator(benchmark):
    runs, network_of = benchmark("runs")["RUNS"], benchmark("named_run")["network_of"]
    for name, run in runs.items():
        clf = run.make(3)
        assert (network_of(clf) or clf).random_state == 3, name


def test_the_plan_goes_by_worth_and_begins_nothing_that_would_end_late(
    benchmark, capsys, few_images
):
    planned = benchmark("planned")
    Plan, Planned = planned["Plan"], planned["Planned"]
    plan = Plan({"first": [Planned("a", 8), Planned("b", 50)], "later": [Planned("c", 80)]})
    order = [(one.run, seed) for one, seed in plan.in_order()]
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("c", 0)]
    assert plan.of("d").processor_minutes == 0
    large = Plan({"first": [Planned("a", 8, seeds=1), Planned("b", 600, gpu=True)]})
    assert [[one.run for one, _ in large.in_order(gpu)] for gpu in (False, True)] == [
        ["a"],
        ["a", "b"],
    ]
    assert {one.run for one, _ in planned["PLAN"].in_order()} <= set(benchmark("runs")["RUNS"])
    output = few_images / "plan.jsonl"
    benchmark("run", "--plan", "--minutes", 0, "--output", output)["main"]()
    assert "takes longer than is left; not begun" in capsys.readouterr().err
    assert not output.exists()


def test_the_plan_has_backpropagation_beside_every_run_that_has_it(benchmark):
    runs = benchmark("runs")["RUNS"]
    planned = {one.run for group in benchmark("planned")["PLAN"].groups.values() for one in group}
    assert {runs[name].against for name in planned} - {""} <= planned


def test_parts_are_tried_in_order_and_close_ones_again(benchmark):
    parts = benchmark("parts")
    cases = [*parts["missing"](["mnist"], 1, list)]
    assert {k: cases[0][k] for k in parts["USUAL"]} == parts["USUAL"]
    assert [parts["last"](case) for case in cases] == sorted(map(parts["last"], cases))
    lines = [
        case | {"error": error} for case, error in zip(cases, [0.02, 0.03, 0.04], strict=False)
    ]
    lines += [case | {"error": None} for case in cases[3:]]
    again = [*parts["missing"](["mnist"], 2, lambda: lines)]
    assert again == [case | {"seed": 1} for case in cases[:2]]


def test_backpropagation_beside_a_run_has_its_layers_and_epochs(benchmark):
    named = benchmark("named_run")
    run = named["Run"](
        lambda seed: FFClassifier((9, 7), dropout=0.3, max_iter=4, random_state=seed)
    )
    clf = named["beside"](run).make(2)
    assert (clf.max_iter, clf.dropout, clf.random_state) == (4, 0.3, 2)
    assert "Block(kinds=[9, Module(factory=dropout(0.3)), 7])" in repr(clf)
    assert clf.fit(*load_iris(return_X_y=True)).score(*load_iris(return_X_y=True)) > 0.3


def test_backpropagation_is_normalised_where_a_run_centres_activations(benchmark):
    runs = benchmark("runs")["RUNS"]
    for name in ("trifecta", "deeper_forward_full", "scodellaro", "asge"):
        block = runs[f"{name}_backprop"].make(0).layers[0]
        kinds = [one for kind in block.kinds for one in getattr(kind, "kinds", [kind])]
        assert {one.norm for one in kinds if hasattr(one, "norm")} == {"batch"}, name
    assert not any(kind.norm for kind in runs["hff_conv_backprop"].make(0).layers[0].kinds)
