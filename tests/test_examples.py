"""The examples run as a user would run them."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "plot_digits.py"


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
