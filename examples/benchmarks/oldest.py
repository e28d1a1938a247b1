"""Run the tests with the oldest dependencies that pyproject.toml allows.

    python3.11 examples/benchmarks/oldest.py

Every lower bound ">=" of the project's dependencies becomes a pin "==". A copy of the project is
installed with its test extra into a new virtual environment, both in a temporary folder. Run it
with the oldest Python that the project supports. The result line holds the pins and the exit code
of the tests; `-- ARGS` are passed to pytest.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from results import emit

ROOT = Path(__file__).resolve().parents[2]
BOUND = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*>=\s*([0-9][0-9A-Za-z.]*)")


def main():
    args = arguments()
    pins = oldest(ROOT / "pyproject.toml")
    if args.list:
        print("\n".join(pins))
        return 0
    with tempfile.TemporaryDirectory(prefix="oldest-") as folder:
        code = run(Path(folder), pins, args)
    result = {"benchmark": "oldest", "python": sys.version.split()[0], "pins": pins, "exit": code}
    emit(result, args.output)
    return code


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the pins and do nothing else")
    parser.add_argument("--index-url", help="package index, such as torch's for the CPU")
    parser.add_argument("--extra-index-url", help="a second package index")
    parser.add_argument("--output", help="file to append the result to")
    parser.add_argument("pytest_args", nargs="*", help="after --: arguments for pytest")
    return parser.parse_args()


def oldest(pyproject):
    """The lower bounds of the project's dependencies as pins."""
    dependencies = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [pin(dependency) for dependency in dependencies]


def pin(dependency):
    bound = BOUND.match(dependency)
    if bound is None:
        raise ValueError(f"{dependency!r} has no lower bound to test against.")
    return f"{bound[1]}=={bound[2]}"


def run(folder, pins, args):
    """Install into a fresh environment and test there; the exit code of pytest."""
    project = folder / "project"
    shutil.copytree(
        ROOT, project, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build")
    )
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
    python = environment(folder / "venv")
    command = [python, "-m", "pip", "install", *indices(args), "-c", constraints, "-e", ".[test]"]
    subprocess.run(command, cwd=project, check=True)
    return subprocess.run([python, "-m", "pytest", *args.pytest_args], cwd=project).returncode


def environment(folder):
    """The interpreter of a new virtual environment."""
    venv.create(folder, with_pip=True)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def indices(args):
    given = {"--index-url": args.index_url, "--extra-index-url": args.extra_index_url}
    return [word for flag, url in given.items() if url for word in (flag, url)]


if __name__ == "__main__":
    sys.exit(main())
