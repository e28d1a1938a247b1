"""One choice for all layers, or a list with one per layer: parts, optimizers, metrics."""

import math
from types import SimpleNamespace

from ._params import EstimatorParams, has_params
from ._parts import PerLayer, check_arguments

PARTS = ("goodness", "objective")  # families of which every layer may have a part of its own
OURS = {"lr": "learning_rate_init", "l2": "alpha", "params": "the network"}
LISTED = (*PARTS, "layers")  # parameters that may be lists of parts


def is_list(value):
    """Whether it has entries, one per layer; numbers may come as an array."""
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0


def each(name, value, n_layers):
    """`value` for every layer; a list must have one entry per layer."""
    if not is_list(value):
        return [value] * n_layers
    if len(value) != n_layers:
        raise ValueError(
            f"{name} has {len(value)} entries for {n_layers} layers; give one for all, or one per "
            f"layer."
        )
    return list(value)


def check_lengths(plan, n_layers):
    """Raise ValueError where a list of parts, or of thresholds, does not fit the layers."""
    for name in PARTS:
        part = getattr(plan, name)
        if isinstance(part, PerLayer):
            each(name, part.parts, n_layers)
    for objective in map(plan.objective.for_layer, range(n_layers)):
        for name in objective.by_layer:
            each(name, getattr(objective, name), n_layers)


def check_reach(plan):
    """Raise ValueError where a goodness cannot reach a threshold, or would fall without end."""
    for index, n_units in enumerate(plan.units):
        layer = of_layer(plan, index)
        asked = layer.objective._thresholds(SimpleNamespace(index=index, n_units=n_units))
        if layer.goodness.quiet and any(threshold >= 0 for threshold in asked):
            raise ValueError(
                f"objective={layer.objective!r} asks for goodness above {max(asked)}, and "
                f"{layer.goodness!r} is never above 0; give negative thresholds, such as "
                f"Logistic(-0.5), or use objective='symba'."
            )
        if layer.goodness.endless and layer.objective._pulls_down():
            raise ValueError(
                f"objective={layer.objective!r} rewards a negative candidate's score for falling, "
                f"and that of {layer.goodness!r} can fall without end; use penalty=0, or "
                f"goodness='mean_square'."
            )


def check_phases(phases, plan, n_layers):
    """Raise ValueError where an objective cannot act on positive and negative candidates apart."""
    parts = [plan.objective.for_layer(index) for index in range(n_layers)]
    for part in parts if phases == "by_epoch" else ():
        if not part.splits:
            raise ValueError(
                f"phases='by_epoch' learns from positive candidates without negative ones, which "
                f"objective={part!r} cannot, since it compares them; use objective='logistic', or "
                f"one with a threshold below zero, such as Logistic(-0.5), where goodness is."
            )


def of_layer(plan, index):
    """A plan as layer `index` sees it."""
    own = {name: getattr(plan, name).for_layer(index) for name in PARTS}
    return SimpleNamespace(**{**vars(plan), **own})


def steepness_of(plan, index):
    """How steeply the loss of a layer answers to one of its units.

    Penalties are multiplied by it, so that they weigh against the loss as they do in a network of
    plain log-losses, whatever the layer's width and the scale of its scores.
    """
    layer = of_layer(plan, index)
    slope = layer.objective.slope(SimpleNamespace(sharpness=layer.goodness.sharpness))
    return slope * layer.goodness.unit_share(plan.units[index], plan.n_classes)


def shown(part):
    """A part as a fitted attribute tells it: lists of parts as lists."""
    return part.parts if isinstance(part, PerLayer) else part


def optimizers_of(optimizer, params, n_layers, head, head_params=None):
    """Pairs (optimizer, its options): one for all, or one per layer; the head has the last.

    `head_params` are options of the head's that take the place of the last layer's.
    """
    for options in params if is_list(params) else [params]:
        check_options(options)
    check_options(head_params, "head_optimizer_params")
    own = head and head_params
    if not (is_list(optimizer) or is_list(params) or own):
        return [(optimizer, params)]
    optimizers = each("optimizer", optimizer, n_layers)
    pairs = list(zip(optimizers, each("optimizer_params", params, n_layers), strict=True))
    if own:
        return [*pairs, (pairs[-1][0], {**(pairs[-1][1] or {}), **head_params})]
    return pairs + pairs[-1:] * head


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


def metrics_of(metric, n_layers):
    """A metric or None for every layer; None where there is none at all."""
    metrics = each("metric", metric, n_layers)
    for one in metrics:
        if one is not None and not callable(one):
            raise ValueError(
                f"metric holds {one!r}, which cannot be called; give functions (g, y) -> number, "
                f"or None for a layer without one."
            )
        if one is not None:
            check_arguments(one, "metric", "(g, y) -> number")
    return None if metric is None else metrics


class PerLayerParams(EstimatorParams):
    """Parameters that reach inside lists of parts, as ``objective__1__sharpness``."""

    def get_params(self, deep=True):
        """The parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to name those of its parts too, as ``objective__sharpness``, or
            ``objective__0__sharpness`` where every layer has a part of its own.

        Returns
        -------
        params : dict
            Parameters by name.
        """
        params = super().get_params(deep)
        return {**params, **entries(params)} if deep else params

    def set_params(self, **params):
        """As scikit-learn's; entries of lists last."""
        inside = {key: params.pop(key) for key in [*params] if self._is_inside(key, params)}
        super().set_params(**params)
        for key in sorted(inside, key=lambda key: key.count("__")):  # entries, then what is in them
            set_entry(self, key, inside[key])
        return self

    def _is_inside(self, key, params):
        name, nested, _ = key.partition("__")
        return nested and name in LISTED and is_list(params.get(name, getattr(self, name, None)))


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
