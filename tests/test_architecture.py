"""The rows of the package: a file imports only from the rows above its own."""

import ast
from pathlib import Path

import pytest

import sklearn_ff

ROOT = Path(sklearn_ff.__file__).parent
TESTS = Path(__file__).parent
PACKAGE = ROOT.name
TABLE = [
    ["exceptions", "_params", "_typing", "_version", "_draws", "_warn", "_registry", "core"],
    ["_stored", "_threads"],
    ["_files", "_ranks"],
    ["_parts"],
    ["_images"],
    ["negatives._base", "layers._base", "objectives._base"],
    ["layers._norms"],
    ["negatives._labels", "negatives._rows", "layers._dense", "layers._images"],
    ["layers._blocks", "layers._modules", "objectives._scores", "objectives._context"],
    [
        *("overlays", "negatives", "goodness", "objectives", "layers", "activations"),
        *(
            "normalizations",
            "augmentations",
            "schedules",
            "heads",
            "predictions",
            "_scaling",
            "_optimizers",
        ),
    ],
    ["_open_columns"],
    ["core.record"],
    ["core.encoder", "core.head", "core.peers"],
    ["core.forward_forward"],
    ["core.formulas", "core.prediction"],
    ["core.build"],
    ["core.callbacks", "core.interrupts", "core.rows", "core.user_callbacks", "callbacks"],
    ["core.resume", "core.notified"],
    [
        *("core.freezing", "core.serving", "core.capture", "core.passes", "core.updates"),
        "core.heap",
    ],
    ["core.engine"],
    ["_families", "_labels", "_machine", "_per_layer", "_weights"],
    ["_automatic", "_encoding", "_settings", "_validation", "_lifeless", "_overfitting"],
    ["_class_weights", "_scoring"],
    ["_familiarity", "_input", "_neighbours"],
    ["_plan"],
    ["_checkpoints"],
    ["_effects", "_html"],
    ["_compatibility"],
    ["_calibration", "_fitted"],
    ["_training", "_base", "_restored"],
    ["_judging", "_tasks"],
    ["_learning"],
    ["_classifier", "_transformer"],
    ["_outliers"],
    ["plotting._base"],
    ["plotting._familiarity", "plotting._fields", "plotting._goodness", "plotting._history"],
    ["recipes._settings"],
    ["recipes._backprop", "recipes._hinton", "recipes._mpezeshki", "recipes._rmwkwok"],
    ["recipes._asge", "recipes._cwcomp", "recipes._deeper_forward", "recipes._hff"],
    ["recipes._local_loss", "recipes._mono_forward", "recipes._scff"],
    ["recipes._pairs", "recipes._collaboration", "recipes._convolutions"],
    ["recipes._hinton_features"],
    ["recipes", "datasets", "plotting", "persistence"],
    ["distributed._group"],
    ["distributed._shares", "distributed._channel"],
    ["distributed._rows"],
    ["distributed._layers", "distributed._dask"],
    ["distributed"],
    [""],
]
ROW = {name: row for row, names in enumerate(TABLE) for name in names}
SKORCH = {
    *("core.notified", "core.callbacks", "core.updates"),
    *("core.user_callbacks", "callbacks"),
}


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imports_in(name, tree):
    """Absolute dotted names that the nodes of a tree import."""
    package = [PACKAGE, *(name.split(".") if name else [])]
    if FILES[name].name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                is_module = whole.removeprefix(PACKAGE + ".") in FILES
                yield whole if base.split(".")[0] == PACKAGE and is_module else base


def own(imports):
    """Those of the package itself, as in the table."""
    return {i.removeprefix(PACKAGE).lstrip(".") for i in imports if i.split(".")[0] == PACKAGE}


def imports_from(name, library):
    return any(i.split(".")[0] == library for i in imports_in(name, TREES[name]))


