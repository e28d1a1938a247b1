"""One choice for all layers, or a list with one per layer: parts, rates, optimizers."""

import math

import numpy as np

from ._params import brief, has_params
from ._parts import LARGEST

# Families of which every layer may have a part of its own.
PARTS = ("goodness", "objective", "activation", "normalization")
OURS = {"lr": "learning_rate_init", "l2": "alpha", "params": "the network"}
LISTED = (*PARTS, "layers", "augmentation")  # parameters that may be lists of parts


def is_list(value):
    """Whether it has entries, one per layer; numbers may come as an array."""
    return isinstance(value, (list, tuple, range)) or getattr(value, "ndim", 0) > 0


def each(name, value, n_layers):
    """`value` for every layer; a list must have one entry per layer."""
    if not is_list(value):
        return [value] * n_layers
    if len(value) != n_layers:
        raise ValueError(
            f"{name} has {len(value)} {'entry' if len(value) == 1 else 'entries'} for {n_layers} "
            f"layer{'s' * (n_layers != 1)}; give one for all, or one per layer."
        )
    return list(value)


def each_number(name, value, n_layers, below=math.inf, most=LARGEST):
    """A number of at least zero for every layer, from one or from a list."""
    numbers = numbers_of(value)
    numeric = numbers.ndim == 1 and numbers.dtype.kind in "iuf"
    if not (numeric and ((numbers >= 0) & (numbers < below) & (numbers <= most)).all()):
        bound = f"below {below:g}" if below < math.inf else f"at most {most:g}"
        raise ValueError(
            f"{name}={brief(value)} must be a number from 0, and {bound}, or one per layer."
        )
    return [float(number) for number in each(name, value, n_layers)]


def check_lengths(parts, n_layers):
    """Raise ValueError where a list of parts, or of thresholds, does not fit the layers."""
    for name in PARTS:
        if parts[name].entries is not None:
            each(name, parts[name].entries, n_layers)
    for objective in map(parts["objective"].for_layer, range(n_layers)):
        for name, value in objective.listed():
            each(name, value, n_layers)


def shown(value):
    """A part, or another value, as a fitted attribute shows it: lists of parts as lists."""
    entries = getattr(value, "entries", None)
    return value if entries is None else entries


def optimizers_of(optimizer, params, n_layers, head, head_params=None):
    """Pairs (optimizer, its options): one for all, or one per layer; the head has the last.

    `head_params` are options of the head's that take the place of the last layer's.
    """
    for options in params if is_list(params) else [params]:
        check_options(options)
    check_options(head_params, "optimizer_params of SoftmaxHead")
    own = head and head_params
    if not (is_list(optimizer) or is_list(params) or own):
        return ((optimizer, params),)
    optimizers = each("optimizer", optimizer, n_layers)
    pairs = list(zip(optimizers, each("optimizer_params", params, n_layers), strict=True))
    if own:
        return (*pairs, (pairs[-1][0], {**(pairs[-1][1] or {}), **head_params}))
    return tuple(pairs + pairs[-1:] * head)


def check_options(options, parameter="optimizer_params"):
    """Raise ValueError unless these are options of an optimizer that no parameter of ours sets."""
    if not (options is None or isinstance(options, dict)):
        raise ValueError(
            f"{parameter} holds {options!r}, which is no dict; give the options of the "
            f"optimizer by name, such as {{'momentum': 0.9}}, or None."
        )
    for name, ours in OURS.items():
        if name in (options or {}):
            raise ValueError(
                f"{parameter}={options!r} sets {name!r}, which {ours} decides; set that."
            )
    for name, value in (options or {}).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(
                f"{parameter}={options!r} sets {name!r} to {value}; give a finite number."
            )


def is_inside(key, params, estimator):
    """Whether a nested name reaches inside a list of parts."""
    name, nested, _ = key.partition("__")
    return nested and name in LISTED and is_list(params.get(name, getattr(estimator, name, None)))


def entries(params):
    """Nested parameters of the parts in lists, for `get_params`."""
    found = {}
    for name in LISTED:
        value = params.get(name)
        for index, part in enumerate(value if is_list(value) else ()):
            found[f"{name}__{index}"] = part
            if has_params(part):
                for key, inner in part.get_params().items():
                    found[f"{name}__{index}__{key}"] = inner
    return found


def set_entry(estimator, key, value):
    """Set an entry of a list of parts, or a parameter of one."""
    name, _, rest = key.partition("__")
    index, _, inner = rest.partition("__")
    parts = list(getattr(estimator, name))
    if not index.isdecimal() or int(index) >= len(parts):
        raise ValueError(
            f"{key!r} names no entry of {name}, a list of {len(parts)}; write {name}__0, or "
            f"{name}__0__ and a parameter of that part."
        )
    part = parts[int(index)]
    if not inner:
        parts[int(index)] = value
        setattr(estimator, name, parts)
    elif has_params(part):
        part.set_params(**{inner: value})
    else:
        raise ValueError(
            f"{name}[{index}]={part!r} has no parameter {inner!r} to set; put the part itself, as "
            f"an object, into the list."
        )


def numbers_of(value):
    """An array of at least one dimension; of objects, where `value` is ragged."""
    try:
        return np.atleast_1d(np.asarray(value))
    except ValueError:
        return np.empty(0, dtype=object)
