"""Docstrings of the public estimators, held to what scikit-learn holds its own to."""

import inspect
import re
from functools import partial
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate
from sklearn.base import clone
from sklearn.datasets import load_iris

import sklearn_ff
from sklearn_ff import FFClassifier, FFOutlierDetector, FFTransformer
from sklearn_ff.layers import Conv2d

X, y = load_iris(return_X_y=True)
ESTIMATORS = [FFClassifier, FFTransformer, FFOutlierDetector]
# As in sklearn/tests/test_docstrings.py: not required, and required of classes only.
IGNORED = {"RT02", "GL01", "GL02"}
OF_CLASSES = {"EX01", "SA01", "ES01"}


def public(cls):
    """Methods and properties of a class that a user sees, and None for the class itself."""
    return [None, *(name for name in dir(cls) if not name.startswith("_") and is_code(cls, name))]


def is_code(cls, name):
    member = inspect.getattr_static(cls, name)
    return callable(member) or isinstance(member, property | classmethod | staticmethod)


MEMBERS = [(cls, name) for cls in ESTIMATORS for name in public(cls)]


@pytest.mark.parametrize("cls, name", MEMBERS, ids=[f"{c.__name__}.{n}" for c, n in MEMBERS])
def test_docstrings_are_numpydoc(cls, name):
    path = f"{cls.__module__}.{cls.__name__}" + (f".{name}" if name else "")
    found = validate(path)["errors"]
    ignored = IGNORED | (OF_CLASSES if name else set())
    if name and isinstance(inspect.getattr_static(cls, name), property):
        ignored |= {"PR02", "GL08"}
    assert [error for error in found if error[0] not in ignored] == []


def documented(cls, section):
    """Names of a section of the docstring, several of which may share an entry."""
    entries = NumpyDocString(inspect.getdoc(cls))[section]
    return {name for entry in entries for name in re.findall(r"\w+", entry.name)}


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_is_documented(cls):
    assert documented(cls, "Parameters") == set(cls().get_params())


FITS = {
    "classifier": FFClassifier(max_iter=2),
    "early stopping": FFClassifier(max_iter=2, early_stopping=True, prediction="head"),
    "images": FFClassifier(
        layers=[Conv2d(4)], max_iter=2, image_shape=(1, 2, 2), overlay="channel"
    ),
    "transformer": FFTransformer(max_iter=2),
    "supervised": FFTransformer(max_iter=2, supervised=True),
    "outliers": FFOutlierDetector(FFTransformer(8, max_iter=2)),
}
WAYS = [(n, how) for n in FITS for how in ("fit", "partial_fit") if hasattr(FITS[n], how)]


@pytest.mark.parametrize("name, how", WAYS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_fitted_attribute_is_documented(name, how):
    pandas = pytest.importorskip("pandas")
    estimator = clone(FITS[name]).set_params(random_state=0)
    rows = pandas.DataFrame(X, columns=list("abcd"))
    if how == "partial_fit" and "early_stopping" in estimator.get_params():
        estimator.set_params(early_stopping=False)
    learn = estimator.fit if how == "fit" else partial(estimator.partial_fit, classes=np.unique(y))
    learn(rows, y)
    fitted = {name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")}
    assert "n_features_in_" in fitted
    assert fitted - documented(type(estimator), "Attributes") == set()


def test_every_estimator_and_every_public_module_is_in_the_api_reference():
    root = Path(sklearn_ff.__file__).parent
    page = (root.parent / "docs" / "api.md").read_text(encoding="utf-8")
    modules = {info.name for info in iter_modules([root]) if not info.name.startswith("_")}
    names = modules - {"core"} | {cls.__name__ for cls in ESTIMATORS}
    assert [name for name in sorted(names) if f"   {name}\n" not in page] == []
