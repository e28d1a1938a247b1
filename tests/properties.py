"""What must hold of every case: `check` fits an estimator and returns how that ended."""

import copy
import pickle
import re
import tempfile
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import scipy.sparse as sp
import torch
from hypothesis import HealthCheck, given, seed, settings
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sklearn_ff import FFClassifier, load, save
from sklearn_ff._families import NAMED
from sklearn_ff.exceptions import DivergenceError, FFMemoryError, FFWarning

ROUND = 20
SUM = 1e-12  # within which probabilities sum to one
FITTED = "fitted"
REFUSALS = (ValueError, TypeError, InvalidParameterError, DivergenceError, FFMemoryError)
INPUTS = ["X", "y", "X_val", "y_val", "[Ss]ample[_ ]weights?", "class", "classes"]
INPUTS += [
    "(Expected 2D|Found) array",
    "input variables",
    "could not convert string",
    "Unknown label type",
]


def counted(strategy, property, n_cases, first_seed=0, **options):
    """How the cases of a strategy end, each with a property that returns this.

    They are drawn in rounds, each from a seed of its own, since those of one round are much alike.
    """
    outcomes = Counter()

    @settings(
        max_examples=ROUND,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
        **options,
    )
    @given(strategy)
    def every(case):
        ended = property(case)
        outcomes.update([ended] if isinstance(ended, str) else ended)

    for start in range(first_seed, first_seed + -(-n_cases // ROUND)):
        seed(start)(every)()
    return outcomes


def check(case):
    """Fit, and hold the result to what is promised; how it ended, for the count."""
    model = case.estimator(**case.params)
    given = fingerprint(case)
    outcome = attempt(model, partial(fit, model, case))
    assert fingerprint(case) == given, "fit changed its parameters, X, y or weights"
    if outcome == FITTED:
        check_fitted(model, case)
        check_copies(model, case)
    elif outcome == "DivergenceError":
        predictions(model, case.X)
    else:
        assert not fitted_state(model), f"half-fitted after {outcome}"
    return outcome


def fitted_state(model):
    """Attributes that are no parameters, by what they are, not by what they hold."""
    params = model.get_params(deep=False)
    return {name: id(value) for name, value in vars(model).items() if name not in params}


def fit(model, case):
    more = weighed(model, case)
    if isinstance(model, FFClassifier) and case.validated:
        more |= {"X_val": case.X, "y_val": case.y}
    return model.fit(case.X, case.y, **more)


def weighed(model, case):
    takes = has_fit_parameter(model, "sample_weight")
    return {"sample_weight": case.sample_weight} if takes else {}


def attempt(model, action):
    """What became of an action: `FITTED`, or the name of a refusal in good order."""
    try:
        with documented_warnings(model):
            action()
    except REFUSALS as error:
        assert type(error) in REFUSALS, f"not meant as a refusal: {error!r}"
        assert names_its_cause(str(error), model), f"names nothing: {error!r}"
        return type(error).__name__
    return FITTED


@contextmanager
def documented_warnings(model):
    """None but of the documented categories, each in words of the package."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        always = torch.is_warn_always_enabled()
        torch.set_warn_always(True)
        try:
            yield
        finally:
            torch.set_warn_always(always)
    for warning in caught:
        if issubclass(warning.category, (ConvergenceWarning, DataConversionWarning, FFWarning)):
            continue
        known = warning.category is UserWarning and names_its_cause(str(warning.message), model)
        assert known, f"{warning.category.__name__}: {warning.message} ({warning.filename})"


def names_its_cause(message, model):
    """Whether it names a parameter of the estimator or of its parts, or an input."""
    params = model.get_params(deep=False)
    names = {*params, *INPUTS}
    for name, value in params.items():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, str) and name in NAMED:
                part = NAMED[name].registry.get(part)
            names.add(getattr(part, "__name__", type(part).__name__))
    return re.search(rf"\b({'|'.join(sorted(names))})\b", message) is not None


# One fit after another --------------------------------------------------------------------------


def check_life(life):
    """Every step works, or is refused and leaves the estimator as it was; how the steps ended."""
    model = life.case.estimator(**life.case.params)
    outcomes, X, before = [], None, {}
    for method, params, rows in [("fit", {}, "same"), *life.steps]:
        old, state = model.get_params(deep=False), fitted_state(model)
        model.set_params(**params)
        case = replace(life.case, **other_rows(life.case, rows))
        outcome = attempt(model, partial(learn, model, method, case))
        if outcome in (FITTED, "DivergenceError"):
            X, before = case.X, predictions(model, case.X)
        else:
            model.set_params(**old)
            assert fitted_state(model) == state, f"half-fitted after {outcome} of {method}"
            check_equal(before and predictions(model, X), before)
        outcomes.append(outcome)
    return outcomes


def is_fitted(model):
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def learn(model, method, case):
    """`fit` or `partial_fit`, which is told the classes where it comes first."""
    if method != "partial_fit":
        return fit(model, case)
    labelled = isinstance(model, FFClassifier) or model.supervised is True
    classes = np.unique(case.y) if labelled and not is_fitted(model) else None
    return model.partial_fit(case.X, case.y, classes=classes, **weighed(model, case))


def other_rows(case, which):
    """The rows, labels and weights that a step is given."""
    X, y, weight = case.X, np.ravel(case.y), case.sample_weight
    if which == "fewer_columns":
        return {"X": X[:, 1:]}
    if which == "unseen_label":
        return {"y": np.where(np.arange(len(y)) == 0, y.astype(str), "never seen")}
    some = slice(0, None if which == "same" else 1 + len(y) // 2)
    X = sp.csr_array(X) if sp.issparse(X) else X
    return {"X": X[some], "y": y[some], "sample_weight": None if weight is None else weight[some]}


# What a fitted estimator promises ---------------------------------------------------------------


def predictions(model, X):
    """All that the estimator says of rows, as a dict of arrays, finite and of one mind."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = classified(model, X) if isinstance(model, FFClassifier) else transformed(model, X)
    for name, values in found.items():
        assert values.dtype.kind != "f" or np.isfinite(values).all(), f"{name} is not finite"
        assert len(values) == X.shape[0]
    return found


def classified(model, X):
    p, decision, labels = model.predict_proba(X), model.decision_function(X), model.predict(X)
    assert p.shape == (X.shape[0], len(model.classes_))
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(1), 1, rtol=0, atol=SUM)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-6, atol=1e-12)
    chosen = (decision > 0).astype(int) if decision.ndim == 1 else decision.argmax(1)
    np.testing.assert_array_equal(labels, model.classes_[chosen])
    rows = np.arange(len(p))
    assert (p[rows, chosen] >= p.max(1) - 1e-12).all(), "predict and predict_proba disagree"
    assert decision.ndim == (1 if p.shape[1] == 2 else 2)
    return {"probabilities": p, "decision": decision, "labels": labels}


