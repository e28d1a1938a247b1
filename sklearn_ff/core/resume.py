"""The state of a training at the end of an epoch, from which another process goes on to the bit."""

from collections import OrderedDict
from typing import Any

import numpy as np
import torch

from .callbacks import Snapshot, StopTraining

PLAIN = (bool, int, float, str, type(None))
END = {None: "", "StopStage": "stage", "StopTraining": "training", "Interrupted": "training"}


def state_of(net: Any, rows: Any, end: Any, globally: bool) -> dict[str, Any]:
    """Plain values and tensors: all that the coming epochs depend on, beside parameters and rows.

    `end` is the exception by which a callback ends the stage or the training now, or None.
    `globally` tells that layers draw from torch's global generators.
    """
    return {
        "weights": dict(net.module_.state_dict()),
        "learns": [weight.requires_grad for weight in net.module_.parameters()],
        "optimizer": net.optimizer_.state_dict(),
        "generator": net.draws.generator.get_state(),
        "global": global_states(net.draws.device) if globally else [],
        "drawn": rows.drawn,
        "stage": net.stage_number_,
        "end": END[None if end is None else type(end).__name__],
        "numbers": [net.n_updates_, net.first_update_, float(net.lowest_loss_)],
        "history": [{key: plain(value) for key, value in row.items()} for row in net.history],
        "callbacks": {name: callback_state(callback) for name, callback in net.callbacks_},
    }


def restore(net: Any, rows: Any, state: dict[str, Any]) -> int:
    """Put a net, at the beginning of the stage, into a state; return the epochs that are done.

    Raises StopTraining where the training had come to its end.
    """
    net.module_.load_state_dict(state["weights"])
    for weight, learns in zip(net.module_.parameters(), state["learns"], strict=True):
        weight.requires_grad_(learns)
    net.optimizer_.load_state_dict(state["optimizer"])
    net.draws.generator.set_state(state["generator"])
    set_global_states(net.draws.device, state["global"])
    rows.drawn = None if state["drawn"] is None else state["drawn"].to(net.draws.device)
    net.n_updates_, net.first_update_, net.lowest_loss_ = state["numbers"]
    net.history[:] = state["history"]
    callbacks = dict(net.callbacks_)
    for name, kept in state["callbacks"].items():
        if name in callbacks:
            restore_callback(callbacks[name], kept, net)
    if net.captured_:
        net.captured_.forget()
    if state["end"] == "training":
        raise StopTraining
    if state["end"] == "stage":
        return net.stage_epochs_
    return sum(row["stage"] == net.stage_number_ for row in net.history)


def global_states(device: Any) -> list[torch.Tensor]:
    """States of torch's global generators that a fit on the device draws from."""
    own = [torch.cuda.get_rng_state(device)] if torch.device(device).type == "cuda" else []
    return [torch.default_generator.get_state(), *own]


def set_global_states(device: Any, states: list[torch.Tensor]) -> None:
    if states:
        torch.default_generator.set_state(states[0])
    if states[1:]:
        torch.cuda.set_rng_state(states[1], device)


def plain(value: Any) -> Any:
    """A value of the history, its numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


# Callbacks ----------------------------------------------------------------------------------------


def callback_state(callback: Any) -> dict[str, Any]:
    """What a callback has come to: its attributes with names that end in "_".

    Values that are no plain values, tensors or arrays are left out, such as files that are open;
    those with a `state_dict`, as schedulers of rates have it, are asked for it.
    """
    found = {}
    for name, value in vars(callback).items():
        if not name.endswith("_") or name.startswith("_") or isinstance(value, type):
            continue
        if isinstance(value, Snapshot):
            found[name] = ["snapshot", value.weights]
        elif hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
            found[name] = ["state", simple(value.state_dict())]
        elif is_simple(value):
            found[name] = ["value", value]
    return found


def restore_callback(callback: Any, kept: dict[str, Any], net: Any) -> None:
    for name, (kind, value) in kept.items():
        if kind == "snapshot":
            snapshot = Snapshot(net.module_)
            for key, weights in value.items():
                snapshot.weights[key].copy_(weights)
            value = snapshot
        if kind == "state":
            getattr(callback, name).load_state_dict(value)
        else:
            setattr(callback, name, value)


def is_simple(value: Any) -> bool:
    """Whether it consists of plain values, tensors and arrays."""
    if type(value) in (dict, OrderedDict):
        return all(is_simple(one) for pair in value.items() for one in pair)
    if type(value) in (list, tuple, set):
        return all(map(is_simple, value))
    numbers = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    return type(value) in PLAIN or isinstance(value, (torch.Tensor, np.generic)) or numbers


def simple(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if is_simple(value)}