def test_the_reader_of_imports_sees_them():
    assert own(imports_in("core.engine", TREES["core.engine"])) >= {"core.forward_forward"}
    assert "_parts" in own(imports_in("goodness", TREES["goodness"]))
    assert imports_from("core.notified", "skorch")
    assert imports_from("_params", "sklearn")


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_a_row(name):
    assert name in ROW


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_from_rows_above_its_own(name):
    assert {i for i in own(imports_in(name, TREES[name])) if ROW[i] >= ROW[name]} == set()


@pytest.mark.parametrize("name", FILES)
def test_the_package_is_imported_at_the_top_of_a_file_only(name):
    functions = [
        node
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    for function in functions:
        assert not own(imports_in(name, function)), function.name


@pytest.mark.parametrize("name", sorted(set(FILES) - SKORCH))
def test_skorch_is_imported_in_few_files_only(name):
    assert not imports_from(name, "skorch")


@pytest.mark.parametrize("name", [name for name in FILES if name.split(".")[0] == "core"])
def test_the_core_imports_no_sklearn(name):
    assert not imports_from(name, "sklearn")


@pytest.mark.parametrize("name", FILES)
def test_matplotlib_is_imported_when_something_is_drawn(name):
    top = [node for node in TREES[name].body if isinstance(node, ast.Import | ast.ImportFrom)]
    imports = imports_in(name, ast.Module(top, []))
    assert not any(i.split(".")[0] == "matplotlib" for i in imports)


def docstring_lines(tree):
    """Lines of all docstrings of a file."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    owners = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return sum(len((ast.get_docstring(node, clean=False) or "").splitlines()) for node in owners)


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_at_most_400_lines_besides_its_docstrings(name):
    lines = FILES[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) - docstring_lines(TREES[name]) <= 400


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_a_docstring(name):
    assert ast.get_docstring(TREES[name])


def calls_in(tree):
    """Names that are called, dotted, and their keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield (
                ast.unparse(node.func),
                {word.arg: ast.unparse(word.value) for word in node.keywords},
            )


def writes_to_the_environment(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.Delete)):
            targets = getattr(node, "targets", None) or [node.target]
            yield from (t for t in targets if ast.unparse(t).startswith("os.environ["))


@pytest.mark.fault("G6")
@pytest.mark.parametrize("name", FILES)
def test_files_of_torch_are_read_without_pickle(name):
    loads = [words for called, words in calls_in(TREES[name]) if called == "torch.load"]
    assert all(words.get("weights_only") == "True" for words in loads)


RUNS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.putenv", "os.setenv"}
RUNS |= {"os.environ.update", "os.environ.setdefault", "os.environ.pop"}
OUTSIDE = {"subprocess", "socket", "requests", "ftplib", "smtplib", "pickle", "marshal", "shelve"}
DOWNLOADS = {"datasets"}  # where the user asks for it


@pytest.mark.fault("G11")
@pytest.mark.parametrize("name", FILES)
def test_nothing_is_run_sent_or_set_outside(name):
    tree = TREES[name]
    assert {called for called, _ in calls_in(tree)} & RUNS == set()
    assert list(writes_to_the_environment(tree)) == []
    outside = OUTSIDE | ({"urllib", "http"} if name not in DOWNLOADS else set())
    assert {i.split(".")[0] for i in imports_in(name, tree)} & outside == set()


ACROSS = {  # tests of no one file
    *(
        "alpha",
        "architecture",
        "common",
        "docstrings",
        "ecosystem",
        "examples",
        "links",
        "metadata",
        "mutations",
    ),
    *("properties", "published_methods"),
    *("real_images", "reliability", "representations", "sklearn", "surroundings", "text"),
    "warnings",
}


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.stem)
def test_a_file_of_tests_has_the_name_of_the_file_it_tests(path):
    folder = path.parent.relative_to(TESTS).parts
    known = {
        parts[-1].lstrip("_") for name in FILES if (parts := name.split("."))[:-1] == [*folder]
    }
    words = path.stem.removeprefix("test_").split("_")
    begins = {"_".join(words[:n]) for n in range(1, len(words) + 1)}  # a part may follow the name
    assert begins & known or (not folder and "_".join(words) in ACROSS)
