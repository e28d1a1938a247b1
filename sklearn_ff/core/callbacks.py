"""Callbacks of the package: rate decay, divergence, held-out rows, early stops, the log."""

import copy
import math
import os
import sys
from traceback import walk_tb

import numpy as np
import torch
from joblib.externals.loky.backend.reduction import dumps
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EpochScoring,
    InputShapeSetter,
    LoadInitState,
    PassthroughScoring,
    PrintLog,
    TrainEndCheckpoint,
)
from torch.optim.lr_scheduler import LambdaLR

from .._params import copied
from ..exceptions import DivergenceError


class StopStage(Exception):
    """End the current stage."""


class StopTraining(Exception):
    """End the training: a callback has asked for it."""


class Interrupted(StopTraining):
    """End the training after Ctrl-C; the current weights are kept."""


def checked_callback(entry):
    """An entry of `callbacks`: a callback or a pair (name, callback); ValueError if unusable."""
    named = isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[0], str)
    kind = kind_of(entry[1] if named else entry)
    if not issubclass(kind, Callback):
        raise ValueError(
            f"callbacks holds {entry!r}, which is not a callback; give instances of "
            f"skorch.callbacks.Callback, or pairs (name, instance)."
        )
    if issubclass(kind, (EpochScoring, BatchScoring, PassthroughScoring)):
        raise ValueError(
            f"callbacks holds a {kind.__name__}, which needs predictions of every batch, and a "
            f"Forward-Forward step makes none; for a score after every epoch, give fit X_val and "
            f"y_val, or set early_stopping=True."
        )
    if issubclass(kind, InputShapeSetter):
        raise ValueError(
            f"callbacks holds {kind.__name__}, which sets the size of a network's input, but "
            f"that of a Forward-Forward network is read from X; leave it out."
        )
    return entry


def kind_of(callback):
    """The class of a callback; skorch accepts classes too."""
    return callback if isinstance(callback, type) else type(callback)


def names_taken(entries):
    """Names of the callbacks: those of their entries, or those that skorch gives them."""
    pairs = [entry for entry in entries if isinstance(entry, (tuple, list))]
    return {name for name, _ in pairs} | {
        kind_of(entry).__name__ for entry in entries if not isinstance(entry, (tuple, list))
    }


def cloned(callbacks):
    """Clones of callbacks; of what cannot be copied, as a lock or a trial, the instance itself."""
    return type(callbacks)(succeeds(copied, entry) or entry for entry in callbacks)


def succeeds(copier, entry):
    """A copy, or None where a class of the user's has none."""
    try:
        return copier(entry)
    except Exception:
        return None


def check_picklable(callbacks):
    """Raise TypeError, naming it, if some callback can neither be copied nor pickled."""
    for entry in callbacks or ():
        try:
            if (
                succeeds(copy.deepcopy, entry) is None
            ):  # cloudpickle, as joblib uses it, may be able to
                dumps(entry)
        except Exception as error:
            raise TypeError(
                f"callbacks holds {kind_of(instance_of(entry)).__name__}, which cannot be pickled "
                f"or copied ({error}); give it a __getstate__ that leaves out what has no pickle, "
                f"or set_params(callbacks=None) before."
            ) from error


def instance_of(entry):
    """The callback of an entry, which may be a pair (name, callback)."""
    return entry[1] if isinstance(entry, (tuple, list)) else entry


def check_load(callback, net):
    """Refuse one that loads what a checkpoint has saved at the end, if that never saves anything.

    A checkpoint that no fit has begun with has not made its file names yet.
    """
    saved = callback.checkpoint if loads(callback) else None
    if not isinstance(saved, TrainEndCheckpoint):
        return
    if not hasattr(saved, "checkpoint_"):
        saved.initialize()
    path = saved.checkpoint_.f_history_  # which names the others, and is looked for first
    others = [getattr(other, "checkpoint_", None) for _, other in net.callbacks_]
    written = any(getattr(other, "f_history_", None) == path for other in others)
    if not written and isinstance(path, str) and not os.path.exists(path):
        raise ValueError(
            f"LoadInitState loads what a TrainEndCheckpoint has saved, but there is no file "
            f"{str(path)!r}, and none will be, since the checkpoint is not in callbacks; put both "
            f"there, or fit with the checkpoint first."
        )


def loads_nothing(callback, epochs):
    """Whether it is to load at the end what it has saved, but these epochs have saved nothing.

    So it is after an early Ctrl-C; a file that another fit has left is then none of this one.
    """
    if not (isinstance(callback, Checkpoint) and callback.load_best):
        return False
    sign = callback.event_name or "statistics"
    return not any(epoch.get(sign) for epoch in epochs)


def loads(callback):
    return isinstance(callback, LoadInitState)


def unlike(error):
    """The error of LoadInitState where the weights saved do not fit the network."""
    return ValueError(
        f"LoadInitState loads weights of another network than these parameters make; give the "
        f"parameters of the fit that has saved them. {error}"
    )


def check_pattern(callback, net):
    """Refuse a callback that selects weights by name if no weight has such a name."""
    find = getattr(callback, "filter_parameters", None)
    if find is None or any(find(callback.patterns, callback.named_parameters(net))):
        return
    names = ", ".join(name for name, _ in callback.named_parameters(net))
    raise ValueError(
        f"{kind_of(callback).__name__} acts on weights named {callback.patterns!r}, but no weight "
        f"has such a name; the weights are {names}."
    )


def missing_key(error):
    """The key that skorch has not found in the history, if a callback has failed for that."""
    while error is not None and not isinstance(error, KeyError):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    *_, (frame, _) = walk_tb(error.__traceback__)
    in_skorch = frame.f_globals.get("__name__", "").startswith("skorch.")
    return str(error.args[0]).removeprefix("Key ").partition(" was ")[0] if in_skorch else None


def unrecorded(callback, key, history):
    """The error for a callback that reads a key which no epoch has recorded."""
    keys = [name for name in history[-1] if name not in ("batches", *LISTED)] if history else []
    return ValueError(
        f"{kind_of(callback).__name__} reads {key.strip(QUOTES)!r} from the history, which has the "
        f"keys {sorted(keys)}; name one of these, or, for the valid_... of a classifier, give fit "
        f"X_val and y_val, or set early_stopping=True."
    )


QUOTES = "\"'"
LISTED = (
    "layers",
    "statistics",
)  # keys of the history with a value per layer, which are not logged


def linear(progress):
    return 1 - progress


def cosine(progress):
    return (1 + math.cos(math.pi * progress)) / 2


def cooldown(progress):
    return min(1.0, 2 * (1 - progress))


DECAY = {"linear": linear, "cosine": cosine, "cooldown": cooldown}


class Decay(Callback):
    """Decrease the learning rate from batch to batch, to zero at the end of every stage.

    `n_batches` is the number of batches of a pass.
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
    """A copy of a network's weights, which can be restored."""

    def __init__(self, network):
        self.network = network
        self.take()

    def take(self):
        self.weights = {name: value.clone() for name, value in self.network.state_dict().items()}

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
        if fault is not None:
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
    return all(bool(torch.isfinite(p.sum())) for p in network.parameters())


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
