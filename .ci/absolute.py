"""Make the links of README.md absolute, for the page of a package index.

    python .ci/absolute.py

They stay relative in the repository, whose address the owner writes once, as `Source` under
[project.urls] of pyproject.toml. Run it on the commit of a release, before `python -m build`, and
take the change back afterwards: `git checkout README.md`.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!\w+:|#)([^)\s]+)\)")


def absolute(text, source, version):
    """A text with links into the repository `source` at the tag of a version."""

    def link(match):
        kind = "raw" if match[1] else "blob"
        return f"{match[1]}{match[2]}({source.rstrip('/')}/{kind}/v{version}/{match[3]})"

    return LINK.sub(link, text)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    source = project.get("urls", {}).get("Source")
    if source is None:
        sys.exit("pyproject.toml names no Source under [project.urls], to which links could lead.")
    known = (ROOT / "sklearn_ff" / "_version.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.+)"', known)[1]
    readme = ROOT / "README.md"
    text = absolute(readme.read_text(encoding="utf-8"), source, version)
    readme.write_text(text, encoding="utf-8")
