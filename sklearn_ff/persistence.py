"""Estimators in files that last: `save` and `load`, and `register` for what is the user's own.

A file has the format of safetensors: the arrays, and beside them JSON with the schema's version,
the class, the parameters, and what the fit has found. It holds no code, and loading it imports and
runs nothing that it names. Every later version of the package reads the files of all schemas.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from ._base import WHILE_FITTING, BaseFF, publish
from ._classifier import FFClassifier
from ._encoding import REGISTERED, Decoder, Encoder
from ._files import file_errors, read, write
from ._fitted import Fitted, from_state, to_state
from ._machine import own_settings
from ._outliers import FFOutlierDetector
from ._registry import NAMES, name_of, register
from ._restored import check_fitted, check_network
from ._settings import Settings, settings_of
from ._transformer import FFTransformer
from ._version import __version__
from .exceptions import ModelFileError

__all__ = ["load", "register", "save"]

SCHEMA = 1
# By schema: a function from the content of a file of it to that of the next one.
UPGRADES: dict[int, Callable[[Any], Any]] = {}
FORMAT = "sklearn_ff estimator"
PACKAGE = __name__.partition(".")[0]
ESTIMATORS: dict[str, type[Any]] = {
    cls.__name__: cls for cls in (FFClassifier, FFTransformer, FFOutlierDetector)
}
REQUESTS = "_metadata_request"  # what scikit-learn's routing of metadata keeps on an estimator
# Callbacks of scikit-learn belong to the process, and how a fit was watched is of no use later.
LEFT_OUT = {"_skl_callbacks", *WHILE_FITTING}
WATCHED_BY = {"defaults", "scoring"}


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator, fitted or not, to a file that every later version of the package reads.

    The file takes its place at one stroke, when it is complete and on the disk: after any fault, a
    file that was there before stays whole until then.

    Parameters
    ----------
    estimator : FFClassifier, FFTransformer or FFOutlierDetector
        The estimator. Functions and classes of the user's among its parameters need a name, which
        :func:`register` gives, or the `register` of a family of parts.
    path : str or path-like
        The file. It is overwritten if it exists.

    See Also
    --------
    load : The estimator from the file.

    Examples
    --------
    >>> import os, tempfile
    >>> import sklearn_ff
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = sklearn_ff.FFClassifier(16, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "iris.safetensors")
    ...     sklearn_ff.save(clf, path)
    ...     again = sklearn_ff.load(path)
    >>> bool((again.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    if not isinstance(estimator, (*ESTIMATORS.values(),)):
        remedy = (
            "save the estimator inside of it, if there is one, or write the whole with joblib.dump"
        )
        if isinstance(estimator, (str, os.PathLike)):
            remedy = "write save(estimator, path), the estimator first"
        raise TypeError(
            f"save takes an estimator of sklearn_ff, but was given a {type(estimator).__name__}; "
            f"{remedy}."
        )
    encoder = EstimatorEncoder()
    with own_settings():
        content = encoder.estimator(estimator)
    written = {"format": FORMAT, "schema": SCHEMA, "version": __version__, **content}
    write(path, written, encoder.arrays)


def load(path: str | os.PathLike[str]) -> Any:
    """Return the estimator that :func:`save` has written.

    Parameters
    ----------
    path : str or path-like
        The file. It may come from anywhere: one that is damaged or made to do harm raises
        ModelFileError, and nothing in it is run.

    Returns
    -------
    estimator : object
        An equal estimator, whose predictions are equal to the bit on the same kind of machine. It
        is on the CPU, with a warning, if it was fitted on a device that this machine does not have.

    See Also
    --------
    save : Writes the file.
    """
    content, arrays = read(path)
    with file_errors(path), own_settings():
        decoder = EstimatorDecoder(arrays)
        estimator = decoder.estimator(upgraded(content))
        if decoder.unused:
            raise ModelFileError(f"it has arrays without use, such as {min(decoder.unused)[:50]}.")
        return estimator


# To a file ----------------------------------------------------------------------------------------


class EstimatorEncoder(Encoder):
    """Values to JSON, estimators of this package among them."""

    def _own(self, value: Any, where: str) -> Any:
        if isinstance(value, (*ESTIMATORS.values(),)):
            return {"is": "estimator", "of": self.estimator(value, where)}
        return super()._own(value, where)

    def estimator(self, estimator: Any, where: str = "") -> dict[str, Any]:
        """Class, parameters and fit of an estimator."""
        within = f" of {where}" if where else ""
        params = estimator.get_params(deep=False)
        fitted = vars(estimator).get("_fitted")
        known = {"_fitted", REQUESTS, *LEFT_OUT, *params, *published(estimator, fitted)}
        others = {name: value for name, value in vars(estimator).items() if name not in known}
        state = None if fitted is None else state_of(estimator, fitted)
        return {
            "class": class_name(type(estimator)),
            "params": {k: self.encode(value, k + within) for k, value in params.items()},
            "attributes": {k: self.encode(value, f"{k}{within}") for k, value in others.items()},
            "requests": requests_of(estimator),
            "fitted": None if state is None else self._state(state, within),
        }

    def _state(self, state: dict[str, Any], within: str) -> dict[str, Any]:
        weights = state.pop("weights").items()
        found = {k: self.encode(v, f"{k} of the fit{within}") for k, v in state.items()}
        # Their names say to a reader of the file what they are.
        stored = {k: {"is": "array", "of": self._stored(array, k)} for k, array in weights}
        return {**found, "weights": stored}


def class_name(cls: type) -> list[str]:
    """Where the class of an estimator has its name, and the name."""
    for name, one in ESTIMATORS.items():
        if one is cls:
            return [PACKAGE, name]
    own = name_of(cls)
    if own is None:
        raise ModelFileError(
            f"{cls.__name__}, the class of this estimator, has no registered name, and a file "
            f"holds names instead of code; register it by sklearn_ff.register('name'), here and in "
            f"the process that loads the file."
        )
    return [REGISTERED, own]


def state_of(estimator: BaseFF, fitted: Fitted) -> dict[str, Any]:
    """The state of a fit, where parameters that the estimator still has stand once."""
    state = to_state(fitted)
    state["plan"]["settings"] = changed(state["plan"]["settings"], settings_of(estimator))
    return state


def published(estimator: BaseFF, fitted: Fitted | None) -> set[str]:
    """Names of the attributes that follow from the fitted value."""
    if fitted is None:
        return set()
    bare: Any = object.__new__(type(estimator))
    publish(bare, replace(fitted, error=None))
    return set(vars(bare))


def requests_of(estimator: BaseFF) -> dict[str, dict[str, Any]] | None:
    """Metadata that the estimator asks a Pipeline or a search for, by method."""
    requests = vars(estimator).get(REQUESTS)
    if requests is None:
        return None
    methods = {
        name: one.requests for name, one in vars(requests).items() if hasattr(one, "requests")
    }
    return {name: dict(asked) for name, asked in methods.items() if asked}


def changed(fitted: dict[str, Any], now: Settings) -> dict[str, Any]:
    """Parameters of the fit that the estimator no longer has."""
    return {
        name: value
        for name, value in fitted.items()
        if name not in WATCHED_BY and not same(value, getattr(now, name))
    }


def same(first: Any, second: Any) -> bool:
    """Whether two values are one, or equal and plain."""
    plain = type(first) is type(second) and type(first) in (bool, int, float, str)
    return first is second or (plain and first == second)


# From a file --------------------------------------------------------------------------------------


def upgraded(content: Any) -> Any:
    """The content of a file as of the present schema."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelFileError("it holds no estimator.")
    schema = content.get("schema")
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise ModelFileError(
            f"it has the schema {str(schema)[:20]} of sklearn_ff "
            f"{str(content.get('version'))[:20]}, and this version, {__version__}, reads schemas "
            f"up to {SCHEMA}; install a later one."
        )
    for number in range(schema, SCHEMA):
        content = UPGRADES[number](content)
    return content


