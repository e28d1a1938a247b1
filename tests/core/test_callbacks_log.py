"""What `verbose` prints: a line per epoch that names the layers which learn."""

import sys

import pytest
from sklearn.datasets import load_iris
from skorch.callbacks import EarlyStopping, Freezer

from sklearn_ff import FFClassifier

X, y = load_iris(return_X_y=True)
HELD_OUT = {"X_val": X[::3], "y_val": y[::3]}


def classifier(*callbacks, **params):
    defaults = {"max_iter": 4, "batch_size": 64, "random_state": 0, "n_threads": 1}
    return FFClassifier((8, 6), **{**defaults, **params}, callbacks=list(callbacks))


def printed(capsys, terminal=False, **params):
    classifier(verbose=1, **params).fit(X, y, **HELD_OUT)
    return capsys.readouterr().out


SHOWN = [
    ({}, ["layers 1-2"] * 4),
    ({"schedule": "greedy", "max_iter": 2}, ["layer 1"] * 2 + ["layer 2"] * 2),
    (
        {
            "schedule": [("all", 1), (1, 1), ("head", 2)],
            "max_iter": "auto",
            "prediction": "head",
        },
        ["layers 1-2", "layer 2", "head", "head"],
    ),
    ({"callbacks": [Freezer("layers.0.*")]}, ["layer 2"] * 4),
]


@pytest.mark.parametrize("params, learning", SHOWN)
def test_every_line_names_the_layers_that_learn(capsys, params, learning):
    callbacks = params.get("callbacks", [])
    params = {name: value for name, value in params.items() if name != "callbacks"}
    model = classifier(*callbacks, verbose=1, **params).fit(X, y, **HELD_OUT)
    header, _, *lines = capsys.readouterr().out.splitlines()
    stage = ["stage"] if "schedule" in params else []
    losses = ["train_loss", "valid_loss", "valid_score"]
    assert header.split() == ["epoch", "layers_learning", *stage, *losses, "dur"]
    assert len(lines) == len(learning) == model.n_iter_
    for line, named in zip(lines, learning, strict=True):
        assert f" {named} " in line and len(line) == len(header)
    if stage:
        assert lines[0].split()[2 + ("layer" in learning[0])] == f"1/{len(set(learning))}"


@pytest.mark.parametrize("terminal", [False, True])
def test_only_a_terminal_sees_colours(capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    assert ("\x1b[" in printed(capsys)) is terminal


@pytest.mark.fault("G10")
def test_nothing_is_printed_without_verbose(capsys):
    classifier(EarlyStopping("train_loss", patience=1, threshold=10), verbose=0).fit(X, y)
    assert capsys.readouterr() == ("", "")
