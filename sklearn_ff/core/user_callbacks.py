"""Callbacks of the user's: which are accepted, how they are copied, what they lack."""

import copy
import os
from traceback import walk_tb

from joblib.externals.loky.backend.reduction import dumps
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EpochScoring,
    InputShapeSetter,
    LoadInitState,
    PassthroughScoring,
    TrainEndCheckpoint,
)

from .._params import copied

QUOTES = "\"'"
LISTED = ("layers", "statistics")  # keys of the history with a value per layer, not logged


def checked_callback(entry):
    """An entry of `callbacks`: a callback or a pair (name, callback); ValueError if unusable."""
    kind = kind_of(instance_of(entry))
    if hasattr(kind, "on_fit_task_begin"):
        raise ValueError(
            f"callbacks holds {kind.__name__}, a callback of scikit-learn, and takes those of "
            f"skorch; pass it by set_callbacks({kind.__name__}(...))."
        )
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


def is_named(entry):
    """Whether an entry is a pair (name, callback)."""
    return isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[0], str)


def instance_of(entry):
    """The callback of an entry, which may be a pair (name, callback)."""
    return entry[1] if is_named(entry) else entry


def kind_of(callback):
    """The class of a callback; skorch accepts classes too."""
    return callback if isinstance(callback, type) else type(callback)


def names_taken(entries):
    """Names of the callbacks: those of their entries, or those that skorch gives them."""
    return {entry[0] if is_named(entry) else kind_of(entry).__name__ for entry in entries}


def cloned(callbacks):
    """Clones of callbacks; of what cannot be copied, as a lock or a trial, the instance itself."""
    return type(callbacks)(copy_or_itself(entry) for entry in callbacks)


def copy_or_itself(entry):
    copy = succeeds(copied, entry)
    return entry if copy is None else copy


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
            if succeeds(copy.deepcopy, entry) is None:
                dumps(entry)  # cloudpickle, which joblib uses, may be able to
        except Exception as error:
            raise TypeError(
                f"callbacks holds {kind_of(instance_of(entry)).__name__}, which cannot be pickled "
                f"or copied ({error}); give it a __getstate__ that leaves out what has no pickle, "
                f"or set_params(callbacks=None) before."
            ) from error


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


def acts_on_batches(entry):
    """Whether the callback of an entry does something in every batch."""
    kind = type(instance_of(entry))
    hooks = ("on_batch_begin", "on_batch_end")
    return any(getattr(kind, name, None) is not getattr(Callback, name) for name in hooks)


def hooks_named(name, callbacks):
    """Methods of this name that some callbacks have."""
    hooks = [getattr(callback, name, None) for _, callback in callbacks]
    return [hook for hook in hooks if hook is not None]
