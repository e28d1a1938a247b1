"""Runs that change one thing of `rmwkwok_500_supervised`, for 30 of its 200 epochs."""

import torch
from named_run import BOTH, Run

from sklearn_ff import recipes
from sklearn_ff.layers import Dense
from sklearn_ff.negatives import HeldOutClasses
from sklearn_ff.objectives import Logistic

SMALL_DIGITS, LARGE_DIGITS = (0, 1, 2, 3, 4), [5, 6, 7, 8, 9]
UNITS, EPOCHS = 500, 30


class Glorot(Dense):
    """A dense layer whose first weights are uniform by Glorot's rule."""

    def build(self, *args, **kwargs):
        layer = super().build(*args, **kwargs)
        fan_in, n_units = layer.fan_in, layer.n_units

        def reset(generator, draw=None):
            bound = (6 / (fan_in + n_units)) ** 0.5
            torch.nn.init.uniform_(layer.weight, -bound, bound, generator=generator)

        layer.reset = reset
        return layer


class InPasses(HeldOutClasses):
    """Negative rows in passes over all, in a new order each time; each keeps its first label."""

    def bind(self, pool):
        return Passing(self, pool[0])


class Passing:
    """The negatives with their rows, and what is left of the pass."""

    def __init__(self, part, rows):
        self.part, self.rows, self.left, self.labels = part, rows, rows.new_empty(0).long(), None

    def __getattr__(self, name):
        return getattr(self.part, name)

    def candidates(self, x, draws):
        while len(self.left) < len(x):
            self.left = torch.cat([self.left, draws.uniform(len(self.rows)).argsort()])
        self.last, self.left = self.left[: len(x)], self.left[len(x) :]
        return torch.stack([x, self.rows[self.last]], 1)

    def draw(self, y, n_classes, draws, belief=None):
        if self.labels is None:
            every = y.new_empty(len(self.rows))
            self.labels = self.part.draw(every, n_classes, draws)
        return self.labels[self.last]


def ablated(**more):
    def make(seed):
        settings = {"batch_size": 512, "max_iter": EPOCHS} | more
        return recipes.rmwkwok_dense(
            True, n_units=UNITS, version="layer_based", **settings, random_state=seed
        )

    return Run(make, BOTH, classes=SMALL_DIGITS, every=5, watch_test=True)


GLOROT = {"layers": [Glorot(UNITS)] * 4}
PASSES = {"negatives": InPasses(LARGE_DIGITS)}
ABLATION = {
    "rmwkwok_500_short": ablated(),
    "rmwkwok_500_glorot": ablated(**GLOROT),
    "rmwkwok_500_passes": ablated(**PASSES),
    "rmwkwok_500_glorot_passes": ablated(**GLOROT, **PASSES),
    "rmwkwok_500_threshold_1": ablated(objective=Logistic(threshold=1.0, sharpness=1.0)),
    "rmwkwok_500_threshold_10": ablated(objective=Logistic(threshold=10.0, sharpness=1.0)),
    "rmwkwok_500_batch_128": ablated(batch_size=128),
    "rmwkwok_500_eps": ablated(optimizer_params={"eps": 1e-7}),
    "rmwkwok_500_all_layers": ablated(prediction_layers="all"),
}
