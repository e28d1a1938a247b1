"""A fit, its stages and its epochs as tasks, of which scikit-learn's callbacks are told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ._base import BaseFF, attributes
from ._fitted import Fitted, from_state, to_state
from ._input import Data, Request
from ._plan import Plan
from ._training import recorded

Finish = Callable[[Fitted, Data, Fitted | None], Fitted]


class Tasks:
    """The task of a fit, with stages as its subtasks and epochs as theirs.

    Made before anything else of the fit, so that callbacks are torn down after an error too. The
    context's tasks stay until the fit ends, and therefore batches are none.
    """

    def __init__(self, estimator: BaseFF, X: Any, request: Request) -> None:
        self.estimator, self.partial = estimator, request.resume
        weight = request.sample_weight
        metadata = None if weight is None else {"sample_weight": weight}
        self.rows = {"X": X, "y": request.y, "metadata": metadata}
        number = 0 if self.partial else None  # of stages, not known yet
        self.root = estimator._init_callback_context(max_subtasks=number)
        self.stage: Any = None
        self.epoch: Any = None

    def begin(self, plan: Plan, data: Data, finish: Finish) -> Tasks | None:
        """Begin the task of the fit; return what reports stages, if anyone listens."""
        self.snapshot = partial(so_far, plan, data, finish)
        if not self.partial:
            self.root.max_subtasks = len(plan.stages)
        self._begin(self.root)
        return self if self.root._callbacks and not self.partial else None

    def end(self) -> None:
        """Tell that the estimator is fitted."""
        self._end(self.root, {})

    # What training reports --------------------------------------------------------------------

    def stage_begins(self, name: str, n_epochs: int) -> None:
        self.name = name
        self.stage = self.root.subcontext(task_name=name, max_subtasks=n_epochs)
        self._begin(self.stage)

    def epoch_begins(self) -> None:
        self.epoch = self.stage.subcontext(task_name=f"epoch of {self.name}")
        self._begin(self.epoch)

    def epoch_ends(self, net: Any) -> bool:
        epoch, self.epoch = self.epoch, None
        return self._end(epoch, partial(self.snapshot, net))

    def stage_ends(self, net: Any) -> bool:
        """An epoch that was cut short ends too, without a fitted estimator."""
        if self.epoch is not None:
            self._end(self.epoch, None)
        stage, self.stage, self.epoch = self.stage, None, None
        return self._end(stage, partial(self.snapshot, net) if net.n_updates_ else None)

    def _begin(self, context: Any) -> None:
        context.call_on_fit_task_begin(estimator=self.estimator, **self.rows)

    def _end(self, context: Any, fitted: Any) -> bool:
        """Whether a callback asks to end what goes on around this task."""
        return context.call_on_fit_task_end(
            estimator=self.estimator, **self.rows, reconstruction_attributes=fitted
        )


class Fits:
    """The task of a fit that consists of fits of transformers, which are its subtasks."""

    def __init__(self, estimator: Any, X: Any, y: Any) -> None:
        self.estimator, self.rows = estimator, {"X": X, "y": y}
        self.root = estimator._init_callback_context(max_subtasks=None)

    def begin(self, number: int) -> None:
        """Begin the task of this number of fits."""
        self.root.max_subtasks = self.left = number
        self.root.call_on_fit_task_begin(estimator=self.estimator, **self.rows)

    def fit(self, name: str, other: BaseFF, X: Any) -> Any:
        """Fit another estimator, which tells the same callbacks.

        Ctrl-C leaves a fit with what it has learned; where others are to follow, it ends all.
        """
        task = self.root.subcontext(task_name=name)
        with task.propagate_callback_context(other):
            task.call_on_fit_task_begin(estimator=self.estimator, X=X)
            fitted: Any = other
            fitted.fit(X)
            task.call_on_fit_task_end(estimator=self.estimator, X=X)
        self.left -= 1
        if self.left and fitted.net_.interrupted_:
            raise KeyboardInterrupt
        return fitted

    def end(self) -> None:
        """Tell that the estimator is fitted."""
        self.root.call_on_fit_task_end(
            estimator=self.estimator, **self.rows, reconstruction_attributes={}
        )


def so_far(plan: Plan, data: Data, finish: Finish, net: Any) -> dict[str, Any]:
    """The attributes of an estimator whose fit would end now, with a network of its own."""
    fitted = recorded(plan, net, data)
    return attributes(finish(from_state(to_state(fitted)), data, None))
