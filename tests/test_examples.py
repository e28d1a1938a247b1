"""The examples run as a user would run them, and so do the snippets of the documentation."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from devices import ON_CPU

from sklearn_ff import FFTransformer
from sklearn_ff import negatives as negatives_module
from sklearn_ff._families import FAMILIES
from sklearn_ff.predictions import predictions
from sklearn_ff.schedules import schedules

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "plot_digits.py"
GALLERY = {
    "plot_backpropagation": (["--quick"], ["backpropagation  ", "readouts  ", " ± "]),
    "plot_convolutions": (["--quick"], ["convolutions, shifts", "in place"]),
    "plot_few_labels": (["--quick"], ["self-training  ", "LabelSpreading  ", " ± "]),
    "plot_learning_curves": (["--quick"], ["all at once  ", "'auto' chose is 0.0"]),
    "plot_outliers": (["--quick"], ["outliers among digits 5 to 9:", "IsolationForest "]),
    "plot_receptive_fields": (["--quick"], ["alpha = 10 accuracy"]),
    "plot_search": (["--quick"], ["sharpness = ", "Log-loss on test rows"]),
    "plot_features": (
        ["--quick"],
        ["labels ", "pixels  ", "untrained  ", "FFTransformer  ", " ±"],
    ),
    "plot_familiarity": (
        ["--max-iter", "2"],
        ["ROC AUC", "FFTransformer ", "IsolationForest ", "row length ", "noise: FFTransformer"],
    ),
    "plot_own_block": ([], ["without attention: accuracy 0.9", "with    attention: accuracy 0.9"]),
    "plot_residual": ([], ["plain    accuracy 0.9", "residual accuracy 0.9"]),
    "plot_own_goodness": ([], ["mean absolute ", "'goodness__p': "]),
    "plot_own_negatives": ([], ["look-alike accuracy 0.9", "shifted    accuracy 0.9"]),
    "plot_own_objective": (
        [],
        [f"{name:36} accuracy 0.9" for name in ("'softmax'", "Annealed()", "Learned()")],
    ),
    "plot_per_layer": (
        [],
        [
            "one per layer        accuracy 0.9",
            "a random first layer accuracy 0.9",
            "'activation__0': ",
        ],
    ),
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
        *predictions.names,
        *sorted(FFTransformer._parameter_constraints["output"][0].options),
    ],
}


def fenced(path):
    """The python snippets of a page."""
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def snippets(path):
    """The python snippets of a page, each with the block of output that follows it, or ""."""
    blocks = r"^```python\n(.*?)^```\n(?:\n```output\n(.*?)^```\n)?"
    return re.findall(blocks, path.read_text(encoding="utf-8"), re.M | re.S)


def alike(printed, shown):
    """Whether two texts are equal, up to small differences of their decimal numbers."""
    number = r"\d+\.\d*"
    pairs = zip(re.findall(number, printed), re.findall(number, shown), strict=False)
    near = all(abs(float(a) - float(b)) < 0.03 for a, b in pairs)
    words = [" ".join(re.sub(number, "#", text).split()) for text in (printed, shown)]
    return near and words[0] == words[1]


SNIPPETS = [
    pytest.param(code, shown, id=f"{path.name}-{number}")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for number, (code, shown) in enumerate(snippets(path))
    if path.name != "README.md" or "load_digits" in code  # the others there go on from the first
    if path.name != "published_methods.md"  # which tests of its own run
]


@pytest.fixture
def figures(monkeypatch):
    """What is drawn is not shown; every figure is drawn whole and closed."""
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    yield plt
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")


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


@pytest.mark.slow
def test_plot_digits(tmp_path):
    done = run(tmp_path, "--quick")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "plot_digits.png").read_bytes().startswith(b"\x89PNG")
    for word in ("accuracy", "log-loss", "MLPClassifier", "sharpness", "plot_digits.png"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--data", "mnist", "--folder", "."], "no file 'mnist.npz'"),
        (["--data", "mnist", "--folder", "nowhere"], "no folder 'nowhere'"),
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
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    draw = runpy.run_path(str(SCRIPT))["draw"]
    assert draw(tmp_path / "figure.png", None, None, None) is False
    assert capsys.readouterr().out.startswith("matplotlib is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("name", GALLERY)
def test_gallery(monkeypatch, capsys, tmp_path, figures, name):
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


@pytest.mark.parametrize(
    "name", [name for name in GALLERY if re.search("own|per_layer|residual", name)]
)
def test_own_parts_take_less_than_forty_lines(name):
    code, *pictures = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8").split("# %%")
    _, told, code = code.split('"""', 2)
    assert len(code.strip().splitlines()) < 40 and len(pictures) <= 1
    assert re.search(rf"\.\n\n    python examples/{name}.py\n$", told)  # a sentence, and a command


def test_help(monkeypatch, capsys):
    name = "plot_familiarity"
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
    family = FAMILIES[axis]  # other tests register parts of their own
    ours = [n for n in family.names if family.registry[n].__module__.startswith("sklearn_ff.")]
    assert [name for name in ours if f"`{name}`" not in row] == []


@pytest.mark.parametrize("page", AXES)
def test_pages_are_linked(page):
    assert f"](docs/{page}.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("code", "shown"), SNIPPETS)
def test_snippets_run_and_print_what_their_page_shows(monkeypatch, capsys, figures, code, shown):
    for family in FAMILIES.values():  # a snippet may register a part
        monkeypatch.setattr(family, "registry", dict(family.registry))
    exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})
    out, err = capsys.readouterr()
    assert err == ""
    if shown and ON_CPU:  # a GPU draws other numbers
        assert alike(out, shown), out
