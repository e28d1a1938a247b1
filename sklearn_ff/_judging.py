"""The score of held-out rows by a scorer of scikit-learn."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from inspect import Parameter, signature
from numbers import Real
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring, get_scorer_names

from ._base import BaseFF, attributes
from ._fitted import Fitted
from ._input import Data
from ._params import brief
from ._plan import Plan
from ._scoring import network_scores, scores_labels, serving
from ._training import recorded
from ._warn import warn
from .exceptions import NoEffectWarning
from .predictions import Goodness

Finish = Callable[[Fitted, Data, Fitted | None], Fitted]
PROBED_ROWS = 8  # that tell whether scores are finite


def judge_of(estimator: BaseFF, plan: Plan, data: Data, finish: Finish) -> Judge | None:
    """What scores held-out rows by the parameter `scoring`; None where it has no effect."""
    scoring = plan.settings.scoring
    if scoring is None:
        return None
    scorer = checked_scorer(scoring)
    if data.held_out is not None:
        return Judge(scorer, estimator, plan, data, finish)
    if not plan.resume:
        warn(
            f"scoring={brief(scoring)} has no effect: no rows are held out; leave scoring=None, "
            f"which is the default, set early_stopping=True, or give fit X_val and y_val.",
            NoEffectWarning,
        )
    return None


class Judge:
    """Scores held-out rows by the estimator that a fit would leave if it ended now.

    The estimator shares the network that learns, and has probabilities where the scorer may ask for
    them. A layer that serves is judged by its own goodness, as in `Accuracy`.
    """

    def __init__(
        self, scorer: Any, estimator: BaseFF, plan: Plan, data: Data, finish: Finish
    ) -> None:
        assert data.held_out is not None and data.classes is not None
        self.X, codes, weight = data.held_out
        self.y, self.plan, self.data, self.finish = data.classes[codes], plan, data, finish
        self.name = f"scoring={brief(plan.settings.scoring)}"
        self.by_labels = getattr(scorer, "_response_method", None) == "predict"
        self.scorer = with_all_classes(scorer, self.y, data.classes)
        self.weights = {} if (weight == weight[0]).all() else {"sample_weight": weight}
        self.estimator = copy.copy(estimator)
        self.estimator.__dict__.pop("feature_names_in_", None)  # held-out rows are an array
        if self.weights and not takes_weights(scorer):
            self.weights = {}
            warn(
                f"{self.name} takes no sample_weight, so that all held-out rows count alike, "
                f"whatever their weights and those of their classes; give a scorer that takes it."
            )

    def __call__(self, net: Any) -> float:
        network, plan = net.module_, self.plan
        top = serving(network, plan)
        unjudged = top is not None and not scores_labels(plan)
        if unjudged or not np.isfinite(network_scores(network, plan, self.X[:PROBED_ROWS])).all():
            return np.nan
        judged = copy.copy(self.estimator)
        judged.__dict__ |= attributes(self._fitted(net, top))
        if top is not None:
            judged.set_params(prediction=Goodness())
        try:
            value = self.scorer(judged, self.X, self.y, **self.weights)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{self.name} cannot score the {len(self.y)} held-out rows: {error}"
            ) from error
        if np.ndim(value) or not isinstance(value, (Real, np.ndarray)):
            raise ValueError(
                f"{self.name} must return a number, but it returned {type(value).__name__}."
            )
        return float(value)

    def _fitted(self, net: Any, top: int | None) -> Fitted:
        fitted = recorded(self.plan, net, self.data)
        if top is None and not self.by_labels:
            return self.finish(fitted, self.data, None)
        plan, scale = self.plan, 1.0  # which decides nothing between labels
        if top is not None:
            plan = replace(plan, prediction=Goodness(), counted=(top,))
            scale = float(net.module_.layers[top].objective.sharpness)
        counts = np.bincount(self.data.codes, self.data.copies, minlength=self.data.n_classes)
        return replace(fitted, plan=plan, scale=scale, slips=0.0, class_count=counts)


def checked_scorer(scoring: Any) -> Any:
    """The scorer of a name, or a callable that is one."""
    if isinstance(scoring, str) and scoring not in get_scorer_names():
        raise ValueError(
            f"scoring={scoring!r} is not known; sklearn.metrics.get_scorer_names() lists the "
            f"names, and a callable (estimator, X, y) -> number may be given instead."
        )
    try:
        return check_scoring(scoring=scoring)
    except ValueError as error:
        name = getattr(scoring, "__name__", brief(scoring))
        raise ValueError(
            f"scoring={name} compares labels, but a scorer takes an estimator, rows and labels; "
            f"give sklearn.metrics.make_scorer({name})."
        ) from error


def takes_weights(scorer: Any) -> bool:
    if hasattr(scorer, "_accept_sample_weight"):
        return scorer._accept_sample_weight()
    try:
        parameters = signature(scorer).parameters
    except ValueError:  # of a callable without a signature
        return False
    any_name = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    return any_name or "sample_weight" in parameters


def with_all_classes(scorer: Any, y: np.ndarray, classes: np.ndarray) -> Any:
    """A scorer of probabilities that knows the classes of which no row is held out."""
    function, method = (getattr(scorer, name, None) for name in ("_score_func", "_response_method"))
    if function is None or method == "predict" or len(np.unique(y)) == len(classes):
        return scorer
    if "labels" in scorer._kwargs or "labels" not in signature(function).parameters:
        return scorer
    options = {**scorer._kwargs, "labels": classes}
    return type(scorer)(function, scorer._sign, options, method)
