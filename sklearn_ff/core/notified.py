"""How a net calls its callbacks: in which order, under which names, and what they may ask for."""

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import EpochTimer

from .._ranks import ALONE
from .callbacks import StopStage, StopTraining
from .user_callbacks import (
    LISTED,
    hooks_named,
    loads,
    loads_nothing,
    missing_key,
    names_taken,
    unlike,
    unrecorded,
)

WITHIN_EPOCH = ("on_epoch_begin", "on_batch_begin", "on_batch_end", "on_grad_computed")


class NotifiedNet(NeuralNet):
    """skorch's net, whose callbacks are all called before an end that one asks for is served."""

    own: Any = ()  # callbacks of the package, (name, callback), beside the user's
    callbacks_: list[Any]
    interrupts_: Any  # Ctrl-C, while training
    end_: Exception | None = None  # what a callback has asked for between two layers
    rows_: Any = None  # training rows, while training
    ranks_: Any = ALONE  # the processes among which the rows lie
    keeper_: Any = None  # writes checkpoints, and goes on from one

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

    def notify_stage(self, name, rows):
        self._tell_all(hooks_named(name, self.callbacks_), self, rows)

    def notify(self, method_name, **kwargs):
        """As skorch's, but a request to end is served after all callbacks have been called.

        KeyboardInterrupt from a callback, as skorch's callbacks raise, ends training; between two
        layers it does so at the end of the batch, and on several ranks at the end of the epoch.
        """
        getattr(self, method_name)(self, **kwargs)
        told = [callback for _, callback in self.callbacks_]
        if method_name == "on_train_end":
            epochs = list(self.history)[getattr(self, "n_loaded_", len(self.history)) :]
            told = [callback for callback in told if not loads_nothing(callback, epochs)]
        hooks = [getattr(callback, method_name) for callback in told]
        end: Exception | None = None
        try:
            self._tell_all(hooks, self, **kwargs)
        except (StopStage, StopTraining) as asked:
            end = asked
        if method_name == "on_epoch_end":
            end = self.ranks_.end(self, self.end_ or end)
            if self.keeper_:
                self.keeper_.epoch_ended(self, self.rows_, end)
        together = method_name in WITHIN_EPOCH and not self.ranks_.alone
        if together or method_name == "on_grad_computed":
            self.end_ = self.end_ or end
        elif end is not None:
            raise end

    def _tell_all(self, hooks, *args, **kwargs):
        """Call all hooks, then raise the end that one of them has asked for, if any."""
        end: Exception | None = None
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
