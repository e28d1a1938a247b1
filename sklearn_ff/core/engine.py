"""The training loop: a skorch net around the step of the algorithm."""

from contextlib import contextmanager, suppress

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer

from .callbacks import (
    LISTED,
    Interrupted,
    StopStage,
    StopTraining,
    check_load,
    check_pattern,
    loads,
    loads_nothing,
    missing_key,
    names_taken,
    unlike,
    unrecorded,
)
from .forward_forward import step
from .head import step_head
from .interrupts import current
from .rows import Batches, parts

# Bytes for the candidates of one layer in training; a larger batch is processed in parts, whose
# gradients add up. At its peak a candidate takes LIVE_TENSORS tensors of the layer's width:
# pre-activation, activation, normalised activation of the layer below, and gradients.
CANDIDATE_BYTES = 2**28
LIVE_TENSORS = 5
# Candidates that the passes of an epoch learn from: all, or positive before negative ones.
PASSES = {"together": (None,), "by_epoch": ("positive", "negative")}
# Attributes of a net that exist during training only.
PASSING = (
    *("interrupts_", "end_", "n_loaded_", "stage_", "stage_number_", "stage_epochs_"),
    *("learning_", "passes_", "side_", "watched_", "weighted_"),
)


class FFNet(NeuralNet):
    """skorch's loop, notifications and history around the Forward-Forward step.

    One optimizer with a parameter group per layer and one for the head, in the order of
    `module_.layers`; each group is stepped separately, after `on_grad_computed`.
    """

    def __init__(
        self,
        *args,
        stages=(),
        phases="together",
        negatives=None,
        draws=None,
        groups=None,
        shuffle=True,
        metric=None,
        own=(),
        **kw,
    ):
        self.stages, self.phases, self.draws, self.groups = stages, phases, draws, groups
        self.negatives, self.shuffle, self.metric, self.own = negatives, shuffle, metric, own
        super().__init__(*args, **kw)

    def get_default_callbacks(self):
        """Callbacks of the package, under names that no callback of the user has."""
        taken, named = names_taken(self.callbacks or ()), []
        for name, callback in [("epoch_timer", EpochTimer()), *self.own]:
            while name in taken:
                name += "_"
            named.append((name, callback))
        return named

    def initialize_callbacks(self):
        """As skorch's, but lists in the history are not logged."""
        super().initialize_callbacks()
        for _, callback in self.callbacks_:
            if isinstance(getattr(callback, "keys_ignored_", None), set):
                callback.keys_ignored_.update(LISTED)
        return self

    def initialize_optimizer(self, triggered_directly=None):
        modules = learners(self.module_)
        groups = [
            {"params": list(module.parameters()), **group}
            for module, group in zip(modules, self.groups, strict=True)
        ]
        self.optimizer_ = self.optimizer(groups, **self.get_params_for("optimizer"))
        return self

    def get_dataset(self, X, y=None):
        return X

    def get_iterator(self, dataset, training=False):
        return Batches(dataset, self.batch_size, self.shuffle, self.draws)

    def forget(self):
        """Drop all references to training rows."""
        for name in PASSING:
            vars(self).pop(name, None)
        own = [callback for _, callback in self.own]
        self.callbacks_ = [entry for entry in self.callbacks_ if entry[1] not in own]
        self.callbacks, self.own = None, ()

    def train(self, rows):
        """Train stage by stage; after an interrupt the current weights are kept."""
        self.n_updates_ = 0
        self.interrupted_ = self.stopped_ = False
        self.interrupts_, self.end_ = current(), None
        self.weighted_ = rows.weighted
        try:
            for _, callback in self.callbacks_:
                check_load(callback, self)
            self.notify("on_train_begin", X=rows, y=None)
            self.n_loaded_ = len(self.history)
            for _, callback in self.callbacks_:
                check_pattern(callback, self)
            self.watched_ = any(watches_gradients(c) for _, c in self.callbacks_)
            for number, stage in enumerate(self.stages):
                self._train_stage(number, stage, rows)
        except Interrupted:
            self.interrupted_ = True
        except StopTraining:
            if not self.n_updates_:
                raise KeyboardInterrupt("a callback has ended training before it began") from None
            self.stopped_ = True
        with suppress(StopStage, StopTraining):  # training has ended
            self.notify("on_train_end", X=rows, y=None)
        self.interrupted_ |= self.interrupts_.noted  # also after the last batch
        return self

    def _train_stage(self, number, stage, rows):
        """Train the layers of one stage; if it ends before its first update, the depth stays."""
        self._stop_if_interrupted()
        self.stage_ = [self.module_.layers[index] for index in stage.layers]
        self.stage_number_, self.stage_epochs_ = number, stage.epochs
        self.lowest_loss_ = np.inf
        self.passes_ = PASSES[
            self.phases if self.stage_ else "together"
        ]  # the head has no negatives
        depth, n_updates, end = self.module_.depth, self.n_updates_, None
        self.module_.depth = stage.depth  # layers above do not exist yet
        try:
            self.notify_stage("on_stage_begin", rows)
            self.fit_loop(rows, epochs=stage.epochs)
        except (StopStage, StopTraining) as asked:
            end = asked
        if self.n_updates_ == n_updates:
            self.module_.depth = depth
        self.notify_stage("on_stage_end", rows)
        if isinstance(end, StopTraining):
            raise end

    def on_epoch_begin(self, net, **kwargs):
        self._stop_if_interrupted()
        super().on_epoch_begin(net, **kwargs)

    def notify_stage(self, name, rows):
        hooks = [getattr(callback, name, None) for _, callback in self.callbacks_]
        self._tell_all([hook for hook in hooks if hook is not None], self, rows)

    def notify(self, method_name, **kwargs):
        """As skorch's, but a request to end is served after all callbacks have been called.

        KeyboardInterrupt from a callback, as skorch's callbacks raise, ends training; between two
        layers it does so at the end of the batch.
        """
        getattr(self, method_name)(self, **kwargs)
        told = [callback for _, callback in self.callbacks_]
        if method_name == "on_train_end":
            epochs = list(self.history)[getattr(self, "n_loaded_", len(self.history)) :]
            told = [callback for callback in told if not loads_nothing(callback, epochs)]
        hooks = [getattr(callback, method_name) for callback in told]
        try:
            self._tell_all(hooks, self, **kwargs)
        except (StopStage, StopTraining) as end:
            if method_name != "on_grad_computed":
                raise
            self.end_ = self.end_ or end

    def _tell_all(self, hooks, *args, **kwargs):
        """Call all hooks, then raise the end that one of them has asked for, if any."""
        end = None
        for hook in hooks:
            try:
                hook(*args, **kwargs)
            except StopStage as stop:
                end = end or stop
            except (KeyboardInterrupt, StopTraining):
                self.interrupts_.check()  # raises if it was Ctrl-C, not the callback
                end = StopTraining()
            except Exception as error:
                if isinstance(error, RuntimeError) and loads(hook.__self__):
                    raise unlike(error) from error
                key = missing_key(error)
                if key is None:
                    raise
                raise unrecorded(hook.__self__, key, self.history) from error
        if end is not None:
            raise end

    def __getstate__(self):
        """The state without attributes of a running training, which cannot be pickled."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in PASSING}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run the passes over the rows; statistics stay on the device until the epoch ends."""
        if iterator is None:
            return
        self._set_training(training)
        self.learning_ = not_frozen(self.stage_, self.module_)
        for layer in self.module_.layers:
            layer.learning = layer in self.learning_
        self._draw_once_an_epoch(iterator.rows)
        totals = 0.0
        for side in self.passes_:
            with one_sided(self.module_.layers, side):
                totals = totals + self._run_pass(iterator, step_fn, training, side, fit_params)
        totals[1:] /= len(self.passes_)
        self._record(totals)

    def _run_pass(self, iterator, step_fn, training, side, fit_params):
        """The statistics of one pass over the rows."""
        self.side_ = side
        totals = 0.0
        for batch in iterator:
            self._stop_if_interrupted()
            self.notify("on_batch_begin", batch=batch, training=training)
            self.interrupts_.armed = True
            statistics = step_fn(batch, **fit_params)
            self.n_updates_ += 1
            totals = totals + statistics * (len(batch[1]) / len(iterator.rows))
            self.notify("on_batch_end", batch=batch, training=training, loss=statistics[0])
            if self.end_ is not None:
                raise self.end_
        return totals

    def _stop_if_interrupted(self):
        self.interrupts_.check()
        if self.interrupts_.noted:
            raise Interrupted

    def _draw_once_an_epoch(self, rows):
        negatives, K = self.negatives, self.module_.n_classes
        if negatives.redraw == "epoch" or (negatives.redraw == "once" and rows.drawn is None):
            rows.drawn = negatives.draw(rows.y, K, self.draws)

    def train_step(self, batch, **fit_params):
        """The step of the algorithm, in parts of the batch if its candidates are many."""
        x, y, weight, drawn = batch
        weight = weight / len(y)
        total = 0.0
        for part in parts(len(y), self._part_size(x)):
            update = self._update if part.stop == len(y) else lambda module: None
            some = None if drawn is None else drawn[part]
            lesson = step if self.stage_ else step_head
            rows = x[part], y[part], weight[part]
            draws = self.draws.by(weight[part]) if self.weighted_ else self.draws
            record = lesson(self.module_, self.negatives, *rows, update, draws, some)
            found = statistics(*map(torch.stack, zip(*record, strict=True)), weight[part])
            if self.metric is not None:
                found = torch.cat([found, self._measured(record, y[part]) * len(y[part]) / len(y)])
            total = total + found
        for layer in self.module_.layers:
            layer.peers.end_batch()
        return total

    def _measured(self, record, y):
        """The user's metric of every layer, (1, layers); NaN for the head."""
        indices = [layer.index for layer in self.learning_] or [None]
        y = y if self.module_.n_classes > 1 else None
        return torch.stack(
            [
                measured(None if i is None else self.metric[i], g, y)
                for i, (_, g) in zip(indices, record, strict=True)
            ]
        )[None]

    def _part_size(self, x):
        net = self.module_
        if any(layer.affine.whole_batches for layer in net.layers):
            return len(x)  # batch statistics
        shown = net.encoder.shows_labels or self.negatives.of_rows
        candidates = self.negatives.n_candidates(net.n_classes) if shown else 1
        width = max(layer.affine.n_units for layer in net.layers)
        needed = LIVE_TENSORS * candidates * width * x.element_size()
        return max(2 if self.negatives.of_rows else 1, CANDIDATE_BYTES // needed)

    def _update(self, module):
        """Step the parameter group of this layer, then drop its gradient.

        The head has no negative candidates and learns in the pass of the positive ones.
        """
        if self.side_ == "negative" and module is self.module_.head:
            module.zero_grad(set_to_none=True)
            return
        optimizer, every = self.optimizer_, self.optimizer_.param_groups
        index = learners(self.module_).index(module)
        self._penalize(every[index], module)
        if self.watched_:
            self.notify("on_grad_computed", named_parameters=list(module.named_parameters()))
        optimizer.param_groups = every[index : index + 1]
        try:
            optimizer.step()
        finally:
            optimizer.param_groups = every
        for weights in every[index]["params"]:  # as zero_grad, but faster
            weights.grad = None

    def _penalize(self, group, module):
        """Add the gradient of ½ l2 ‖W‖² for weights, not for biases and scales.

        The penalty is divided among the passes of an epoch.
        """
        l2 = group["l2"] if module is self.module_.head else group["l2"] / len(self.passes_)
        for weights in group["params"] if l2 else ():
            if weights.ndim > 1 and weights.grad is not None:
                weights.grad.add_(weights.detach(), alpha=l2)

    def _record(self, totals):
        """Record the statistics of an epoch, (4 or 5, layers that learn), in the history."""
        totals = totals.cpu().numpy().astype(np.float64)
        loss = float(totals[0].mean())
        self.history.record("train_loss", loss)
        self.history.record("train_loss_best", loss < self.lowest_loss_)
        self.lowest_loss_ = min(loss, self.lowest_loss_)
        self.history.record("stage", self.stage_number_)
        self.history.record("layers", [layer.index for layer in self.learning_])
        self.history.record("statistics", totals.tolist())


@torch.no_grad()
def statistics(loss, g, weight):
    """Loss, g of positive and of negative candidates, ranking accuracy: (4, layers), per row.

    `loss` has shape (layers,), `g` (layers, rows, candidates).
    """
    positive, negative = g[:, :, 0], g[:, :, 1:]
    ranked = (positive > negative.amax(2)).to(g.dtype)
    per_row = torch.stack([positive, negative.mean(2), ranked])
    return torch.cat([loss[None], per_row @ weight])


@contextmanager
def one_sided(layers, side):
    """Limit the objectives to "positive" or "negative" candidates; None means all.

    Peer normalisation acts on positive candidates and is off in the pass of the negative ones.
    """
    before = [(layer, layer.peers.rate) for layer in layers]
    for layer, rate in before:
        layer.objective.side = side
        layer.peers.rate = 0.0 if side == "negative" else rate
    try:
        yield
    finally:
        for layer, rate in before:
            layer.objective.side, layer.peers.rate = None, rate


@torch.no_grad()
def measured(metric, g, y):
    """The metric of the scores of one layer, as a tensor; NaN without a metric."""
    value = torch.nan if metric is None else metric(g, y)
    try:
        return torch.as_tensor(value, dtype=g.dtype, device=g.device).detach().reshape(())
    except (TypeError, ValueError, RuntimeError) as error:
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        raise ValueError(
            f"the callable given as metric must return a number, but it returned "
            f"{type(value).__name__}{shape}."
        ) from error


def not_frozen(stage, network):
    """The layers of a stage that learn: callbacks may freeze some layers, but not all.

    A stage without layers trains the head.
    """
    free = [layer for layer in network.layers if not is_frozen(layer, f"layer {layer.index + 1}")]
    learning = [layer for layer in stage if layer in free]
    numbers = [layer.index + 1 for layer in stage]
    if stage and not learning:
        raise ValueError(
            f"A callback has frozen every layer of a stage (layers {numbers}), so that nothing is "
            f"left to train; let it freeze fewer layers, or remove it."
        )
    if network.head is not None and is_frozen(network.head, "the softmax head"):
        raise ValueError(
            "A callback has frozen the softmax head, which negatives or prediction rely on; let it "
            "freeze layers only, as with Freezer('layers.0.*')."
        )
    return learning


def is_frozen(module, name):
    """Whether all weights of a layer or of the head are frozen; ValueError if only some are."""
    named = module.named_parameters()
    learning = {weight.removeprefix("affine."): p.requires_grad for weight, p in named}
    if len(set(learning.values())) > 1:
        frozen = [weight for weight in learning if not learning[weight]]
        rest = [weight for weight in learning if learning[weight]]
        raise ValueError(
            f"A callback has frozen the {', '.join(frozen)} of {name}, but not its "
            f"{', '.join(rest)}; freeze whole layers, as with Freezer('layers.0.*')."
        )
    return not any(learning.values())


def watches_gradients(callback):
    """Whether a callback has `on_grad_computed`, whose list of weights costs 2 % of a step."""
    method = callback.on_grad_computed
    return getattr(method, "__func__", method) is not Callback.on_grad_computed


def learners(network):
    """The modules that are trained separately: every layer, and the head."""
    return [*network.layers, *([network.head] if network.head is not None else [])]