class EstimatorDecoder(Decoder):
    """JSON to values, estimators of this package among them."""

    def estimator(self, content: dict[str, Any], depth: int = 0) -> Any:
        """The estimator of its class, parameters and fit."""
        cls = class_named(*content["class"])
        estimator = cls(**self._all(content["params"], depth))
        attributes = self._all(content["attributes"], depth)
        if content["fitted"] is not None:
            state = content["fitted"]
            weights = self._all(state["weights"], depth)
            state = self._all({**state, "weights": None}, depth)
            publish(estimator, fitted_of(estimator, {**state, "weights": weights}))
        found = estimator.__dict__  # not by setattr, which could reach a property
        for name, value in attributes.items():
            if not name.isidentifier() or name.startswith("__") or hasattr(cls, name):
                raise ModelFileError(f"it sets {name[:50]!r}, which is no attribute of a fit.")
            found[name] = value
        if content["requests"] is not None:
            found[REQUESTS] = request_of(estimator, content["requests"])
        return estimator

    def _all(self, values: dict[str, Any], depth: int) -> dict[str, Any]:
        return {name: self.decode(value, depth) for name, value in values.items()}

    def _estimator(self, value: Any, depth: int) -> Any:
        return self.estimator(value["of"], depth)

    READERS: dict[Any, Any] = {**Decoder.READERS, "estimator": _estimator}


def class_named(place: str, name: str) -> type[Any]:
    """The class of an estimator by its name."""
    found = (NAMES if place == REGISTERED else ESTIMATORS).get(name)
    if not (isinstance(found, type) and issubclass(found, (*ESTIMATORS.values(),))):
        raise ModelFileError(
            f"it holds an estimator of the class {name[:50]!r}, which is not known here; register "
            f"it by sklearn_ff.register, as before saving, or install a later version."
        )
    return found


def fitted_of(estimator: BaseFF, state: dict[str, Any]) -> Fitted:
    """The fitted value of a state, whose network is bounded by the arrays of the file."""
    known = {one.name for one in fields(Settings)} - {"defaults"}
    settings = replace(settings_of(estimator), **known_only(state["plan"]["settings"], known))
    state["plan"]["settings"] = {one.name: getattr(settings, one.name) for one in fields(Settings)}
    check_network(state)
    fitted = from_state(state)
    check_fitted(fitted)
    return fitted


def known_only(values: dict[str, Any], known: set[str]) -> dict[str, Any]:
    if values.keys() - known:
        raise ModelFileError(f"it has the parameters {sorted(values.keys() - known)}.")
    return values


def request_of(estimator: BaseFF, asked: dict[str, dict[str, Any]]) -> Any:
    """scikit-learn's object for the metadata that an estimator asks for."""
    requests = estimator._get_metadata_request()
    for method, params in asked.items():
        for name, alias in params.items():
            getattr(requests, method).add_request(param=name, alias=alias)
    return requests
