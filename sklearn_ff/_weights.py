"""Weights of a network: how they start, when the last fit's may stay, and as numpy arrays."""

import numpy as np
import torch

from .layers import drawn_normal, drawn_uniform

# Parts that fix what the weights mean; a warm start must find them unchanged.
ARCHITECTURE = ("activation", "overlay", "goodness", "normalization", "input_normalization")


def initialize(network, generator, weight_init="normal"):
    """Draw W and U, and b with uniform ones; other biases and readouts start at zero."""
    draw = {"normal": drawn_normal, "uniform": drawn_uniform}[weight_init]
    for layer in network.layers:
        layer.transform.reset(generator, draw)
        if layer.label_strength is not None:
            draw(layer.label_weight, layer.transform.fan_in, generator)
        if weight_init == "uniform":
            draw(layer.bias, layer.transform.fan_in, generator)
        if hasattr(layer.goodness, "reset"):
            layer.goodness.reset(generator)


def to_numpy(state):
    """A nested state with every tensor an owned numpy array."""
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


def continue_from(network, plan, old_net, old_plan):
    """Give a new network the old one's weights, if they mean the same."""
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
    network.load_state_dict(old_net.module_.state_dict())


def describe(part):
    """Type and parameters of a part, comparable."""
    params = part.get_params(deep=False).items()
    return type(part).__qualname__, {k: by_value(v) for k, v in params}


def by_value(value):
    """Arrays not as they are abbreviated, modules with what their repr may not show."""
    if isinstance(value, torch.nn.Module):
        own = {k: repr(v) for k, v in vars(value).items() if not k.startswith("_")}
        return repr(value), own, {k: v.tolist() for k, v in value.state_dict().items()}
    return np.asarray(value).tolist() if hasattr(value, "__array__") else repr(value)
