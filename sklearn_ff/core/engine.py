"""The training loop: a skorch net around the step of the algorithm."""

from contextlib import suppress
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch

from .._optimizers import per_group
from .callbacks import Interrupted, StopStage, StopTraining
from .capture import captured, has_hooks
from .formulas import by_formulas, changed
from .forward_forward import step
from .freezing import fixed_weights, not_frozen
from .head import step_head
from .heap import Heap
from .interrupts import current
from .notified import NotifiedNet
from .passes import Sum, Turns, one_sided, part_sizes, teach, told
from .rows import Batches, n_parts, parts, piece
from .serving import Serving
from .updates import descend, descend_together, learners, may_wait, penalize, watches_gradients
from .user_callbacks import acts_on_batches, check_load, check_pattern, hooks_named

# Bytes for the candidates of one layer in training; a larger batch is processed in parts, whose
# gradients add up.
CANDIDATE_BYTES = 2**28
# Attributes of a net that exist during training only.
PASSING = (
    *("interrupts_", "end_", "n_loaded_", "stage_", "stage_number_", "stage_epochs_", "every_"),
    "first_update_",
    *("learning_", "passes_", "side_", "watched_", "weighted_", "listeners_", "waiting_"),
    *("planned_", "fixed_", "keeper_", "rows_", "captured_", "rates_", "ranks_", "taught_"),
    *("part_", "hooked_", "active_", "numbers_", "heap_"),
)


class Group(NamedTuple):
    """Initial rate, L2 penalty, and the optimizer's own weight decay, of a layer or the head."""

    lr: float
    l2: float
    weight_decay: float = 0.0


def ready_net(plan, network, draws, own=(), callbacks=()):
    """A skorch net ready to train the network of a plan."""
    optimizer, options = per_group(plan.optimizers, plan.device)
    net = FFNet(
        network,
        criterion=torch.nn.Identity,
        optimizer=optimizer,
        stages=plan.stages,
        passes=plan.passes,
        in_turn=plan.schedule.in_turn,
        negatives=plan.negatives,
        draws=draws,
        groups=plan.groups,
        shuffle=plan.settings.shuffle,
        batch_size=plan.batch_size,
        max_epochs=sum(stage.epochs for stage in plan.stages),
        train_split=None,
        own=own,
        resumes=plan.resume,
        captures=plan.captures,
        callbacks=list(callbacks),
        device=plan.device,
        verbose=int(bool(plan.settings.verbose)),
        **{f"optimizer__{name}": value for name, value in options.items()},
    )
    return net.initialize()


