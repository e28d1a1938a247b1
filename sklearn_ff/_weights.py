"""Weights of a network: first values, values of the last fit, and conversion to numpy arrays."""

import numpy as np
import torch
from joblib.hashing import NumpyHasher

from ._parts import Part
from .layers import drawn_normal, drawn_uniform

# Parts that fix the meaning of the weights; a warm start needs them unchanged.
ARCHITECTURE = ("activation", "overlay", "goodness", "normalization", "input_normalization")
SCALE = ("scaler.shift", "scaler.divisor")


def initialize(network, generator, weight_init="normal"):
    """Draw W and U, and with "uniform" also b; other biases and readouts start at zero."""
    draw = {"normal": drawn_normal, "uniform": drawn_uniform}[weight_init]
    for layer in network.layers:
        layer.affine.reset(generator, draw)
        if layer.label is not None:
            draw(layer.label.weight, layer.affine.fan_in, generator)
        if weight_init == "uniform":
            draw(layer.affine.bias, layer.affine.fan_in, generator)
        if hasattr(layer.goodness.score, "reset"):
            layer.goodness.score.reset(generator)


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


def check_unchanged(plan, old_plan):
    """Raise ValueError where the meaning of the last fit's weights has changed."""
    changed = [
        name
        for name in ARCHITECTURE
        if describe(getattr(plan, name)) != describe(getattr(old_plan, name))
    ]
    if [*map(describe, plan.kinds)] != [*map(describe, old_plan.kinds)]:
        changed.append("hidden_layer_sizes or layers")
    if plan.image_shape != old_plan.image_shape:
        changed.append("image_shape")
    if plan.scaling != old_plan.scaling:
        changed.append("scaling")
    if plan.dtype != old_plan.dtype:
        changed.append("precision")
    if (plan.shows_labels, plan.n_classes) != (old_plan.shows_labels, old_plan.n_classes):
        changed.append("negatives or supervised (with or without labels)")
    if plan.head != old_plan.head or plan.layers != old_plan.layers:
        changed.append("prediction, prediction_layers or negatives (with or without a head)")
    if changed:
        raise ValueError(
            f"The architecture has changed since the last fit ({', '.join(changed)}), and its "
            f"weights cannot be kept; set warm_start=False, or make a new estimator."
        )


def continue_from(network, old_net):
    """Give a new network the old one's weights; columns may be scaled anew."""
    kept = {name: value for name, value in network.state_dict().items() if name in SCALE}
    network.load_state_dict(old_net.module_.state_dict() | kept)


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
