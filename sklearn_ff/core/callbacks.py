"""The few callbacks of our own; everything else is skorch's."""

import math

import numpy as np
import torch
from skorch.callbacks import BatchScoring, Callback, EpochScoring, PassthroughScoring
from torch.optim.lr_scheduler import LambdaLR

from ..exceptions import DivergenceError


class StopStage(Exception):
    """The layers now learning have learned enough; the next stage begins."""


class StopTraining(Exception):
    """A callback has asked for the end of the whole training."""


class Interrupted(StopTraining):
    """Ctrl-C has asked for it, and what is learned is kept."""


def checked_callback(entry):
    """An entry of `callbacks`, if training can run it: a callback, or a pair (name, callback)."""
    callback = entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry
    kind = callback if isinstance(callback, type) else type(callback)
    if not issubclass(kind, Callback):
        raise ValueError(
            f"callbacks holds {entry!r}, which is no callback; give instances of "
            f"skorch.callbacks.Callback, or pairs (name, instance)."
        )
    if issubclass(kind, (EpochScoring, BatchScoring, PassthroughScoring)):
        raise ValueError(
            f"callbacks holds a {kind.__name__}, which needs predictions of every batch, and a "
            f"Forward-Forward step makes none; for a score after every epoch, give fit X_val and "
            f"y_val, or set early_stopping=True."
        )
    return entry


def linear(progress):
    return 1 - progress


def cosine(progress):
    return (1 + math.cos(math.pi * progress)) / 2


def cooldown(progress):
    return min(1.0, 2 * (1 - progress))


DECAY = {"linear": linear, "cosine": cosine, "cooldown": cooldown}


class Decay(Callback):
    """Let the learning rate fall from batch to batch, to zero at the end of every stage.

    `n_batches` are those of a pass.
    """

    def __init__(self, kind, n_batches):
        self.kind, self.n_batches = kind, n_batches

    def on_stage_begin(self, net, rows):
        self.total_ = net.stage_epochs_ * len(net.passes_) * self.n_batches
        for group in net.optimizer_.param_groups:
            group["lr"] = group.pop("initial_lr", group["lr"])
        self.schedule_ = LambdaLR(net.optimizer_, self.factor)

    def factor(self, batch):
        return DECAY[self.kind](min(1.0, batch / self.total_))

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

    `LIMIT` is far above the loss of any network that still learns, and above its scores. The losses
    of an epoch are those before its last update, so `probe(network)` scores some rows after it:
    after every `patience` epochs, for an epoch may be a single update, and at the end of a stage.
    """

    LIMIT = 1e10

    def __init__(self, probe, patience=1):
        self.probe, self.patience = probe, patience

    def on_train_begin(self, net, **kwargs):
        self.last_ = Snapshot(net.module_)
        self.loss_, self.unseen_, self.n_updates_ = None, 0, 0

    def on_epoch_end(self, net, **kwargs):
        losses = np.array(net.history[-1, "statistics"])[0]
        self._raise_if(net, self._fault_of_loss(net, losses))
        self.loss_ = float(losses.mean())
        self.unseen_ += 1
        if self.unseen_ >= self.patience:
            self.on_stage_end(net)

    def on_stage_end(self, net, rows=None):
        if net.n_updates_ > self.n_updates_:  # also of an epoch that was cut short
            self._raise_if(net, self._fault_of_network(net))
            self.last_.take()
            self.unseen_, self.n_updates_ = 0, net.n_updates_

    def _raise_if(self, net, fault):
        if fault is not None:
            self.last_.restore()
            raise DivergenceError(self._message(net, fault))

    def _fault_of_loss(self, net, losses):
        """Which layer's loss has left the numbers that a network can learn with, or None."""
        worst = int(np.argmax(np.where(np.isnan(losses), np.inf, np.abs(losses))))
        if not abs(losses[worst]) < self.LIMIT:
            return f"the loss of {self._learner(net, worst)} was {losses[worst]:.4g}"
        return None

    def _fault_of_network(self, net):
        """What in weights or scores has left these numbers, or None."""
        if not weights_are_finite(net.module_):
            return "some weights were not finite"
        highest = np.abs(self.probe(net.module_)).max()
        if not highest < self.LIMIT:
            return f"the scores of training rows reached {highest:.4g}"
        return None

    def _learner(self, net, place):
        layers = net.history[-1, "layers"]
        return f"layer {layers[place] + 1}" if layers else "the head"

    def _message(self, net, fault):
        before = "there was no finite loss before"
        if self.loss_ is not None:
            before = f"the last finite training loss was {self.loss_:.4g}"
        return (
            f"Training diverged: {fault} in epoch {len(net.history)}; {before}. Lower "
            f"learning_rate_init or scale the data. The last weights known to be finite are kept."
        )

    def on_train_end(self, net, **kwargs):
        del self.last_


def weights_are_finite(network):
    return all(bool(torch.isfinite(p.sum())) for p in network.parameters())


class Validation(Callback):
    """Score held-out rows after every epoch; with `patience`, stop a stage that gains no more.

    The weights of the best epoch are put back at the end of every stage, also of one that is cut
    short. A score that is not a number counts as no gain.
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