class FFNet(Serving, NotifiedNet):
    """skorch's loop, notifications and history around the Forward-Forward step.

    One optimizer with a parameter group per layer and one for the head, in the order of
    `module_.layers`; each group is stepped separately, after `on_grad_computed`.
    """

    in_turn = False  # also of nets that were pickled before they had turns

    def __init__(
        self,
        *args,
        stages=(),
        passes=(None,),
        in_turn=False,
        negatives=None,
        draws=None,
        groups=(),
        shuffle=True,
        own=(),
        resumes=False,
        captures=False,
        **kw,
    ):
        self.stages, self.passes, self.draws, self.groups = stages, passes, draws, groups
        self.in_turn = in_turn  # whether a batch teaches one layer alone
        self.negatives, self.shuffle, self.own = negatives, shuffle, own
        self.resumes = resumes  # whether this is one of many calls of `partial_fit`
        self.captures = captures  # whether steps are recorded; "asked" if the user asks for it
        super().__init__(*args, **kw)

    def initialize_optimizer(self, triggered_directly=None):
        modules = learners(self.module_)
        groups = [
            {"params": list(module.parameters()), **group._asdict()}
            for module, group in zip(modules, self.groups, strict=True)
        ]
        self.optimizer_ = self.optimizer(groups, **self.get_params_for("optimizer"))
        return self

    def _set_training(self, training=True):
        """As skorch's, which takes a while, unless all modules are in this mode already."""
        every = vars(self).get("every_")
        if every is None or any(module.training != training for module in every):
            super()._set_training(training)

    def get_dataset(self, X, y=None):
        return X

    def get_iterator(self, dataset, training=False):
        return self.ranks_.batches(Batches(dataset, self.batch_size, self.shuffle, self.draws))

    def forget(self):
        """Drop all references to training rows."""
        for name in PASSING:
            self.__dict__.pop(name, None)
        own = [callback for _, callback in self.own]
        self.callbacks_ = [
            (name, callback)
            for name, callback in self.callbacks_
            if callback not in own and not getattr(callback, "for_one_fit", False)
        ]
        self.callbacks, self.own = None, ()

    def train(self, rows):
        """Train stage by stage; after an interrupt the current weights are kept."""
        self.n_updates_ = 0
        self.interrupted_ = self.stopped_ = False
        self.interrupts_, self.end_, self.heap_ = current(), None, Heap()
        self.weighted_, self.fixed_ = self.ranks_.weighted(rows), fixed_weights(self.module_)
        try:
            for _, callback in self.callbacks_:
                check_load(callback, self)
            self.notify("on_train_begin", X=rows, y=None)
            self.n_loaded_ = len(self.history)
            for _, callback in self.callbacks_:
                check_pattern(callback, self)
            self.watched_ = any(watches_gradients(c) for _, c in self.callbacks_)
            self.listeners_ = hooks_named("on_layer_scores", self.callbacks_)
            self.rates_, self.captured_ = None, captured(self)
            self.waiting_: Any = [] if may_wait(self) else None  # groups to step after the batch
            self.every_, self.part_ = list(self.module_.modules()), (0, 0, 0)
            self.hooked_ = has_hooks(self.module_) or changed(self.module_)
            self.active_ = self.watched_ or any(map(acts_on_batches, self.callbacks or ()))
            self.numbers_ = {module: i for i, module in enumerate(learners(self.module_))}
            self.rows_ = rows
            for number, stage in enumerate(self.stages):
                if self.keeper_ is None or number >= self.keeper_.stage:
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
        if self.captured_:
            self.captured_.forget()
        self.lowest_loss_ = np.inf
        self.passes_ = self.passes if self.stage_ else (None,)  # the head knows no sides
        self.first_update_ = self.n_updates_
        self.planned_ = stage.epochs * len(self.passes_) * n_parts(len(rows), self.batch_size)
        depth, n_updates, end = self.module_.depth, self.n_updates_, None
        self.module_.depth = stage.depth  # layers above do not exist yet
        try:
            self.notify_stage("on_stage_begin", rows)
            done = self.keeper_.resume(self, rows) if self.keeper_ else 0
            self.fit_loop(rows, epochs=stage.epochs - done)
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

    def __getstate__(self):
        """The state without attributes of a running training, which cannot be pickled."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in PASSING}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run the passes over the rows; statistics stay on the device until the epoch ends."""
        if iterator is None:
            return
        self._set_training(training)
        self.learning_ = not_frozen(self.stage_, self.module_, self.fixed_)
        if self.callbacks:  # a user's may have changed anything
            self.hooked_ = has_hooks(self.module_) or changed(self.module_)
            if self.captured_:
                self.captured_.forget()
        teach(self, self.learning_)
        self._draw_once_an_epoch(iterator.rows)
        totals: Any = 0.0
        for side in self.passes_:
            with one_sided(self.module_.layers, side):
                totals = totals + self._run_pass(iterator, step_fn, training, side, fit_params)
        totals[1:] /= len(self.passes_)
        teach(self, self.learning_)
        own = [layer.index for layer in self.learning_]
        self._record(*self.ranks_.total(totals, own))

    def _run_pass(self, iterator, step_fn, training, side, fit_params):
        """The statistics of one pass over the rows."""
        self.side_ = side
        totals: Any = Turns(self) if self.in_turn and self.stage_ else Sum()
        for batch in iterator:
            self._stop_if_interrupted(between_batches=True)
            self.notify("on_batch_begin", batch=batch, training=training)
            self.interrupts_.armed = True
            if not self.resumes:
                done = self.n_updates_ - self.first_update_
                self.module_.progress = min(1.0, done / self.planned_)
            totals.begin(self)
            lesson = step_fn(batch, **fit_params)
            self.n_updates_ += 1
            totals.add(lesson, self.ranks_.size(len(batch[1])) / len(iterator.rows))
            loss = reduce(torch.add, [part[0] for part in lesson])
            self.notify("on_batch_end", batch=batch, training=training, loss=loss)
            if self.end_ is not None and self.ranks_.alone:  # several ranks end an epoch together
                raise self.end_
        return totals.mean()

    def _stop_if_interrupted(self, between_batches=False):
        """End the training after Ctrl-C; several ranks do so together, when an epoch begins."""
        self.interrupts_.check()
        if between_batches and not self.ranks_.alone:
            return
        if self.ranks_.most(self.interrupts_.noted):  # it may be noted while the others are asked
            self.interrupts_.noted = True
            raise Interrupted

    def _draw_once_an_epoch(self, rows):
        negatives, K = self.negatives, self.module_.n_classes
        if negatives.redraw == "epoch" or (negatives.redraw == "once" and rows.drawn is None):
            rows.drawn = negatives.draw(rows.y, K, self.ranks_.draws(self.draws))

    def train_step(self, batch, **fit_params):
        """Learn from a batch, by formulas unless hooks look on; on a GPU, by a recorded step."""
        if self.active_:
            self.hooked_ = has_hooks(self.module_) or changed(self.module_)
        by_autograd = self.hooked_ or self.side_ is not None
        recorded = self.captured_ is not None and not self.hooked_
        with by_formulas(() if by_autograd else self.numbers_):
            return self.captured_(batch) if recorded else self.learn(batch)

    def learn(self, batch):
        """The step of the algorithm, in parts of the batch if its candidates are many.

        Returns the losses and scores of the layers, and the weights of the rows, of every part.
        """
        x, y, weight, drawn = batch
        n_rows, lesson = self.ranks_.size(len(y)), []
        weight = weight / n_rows
        if x.element_size() != self.part_[0]:  # the same in all batches, as a rule
            self.part_ = part_sizes(self, x.element_size(), CANDIDATE_BYTES)
        for some in parts(n_rows, self.part_[1]):
            update = self._update if some.stop == n_rows else lambda module: None
            learned_by = step if self.stage_ else step_head
            part, own, draws = self.ranks_.share(some, weight, self.draws)
            draws = draws.by(own) if self.weighted_ else draws
            update = self.heap_.followed(update, x.device, len(own) * self.part_[2])
            rows, known = (piece(x, part), piece(y, part), own), piece(drawn, part)
            record = learned_by(self.module_, self.negatives, *rows, update, draws, known)
            if self.listeners_:
                self._show_scores(record, rows[1], own * n_rows)
            lesson.append((*record.stacked(), own))
        descend_together(self)
        for layer in self.module_.layers:
            layer.peers.end_batch()
        self.heap_.batch_ended(self.module_.depth)
        return lesson

    def _show_scores(self, record, y, weight):
        """Let callbacks see the scores g of every layer that has learned, (rows, candidates)."""
        y = y if self.module_.n_classes > 1 else None
        for layer, (_, g) in zip(self.taught_, record, strict=False):
            shown = {"layer": layer.index, "scores": g, "labels": y, "weight": weight}
            try:
                self._tell_all(self.listeners_, self, **shown)
            except (StopStage, StopTraining) as asked:  # served at the end of the batch
                self.end_ = self.end_ or asked

    def _update(self, module):
        """Step the parameter group of this layer, or let it wait for the end of the batch.

        The head has no negative candidates and learns in the pass of the positive ones.
        """
        if self.side_ == "negative" and module is self.module_.head:
            module.zero_grad(set_to_none=True)
            return
        self.ranks_.add_up(module)
        index = self.numbers_[module]
        group = self.optimizer_.param_groups[index]
        # The penalty is divided among the passes of an epoch.
        alone = module is self.module_.head
        penalize(group, group["l2"] if alone else group["l2"] / len(self.passes_))
        if self.watched_:
            self.notify("on_grad_computed", named_parameters=list(module.named_parameters()))
        if self.rates_ is not None:  # a step that is recorded reads its rate from the device
            group = group | {"lr": self.rates_[index], "capturable": True}
        if self.waiting_ is None:
            descend(self.optimizer_, [group])
        else:
            self.waiting_.append(group)

    def drop_gradients(self):
        """Forget what a step that was not finished has left behind."""
        self.module_.zero_grad(set_to_none=True)
        for layer in self.module_.layers:
            layer.peers.parts = []

    def _record(self, totals, layers):
        """Record the statistics of an epoch, (4, layers that learn), in the history."""
        totals, layers = told(totals.cpu().numpy().astype(np.float64), layers)
        loss = float(totals[0].mean())
        self.history[-1].update(
            train_loss=loss,
            train_loss_best=loss < self.lowest_loss_,
            stage=self.stage_number_,
            layers=layers,
            statistics=totals.tolist(),
        )
        self.lowest_loss_ = min(loss, self.lowest_loss_)
