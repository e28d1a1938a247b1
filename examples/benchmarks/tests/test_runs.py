"""Named runs: resumed, never trained twice, and never taken for what they are not."""

import json
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
    assert "](images/results_rmwkwok.svg)" in page and page.count("not been measured") == 2


def test_committed_runs_count_as_done(benchmark):
    """A default that is renamed or moved would have them trained again, for hours."""
    run = benchmark("run")
    lines = run["lines_of"](run["OUTPUT"])
    assert lines
    for line in lines:
        clf = run["RUNS"][line["run"]].make(line["seed"])
        case = {name: line[name] for name in ("benchmark", "run", "data", "rows", "seed")}
        given, usual = run["settings"](clf), run["settings"](type(clf)())
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
    assert page.count("not been measured") == 3  # figures of held-out rows are not results
    flags = ["mpezeshki", "loewe", "--budget", 1e-9]
    assert train(*flags) == lines
    assert "mpezeshki is not begun" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--epochs", "--seeds", "--threads"])
def test_runs_refuse_to_do_nothing(train, capsys, few_images, flag):
    with pytest.raises(SystemExit):
        train("loewe", flag, 0)
    assert f"{flag}: '0' is no whole number of at least 1" in capsys.readouterr().err


def test_a_first_look_is_no_result(benchmark, capsys):
    output = BENCHMARKS / ".." / "benchmarks" / "results" / "runs.jsonl"
    with pytest.raises(SystemExit):
        benchmark("run", "loewe", "--epochs", 1, "--output", output)["main"]()
    assert "give another --output" in capsys.readouterr().err


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
    runs = benchmark("runs")["RUNS"]
    for name, run in runs.items():
        assert run.make(3).random_state == 3, name
