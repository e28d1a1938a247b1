"""The table of promises in docs/reliability.md, and the tests that keep them, agree."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([A-H]\d+) \| (.+) \| (.+) \|$", PAGE, re.M)


def marked():
    """Code, file and name of every test with the marker."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for test in ast.parse(path.read_text(encoding="utf-8")).body:
            for call in getattr(test, "decorator_list", []):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
                    for code in call.args:
                        yield code.value, path.relative_to(TESTS).as_posix(), test.name


def listed():
    """The same, as in the table."""
    for code, _, cell in ROWS:
        for part in cell.split("<br>"):
            file, link = re.match(r"\[(.+)]\(\.\./tests/(.+)\): ", part).groups()
            assert file == link
            for name in re.findall("`(.+?)`", part):
                yield code, file, name


def test_the_table_lists_the_tests_that_are_marked():
    found, told = list(marked()), list(listed())
    assert found, "there are some"
    assert sorted(found) == sorted(told)


def test_a_code_has_one_row_and_one_sentence():
    codes = [code for code, _, _ in ROWS]
    assert codes == sorted(set(codes), key=lambda code: (code[0], int(code[1:])))
    assert [promise for _, promise, _ in ROWS if not promise.endswith(".")] == []


def test_names_of_tests_say_behaviour_without_a_code():
    for path in TESTS.rglob("test_*.py"):
        assert re.findall(r"def test_[A-Z]\d+_\w*", path.read_text(encoding="utf-8")) == [], path
