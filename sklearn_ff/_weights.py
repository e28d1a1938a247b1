"""Weights of a network: first values, conversion to numpy arrays; parts compared by value."""

import numpy as np
import torch
from joblib.hashing import NumpyHasher

from ._parts import Part
from .layers import DRAWN

SCALE = ("scaler.shift", "scaler.rest", "scaler.divisor")


def initialize(network, generator, kinds):
    """Draw W and U, and with "uniform" also b; other biases and readouts start at zero."""
    for layer, kind in zip(network.layers, kinds, strict=True):
        draw = DRAWN[kind.weight_init]
        layer.affine.reset(generator, draw)
        if layer.label is not None:
            draw(layer.label.weight, layer.affine.fan_in, generator)
        if kind.weight_init == "uniform":
            draw(layer.affine.bias, layer.affine.fan_in, generator)
        for part in (layer.goodness.score, layer.objective.built):
            if hasattr(part, "reset"):
                part.reset(generator)


def to_numpy(state):
    """A nested state in which every tensor is replaced by an owned numpy array."""
    return _convert(state, torch.Tensor, lambda t: t.detach().cpu().numpy().copy())


def to_torch(state):
    return _convert(state, np.ndarray, lambda a: torch.from_numpy(np.array(a)))


def _convert(state, kind, function):
    if isinstance(state, kind):
        return function(state)
    if isinstance(state, dict):
        return {key: _convert(value, kind, function) for key, value in state.items()}
    if isinstance(state, list):
        return [_convert(value, kind, function) for value in state]
    return state


def continue_from(network, old):
    """Copy the weights of an old network to a new one, whose scale of columns may differ."""
    kept = {name: value for name, value in network.state_dict().items() if name in SCALE}
    network.load_state_dict(old.state_dict() | kept)


def describe(part):
    """Type and parameters of a part as comparable values."""
    params = part.get_params(deep=False).items()
    return type(part).__qualname__, {k: by_value(v) for k, v in params}


class ByValue(NumpyHasher):
    """joblib's hash, with tensors hashed by value instead of by address."""

    def save(self, obj):
        if isinstance(obj, torch.Tensor):
            values = obj.detach().cpu().contiguous()
            obj = (str(obj.dtype), obj.shape, values.flatten().view(torch.uint8).numpy())
        super().save(obj)


def by_value(value):
    """A value to compare by: a hash, which covers all data, or a repr where nothing else works."""
    if isinstance(value, Part):
        return describe(value)
    if isinstance(value, (list, tuple)):
        return [by_value(entry) for entry in value]
    try:
        return ByValue("md5").hash(value.item() if isinstance(value, np.generic) else value)
    except Exception:  # a user's class may raise anything when it is pickled
        return repr(value)
