"""Links and references, as far as they can be checked without a network."""

import re
import runpy
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
TEXTS = [*PAGES, ROOT / "CITATION.cff", *(ROOT / "sklearn_ff").rglob("*.py")]
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.M | re.S)
LINK = re.compile(r"\]\((\S+?)\)")
OUTSIDE = re.compile(r"https?://[^\s)>\]\"'`]+")


def read(path):
    return path.read_text(encoding="utf-8")


def links(path):
    return LINK.findall(CODE.sub("", read(path)))


def anchors(path):
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", read(path), flags=re.M | re.S), re.M
    )
    plain = (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_into_the_project_lead_to_a_file_and_a_heading(path):
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = path.parent / parts.path if parts.path else path
        assert target.exists(), link
        assert not parts.fragment or parts.fragment in anchors(target), link


def test_an_address_outside_is_written_in_one_way():
    found = {match.rstrip(".,;:") for path in TEXTS for match in OUTSIDE.findall(read(path))}
    found = {link for link in found if "{" not in link}
    assert len(found) > 5
    for link in found:
        parts = urlsplit(link)
        assert parts.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc), link
        assert not parts.path.endswith("//") and parts.port is None, link
    assert len({link.rstrip("/").lower() for link in found}) == len(found)


def test_numbers_of_preprints_are_well_formed():
    found = re.findall(r"arxiv(?::|\.org/abs/)\s*([\w./]+)", " ".join(map(read, TEXTS)), re.I)
    assert len(found) > 20
    for number in {number.rstrip(".") for number in found}:
        assert re.fullmatch(r"[1-9]\d(0[1-9]|1[0-2])\.\d{5}", number), number


def test_digital_object_identifiers_are_well_formed():
    for doi in re.findall(r"doi(?:\.org/|: ?)(\S+)", " ".join(map(read, TEXTS)), re.I):
        assert re.fullmatch(r"10\.\d{4,9}/[^\s]+[\w)]", doi.rstrip(".,;")), doi


def test_the_readme_of_a_package_index_has_absolute_links_alone():
    absolute = runpy.run_path(str(ROOT / ".ci" / "absolute.py"))["absolute"]
    before, code = read(ROOT / "README.md"), CODE.findall(read(ROOT / "README.md"))
    after = absolute(before, "https://example.org/it/", "1.2")
    there = LINK.findall(CODE.sub("", after))
    assert all(link.startswith(("https://", "#")) for link in there)
    assert "![" not in after or "](https://example.org/it/raw/v1.2/docs/images/" in after
    assert "](https://example.org/it/blob/v1.2/docs/results.md)" in after
    assert CODE.findall(after) == code and absolute(after, "https://example.org", "1.2") == after
