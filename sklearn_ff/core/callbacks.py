"""Callbacks of the package: rate decay, divergence, held-out rows, early stops, the log."""

import sys

import numpy as np
import torch
from skorch.callbacks import (
    Callback,
    PrintLog,
)
from torch.optim.lr_scheduler import LambdaLR

from ..exceptions import DivergenceError


class StopStage(Exception):
    """End the current stage."""


class StopTraining(Exception):
    """End the training: a callback has asked for it."""


class Interrupted(StopTraining):
    """End the training after Ctrl-C; the current weights are kept."""


class Decay(Callback):
    """Decrease the learning rate from batch to batch, anew in every stage, by a `rate`'s factor.

    `n_batches` is the number of batches of a pass, `n_before` that of updates of earlier calls.
    """

    def __init__(self, rate, n_batches, n_before=0):
        self.rate, self.n_batches, self.n_before = rate, n_batches, n_before

    def on_stage_begin(self, net, rows):
        self.total_ = net.stage_epochs_ * len(net.passes_) * self.n_batches
        for group in net.optimizer_.param_groups:
            group["lr"] = group.pop("initial_lr", group["lr"])
        self.schedule_ = LambdaLR(net.optimizer_, self.factor)

    def factor(self, batch):
        if self.rate.endless:
            return self.rate.factor(self.n_before + batch)
        return self.rate.factor(min(1.0, batch / self.total_))

    def on_batch_end(self, net, **kwargs):
        self.schedule_.step()


class Snapshot:
    """A copy of a network's weights, which can be restored."""

    def __init__(self, network):
        self.network = network
        self.weights = {name: value.clone() for name, value in network.state_dict().items()}

    def take(self):
        """Overwrite the copy: a second one would be the peak of a fit's memory."""
        for name, value in self.network.state_dict().items():
            self.weights[name].copy_(value)

    def restore(self):
        self.network.load_state_dict(self.weights)


class DivergenceGuard(Callback):
    """Raise DivergenceError where losses or weights are not finite; keep the last finite weights.

    `LIMIT` is far above the losses and scores of any network that still learns. The losses of an
    epoch are computed before its last update, so `probe(network)` scores some rows after it: after
    every `patience` epochs, since an epoch may be a single update, and at the end of a stage.
    `advice()` is a remedy besides a lower rate, as the beginning of a sentence, or empty.
    """

    LIMIT = 1e10

    def __init__(self, probe, patience=1, advice=str):
        self.probe, self.patience, self.advice = probe, patience, advice

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
        fault = net.ranks_.most(fault or "")  # all ranks end together
        if fault:
            self.last_.restore()
            raise DivergenceError(self._message(net, fault))

    def _fault_of_loss(self, net, losses):
        """A sentence that names the layer whose loss is not finite or beyond `LIMIT`, or None."""
        worst = int(np.argmax(np.where(np.isnan(losses), np.inf, np.abs(losses))))
        if not abs(losses[worst]) < self.LIMIT:
            return f"the loss of {self._learner(net, worst)} was {losses[worst]:.4g}"
        return None

    def _fault_of_network(self, net):
        """A sentence on weights or scores that are not finite or beyond `LIMIT`, or None."""
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
        penalised = " or alpha" if any(g.get("l2") for g in net.optimizer_.param_groups) else ""
        return (
            f"Training diverged: {fault} in epoch {len(net.history)}; {before}. "
            f"{self.advice() or 'Lower '}learning_rate_init{penalised}. The last finite weights "
            f"are kept."
        )

    def on_train_end(self, net, **kwargs):
        del self.last_


def weights_are_finite(network):
    finite = [torch.isfinite(weights.sum()) for weights in network.parameters()]
    return bool(torch.stack(finite).all())  # one look at the device


class Validation(Callback):
    """Score held-out rows after every epoch; with `patience`, stop a stage that no longer improves.

    The weights of the best epoch are restored at the end of every stage, also of an interrupted
    one. A score of NaN counts as no gain. `loss` is recorded only.
    """

    def __init__(self, score, loss, patience=None, tol=0.0):
        self.score, self.loss, self.patience, self.tol = score, loss, patience, tol

    def on_stage_begin(self, net, rows):
        self.best_score_, self.waited_, self.best_ = -np.inf, 0, None
        self.lowest_loss_ = np.inf

    def on_epoch_end(self, net, **kwargs):
        loss = self.loss(net)
        net.history.record("valid_loss", loss)
        net.history.record("valid_loss_best", bool(loss < self.lowest_loss_))
        self.lowest_loss_ = loss if loss < self.lowest_loss_ else self.lowest_loss_
        score = self.score(net)
        net.history.record("valid_score", score)
        net.history.record("valid_score_best", bool(score > self.best_score_))
        if self.patience is None:
            return
        self.waited_ = 0 if score > self.best_score_ + self.tol else self.waited_ + 1
        if score > self.best_score_:
            self.best_score_ = score
            if self.best_ is None:
                self.best_ = Snapshot(net.module_)
            self.best_.take()
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


class Report(Callback):
    """Tell a `listener` of stages and epochs, after all other callbacks; it may end either.

    The listener has `stage_begins(name, n_epochs)`, `epoch_begins()`, `epoch_ends(net)` and
    `stage_ends(net)`; the last two return whether to end what goes on around them.
    """

    for_one_fit = True  # a net forgets it, and what it refers to

    def __init__(self, listener):
        self.listener = listener

    def on_stage_begin(self, net, rows):
        name = named([layer.index for layer in net.stage_])
        self.listener.stage_begins(name, net.stage_epochs_)

    def on_epoch_begin(self, net, **kwargs):
        self.listener.epoch_begins()

    def on_epoch_end(self, net, **kwargs):
        if self.listener.epoch_ends(net):
            net.stopped_ = True
            raise StopStage

    def on_stage_end(self, net, rows):
        if self.listener.stage_ends(net):
            raise StopTraining


class Log(PrintLog):
    """A line per epoch, which names the layers that learn; colours are used on a terminal only."""

    def on_train_begin(self, net, **kwargs):
        self.n_stages_ = len(net.stages)

    def table(self, row):
        row = {**row, "layers_learning": named(row["layers"])}
        stage = row.pop("stage")
        if self.n_stages_ > 1:
            row["stage"] = f"{stage + 1}/{self.n_stages_}"
        return super().table(row)

    def format_row(self, row, key, color):
        return super().format_row(row if on_terminal() else {key: row[key]}, key, color)


def on_terminal():
    return getattr(sys.stdout, "isatty", bool)()


def named(indices):
    """Numbers of layers, counted from one, as words; "head" where no layer learns."""
    if not indices:
        return "head"
    numbers = [index + 1 for index in indices]
    run = len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1
    told = f"{numbers[0]}-{numbers[-1]}" if run else ",".join(map(str, numbers))
    return f"layer{'s' * (len(numbers) > 1)} {told}"
