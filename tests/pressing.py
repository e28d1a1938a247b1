"""Ctrl-C, pressed at a place of a fit."""

import signal

import pytest
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, InterruptedFitWarning


def press():
    signal.raise_signal(signal.SIGINT)


def classifier(*callbacks, **params):
    listed = not isinstance(params.get("schedule", ""), str)
    epochs = {"max_iter": "auto" if listed else 3}
    defaults = {**epochs, "batch_size": 50, "random_state": 0, "n_threads": 1}
    return FFClassifier((8, 6), **{**defaults, **params}, callbacks=list(callbacks))


class Press(Callback):
    """Press at the `at`-th call of a hook, once or as often as it is called from then on."""

    def __init__(self, hook, at=1, times=1):
        self.hook, self.at, self.times = hook, at, times

    def initialize(self):
        self.calls_ = 0
        setattr(self, self.hook, self.count)
        return self

    def count(self, *args, **kwargs):
        self.calls_ += 1
        if self.calls_ == self.at:
            for _ in range(self.times):
                press()


def interrupted(model, *args, **kwargs):
    with pytest.warns(InterruptedFitWarning, match=r"interrupted after [1-9]\d* updates"):
        return model.fit(*args, **kwargs)
