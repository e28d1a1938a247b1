"""Print the oldest dependencies that pyproject.toml allows, as constraints for pip.

    python3.11 .ci/oldest.py > oldest.txt
    python3.11 -m pip install -c oldest.txt -e ".[test]"
    bash .ci/test -m "not slow"

Every lower bound ">=" of the project's own dependencies becomes a pin "==". Packages that only the
tests need keep their bounds. Use the oldest Python that the project supports, in a fresh virtual
environment.
"""

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
BOUND = re.compile(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9][0-9A-Za-z.]*)$")


def pin(dependency):
    bound = BOUND.match(dependency)
    if bound is None:
        raise ValueError(f"{dependency!r} has no lower bound to test against.")
    return f"{bound[1]}=={bound[2]}"


if __name__ == "__main__":
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(map(pin, project["dependencies"])))
