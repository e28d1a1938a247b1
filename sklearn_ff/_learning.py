"""`fit` and `partial_fit` of every estimator: its five functions in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context

from ._base import BaseFF, fitting, publish
from ._compatibility import check, check_partial_fit
from ._input import Request, read
from ._judging import judge_of
from ._machine import one_thread
from ._plan import make_plan
from ._settings import settings_of
from ._tasks import Finish, Tasks
from ._training import build, is_small, train

E = TypeVar("E", bound=BaseFF)
M = TypeVar("M", bound=Callable[..., Any])


def checks_parameters(method: M) -> M:
    """Decorate a method that fits: scikit-learn checks the parameters first."""
    return _fit_context(prefer_skip_nested_validation=True)(method)  # which has no types


def learn(estimator: E, X: Any, request: Request, finish: Finish) -> E:
    """Fit an estimator; `finish` adds to the fitted value what the estimator reads from it."""
    tasks = Tasks(estimator, X, request)
    with fitting(estimator, request.resume or estimator.warm_start) as previous:
        settings = settings_of(estimator)
        data = read(estimator, settings, X, request, previous)
        plan = make_plan(settings, data, previous, request.resume)
        check(plan, previous)
        network, draws = build(plan, previous)
        ways = tasks.begin(plan, data, finish), judge_of(estimator, plan, data, finish)
        with one_thread(estimator.n_threads is None and is_small(plan)):
            fitted = train(plan, network, draws, data, estimator.callbacks, previous, *ways)
        publish(estimator, finish(fitted, data, previous))
        tasks.end()
    return estimator


def learn_more(estimator: E, X: Any, y: Any, classes: Any, sample_weight: Any, finish: Finish) -> E:
    """`partial_fit`: one epoch, by the state of the last call."""
    estimator._validate_params()  # scikit-learn looks at them before the first fit only
    check_partial_fit(settings_of(estimator))
    request = Request(y, sample_weight, classes=classes, resume=True)
    return learn(estimator, X, request, finish)
