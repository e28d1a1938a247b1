"""A network that is built and not yet trained."""

import warnings

import numpy as np
from sklearn.base import clone

from sklearn_ff._compatibility import check
from sklearn_ff._input import Data
from sklearn_ff._plan import make_plan
from sklearn_ff._settings import settings_of
from sklearn_ff._training import build
from sklearn_ff.core import prediction
from sklearn_ff.exceptions import NoEffectWarning
from sklearn_ff.predictions import Hybrid, checked_rule


def planned(estimator, X, n_classes):
    """The network of an estimator for the rows X, its draws, and its plan.

    On the CPU, where tests compute what it should return, and know the draws.
    """
    estimator = clone(estimator).set_params(device="cpu")
    codes = np.arange(len(X)) % n_classes
    data = Data(X, codes, np.ones(len(X)), classes=np.arange(n_classes))
    plan = make_plan(settings_of(estimator), data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)  # of the form of rows, for all overlays
        check(plan)
    return *build(plan), plan


def label_scores(net, x, rule, layers, shortlist=2):
    """A score for every row and label, by the name of a rule."""
    rule = Hybrid(shortlist) if rule == "hybrid" else checked_rule(rule)
    return prediction.label_scores(net, x, rule, layers)