def transformed(model, X):
    features, familiarity = model.transform(X), model.score_samples(X)
    assert features.shape == (X.shape[0], len(model.get_feature_names_out()))
    assert familiarity.shape == (X.shape[0],)
    return {"features": features, "familiarity": familiarity}


def check_fitted(model, case):
    found = predictions(model, case.X)
    assert model.n_features_in_ == case.X.shape[1]
    assert model.n_iter_ == len(model.loss_curve_) >= 1
    check_alone(model, case.X, found)


def check_alone(model, X, found):
    """What a row is told does not depend on the rest of the batch."""
    X = sp.csr_array(X) if sp.issparse(X) else X
    for i in sorted({0, X.shape[0] // 2, X.shape[0] - 1}):
        alone = predictions(model, X[i : i + 1])
        for name in ("probabilities", "features", "familiarity"):
            if name in found:
                size = max(1.0, np.abs(found[name][i]).max())
                np.testing.assert_allclose(
                    alone[name][0] / size, found[name][i] / size, rtol=0, atol=1e-6, err_msg=name
                )


def check_copies(model, case):
    found = predictions(model, case.X)
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), from_file(model)):
        check_equal(predictions(again, case.X), found)
    again = clone(model)
    assert hashes(again.get_params()) == hashes(model.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(again, case)
    check_equal(predictions(again, case.X), found)


def from_file(model):
    """The estimator as `load` reads it, without its callbacks, which have no names."""
    with tempfile.TemporaryDirectory() as folder:
        save(copy.copy(model).set_params(callbacks=None), Path(folder, "model"))
        return load(Path(folder, "model"))


def check_equal(found, expected):
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def fingerprint(case):
    return hashes({**case.params, "X": case.X, "y": case.y, "sample_weight": case.sample_weight})


def hashes(values):
    """Of every value by itself: a hash tells two equal objects from one that stands twice."""
    return {name: hashed(value) for name, value in values.items()}


def hashed(value):
    if isinstance(value, (list, tuple)):
        return [hashed(entry) for entry in value]
    if hasattr(value, "get_params") and not isinstance(value, type):
        return type(value), hashes(value.get_params(deep=False))
    return joblib.hash(value)
