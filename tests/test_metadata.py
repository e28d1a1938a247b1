"""What the project says about itself in several files is the same."""

import ast
import importlib
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import sklearn_ff

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def found(pattern, file):
    """The only match in a file."""
    (match,) = re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), re.M)
    return match


def test_the_version_cited_is_the_one_installed():
    assert found(r"^version: (.+)$", "CITATION.cff") == sklearn_ff.__version__


def test_those_cited_are_the_authors_of_the_package():
    assert [{"name": found(r"^authors:\n  - name: (.+)$", "CITATION.cff")}] == PROJECT["authors"]


def test_one_version_of_ruff_formats_everywhere():
    pinned = found(r"ruff-pre-commit\n +rev: v(\S+)", ".pre-commit-config.yaml")
    assert f"ruff=={pinned}" in PROJECT["optional-dependencies"]["test"]


EXTRAS = {
    extra: {re.split("[>=]", text)[0]: text for text in listed}
    for extra, listed in PROJECT["optional-dependencies"].items()
}
MODULES = {"scikit-learn": "sklearn", "pillow": "PIL"}  # by the names of the packages
COMES = {"sklearn_ff", "threadpoolctl"}  # the latter with scikit-learn
HIDDEN = {  # words of a program that need a package which it does not import
    "as_frame=True": {"pandas"},
    'transform="pandas"': {"pandas"},
    "ProgressBar(": {"rich"},
    "torch.onnx": {"onnx", "onnxscript"},
}
PYTHON = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
GALLERY = {path.name: path for path in (ROOT / "examples").glob("*.py")}
PAGES = {path.name: path for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}


def programs(path):
    text = path.read_text(encoding="utf-8")
    return [text] if path.suffix == ".py" else PYTHON.findall(text)


def needed(program):
    """The modules that a program needs, without those of Python."""
    found = set().union(*(needs for word, needs in HIDDEN.items() if word in program))
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found - sys.stdlib_module_names


def modules(listed):
    return {MODULES.get(name, name) for name in listed}


@pytest.mark.parametrize(
    "extras, paths",
    [("pages test", PAGES), ("examples pages docs test", GALLERY)],
    ids=["pages", "gallery"],
)
def test_every_extra_that_is_named_for_programs_has_what_they_import(extras, paths):
    always = modules(re.split("[>=]", text)[0] for text in PROJECT["dependencies"]) | COMES
    for extra in extras.split():
        there = always | modules(EXTRAS[extra])
        missing = {name: needed(p) - there for name in paths for p in programs(paths[name])}
        assert {name: some for name, some in missing.items() if some} == {}, extra


def test_what_programs_import_of_the_package_is_there():
    for path in (ROOT / "examples").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sklearn_ff"):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    there = hasattr(module, alias.name)
                    assert there or find_spec(f"{node.module}.{alias.name}"), (
                        path.name,
                        alias.name,
                    )


def test_an_extra_holds_nothing_that_no_program_needs():
    used = set().union(*(needed(p) for path in PAGES.values() for p in programs(path)))
    drawn = set().union(*(needed(p) for path in GALLERY.values() for p in programs(path)))
    assert modules(EXTRAS["pages"]) <= used
    assert modules(EXTRAS["examples"]) <= drawn


def test_a_package_has_one_version_in_all_extras():
    for name in set().union(*EXTRAS.values()):
        assert len({listed[name] for listed in EXTRAS.values() if name in listed}) == 1, name


def test_the_workflow_tests_every_python_that_is_named():
    named = [c.split(" :: ")[-1] for c in PROJECT["classifiers"] if " :: 3." in c]
    tested = re.findall(r'"([\d.]+)"', found(r"python: (\[.+\])", ".github/workflows/tests.yml"))
    assert tested == named
    assert PROJECT["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_gate_and_the_workflow_call_the_same_scripts(script):
    for file in (".ci/run", ".github/workflows/tests.yml"):
        assert f"bash .ci/{script}" in (ROOT / file).read_text(encoding="utf-8")


def test_the_changelog_has_a_place_for_the_next_change():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert headings[0] == "Unreleased"
