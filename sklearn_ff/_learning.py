"""`fit` and `partial_fit` of every estimator: the five functions of the house in their order."""

from ._base import fitting, publish
from ._compatibility import check, check_partial_fit
from ._input import Request, read
from ._plan import make_plan
from ._settings import settings_of
from ._training import build, train


def learn(estimator, X, request, finish):
    """Fit an estimator; `finish` adds to the fitted value what the estimator reads from it."""
    with fitting(estimator, request.resume or estimator.warm_start) as previous:
        settings = settings_of(estimator)
        data = read(estimator, settings, X, request, previous)
        plan = make_plan(settings, data, previous, request.resume)
        check(plan, previous)
        network, draws = build(plan, previous)
        fitted = train(plan, network, draws, data, estimator.callbacks, previous)
        publish(estimator, finish(fitted, data, previous))
    return estimator


def learn_more(estimator, X, y, classes, sample_weight, finish):
    """`partial_fit`: one epoch, by the state of the last call."""
    estimator._validate_params()  # scikit-learn looks at them before the first fit only
    check_partial_fit(settings_of(estimator))
    request = Request(y, sample_weight, classes=classes, resume=True)
    return learn(estimator, X, request, finish)
