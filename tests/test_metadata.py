"""What the project says about itself in several files is the same."""

import re
import tomllib
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
