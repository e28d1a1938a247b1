"""The few callbacks of our own; everything else is skorch's."""

import math

import numpy as np
import torch
from skorch.callbacks import Callback
from torch.optim.lr_scheduler import LambdaLR

from ..exceptions import DivergenceError


class StopStage(Exception):
    """The layers now learning have learned enough; the next stage begins."""


class StopTraining(Exception):
    """A callback has asked for the end of the whole training."""


DECAY = {
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
}


class Decay(Callback):
    """Let the learning rate fall from batch to batch, to zero at the end of every stage."""

    def __init__(self, kind, n_batches):
        self.kind, self.n_batches = kind, n_batches

    def on_stage_begin(self, net, rows):
        for group in net.optimizer_.param_groups:
            group["lr"] = group.pop("initial_lr", group["lr"])
        decay = DECAY[self.kind]
        self.schedule_ = LambdaLR(
            net.optimizer_, lambda batch: decay(min(1.0, batch / self.n_batches))
        )

    def on_batch_end(self, net, **kwargs):
        self.schedule_.step()


class Snapshot:
    """A copy of a network's weights that can be put back."""

    def __init__(self, network):
        self.network = network
        self.take()

    def take(self):
        self.weights = {name: value.clone() for name, value in self.network.state_dict().items()}

    def restore(self):
        self.network.load_state_dict(self.weights)


class DivergenceGuard(Callback):
    """Raise DivergenceError where an epoch leaves the finite numbers; keep the last finite weights.

    `LIMIT` is far above the loss of any network that still learns.
    """

    LIMIT = 1e10

    def on_train_begin(self, net, **kwargs):
        self.last_ = Snapshot(net.module_)
        self.loss_ = None

    def on_epoch_end(self, net, **kwargs):
        losses = np.array(net.history[-1, "statistics"])[0]
        if np.all(np.abs(losses) < self.LIMIT) and weights_are_finite(net.module_):
            self.last_.take()
            self.loss_ = float(losses.mean())
            return
        self.last_.restore()
        worst = int(np.argmax(np.where(np.isnan(losses), np.inf, np.abs(losses))))
        raise DivergenceError(self._message(net, worst, losses[worst]))

    def _message(self, net, worst, loss):
        before = "there was no finite loss before"
        if self.loss_ is not None:
            before = f"the last finite training loss was {self.loss_:.4g}"
        return (
            f"Training diverged: the loss of layer {net.history[-1, 'layers'][worst] + 1} was "
            f"{loss:.4g} in epoch {len(net.history)}; {before}. Lower learning_rate_init or scale "
            f"the data. The weights of the last finite epoch are kept."
        )

    def on_train_end(self, net, **kwargs):
        del self.last_


def weights_are_finite(network):
    return all(bool(torch.isfinite(p.sum())) for p in network.parameters())


class Validation(Callback):
    """Score held-out rows after every epoch; with `patience`, stop a stage that gains no more.

    The weights of the best epoch are put back at the end of every stage. A score that is not a
    number counts as no gain.
    """

    def __init__(self, score, patience=None, tol=0.0):
        self.score, self.patience, self.tol = score, patience, tol

    def on_stage_begin(self, net, rows):
        self.best_score_, self.waited_, self.best_ = -np.inf, 0, None

    def on_epoch_end(self, net, **kwargs):
        score = self.score(net.module_)
        net.history.record("valid_score", score)
        net.history.record("valid_score_best", bool(score > self.best_score_))
        if self.patience is None:
            return
        self.waited_ = 0 if score > self.best_score_ + self.tol else self.waited_ + 1
        if score > self.best_score_:
            self.best_score_, self.best_ = score, Snapshot(net.module_)
        if self.waited_ >= self.patience:
            raise StopStage

    def on_stage_end(self, net, rows):
        if self.best_ is not None:
            self.best_.restore()


class FlatLoss(Callback):
    """Stop a stage whose training loss has not fallen by `tol` for `patience` epochs."""

    def __init__(self, tol, patience):
        self.tol, self.patience = tol, patience

    def on_stage_begin(self, net, rows):
        self.best_, self.waited_, self.flat_ = np.inf, 0, False

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1, "train_loss"]
        self.waited_ = 0 if loss < self.best_ - self.tol else self.waited_ + 1
        self.best_ = min(self.best_, loss)
        if self.waited_ >= self.patience:
            self.flat_ = True
            raise StopStage
