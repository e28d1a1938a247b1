"""What a file says of a fit, checked before anything of the size that it names is allocated.

The network is built without memory first, on torch's device "meta". Its weights must be those that
the file has, by name, shape and type, so that no size exceeds what the file itself holds.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from ._encoding import OURS
from ._familiarity import MOST_UNITS
from ._families import FAMILIES
from ._fitted import Fitted, plan_of
from ._plan import Plan
from .core.build import build_network
from .core.engine import ready_net
from .core.forward_forward import Network, layer_scores
from .exceptions import ModelFileError
from .layers import built, live

DTYPES = ("float32", "float64")
# What the annotations of a plan ask of its fields.
TYPES: dict[Any, Any] = {
    "int": int,
    "bool": bool,
    "float": (int, float),
    "str": str,
    "tuple": tuple,
    "dict": dict,
    "str | None": (str, type(None)),
    "tuple | None": (tuple, list, type(None)),
}


def require(fact: Any, what: str) -> None:
    """Raise ModelFileError unless a fact holds of the file."""
    if not fact:
        raise ModelFileError(f"it has {what}, which do not fit together.")


def check_network(state: dict[str, Any]) -> None:
    """Raise ModelFileError unless the weights of a state are those of the network of its plan."""
    plan = plan_of(state["plan"], device="meta")
    check_plan(plan)
    try:
        with torch.device("meta"):
            network = build_network(plan)
    except (RuntimeError, ValueError) as error:
        if own_parts(plan):  # the user's modules and functions may need values
            return
        raise ModelFileError(f"its network cannot be built: {error}") from error
    check_weights(network, state["weights"])
    depth = state["depth"]
    require(type(depth) is int and 0 <= depth <= len(network.layers), "layers and a depth")
    if not own_parts(plan):
        network.depth = depth
        check_shapes(network.eval(), plan)


def check_plan(plan: Plan) -> None:
    """Sizes, and parts one by one."""
    for field in fields(Plan):
        kind = TYPES.get(field.type, object)
        right = isinstance(getattr(plan, field.name), kind)
        require(right, f"a plan and the type of its {field.name}")
    require(plan.dtype in DTYPES, "weights and a precision")
    shift, divisor, anchor = (plan.scaler[name] for name in ("shift", "divisor", "anchor"))
    shapes = [(plan.n_features,)] * 2 + [(2, plan.n_features)]
    for array, shape in zip((shift, divisor, anchor), shapes, strict=True):
        require(array.shape == shape and array.dtype == np.float64, "columns and their scale")
    shape = plan.image_shape or (plan.n_features,)
    require(math.prod(shape) == plan.n_features and min(shape) > 0, "columns and an image_shape")
    for name in FAMILIES:
        getattr(plan, name).check()
    for part in (plan.prediction, plan.schedule, plan.head_settings, *plan.kinds):
        part.check()
    with torch.device("meta"):
        found = built(plan.kinds, shape, [0] * len(plan.kinds), False)
    require(plan.units == tuple(layer.n_outputs for layer in found), "layers and their sizes")
    require(plan.width == max(live(layer) for layer in found), "layers and their sizes")
    require(len(plan.dropout) == len(found), "layers and their dropout")
    counted = set(range(len(found)))
    require(plan.counted and counted.issuperset(plan.counted), "layers and the numbers of some")
    groups = len(found) + bool(plan.has_head)
    require(len(plan.groups) == groups, "layers and their rates")


def own_parts(plan: Plan) -> bool:
    """Whether some part is, or holds, what the user has written."""
    parts = [getattr(plan, name) for name in FAMILIES]
    parts += [entry for part in parts for entry in part.entries or ()]
    parts += [plan.prediction, *plan.kinds]
    parts += [inner for kind in plan.kinds for inner in getattr(kind, "inner", ())]
    known = set(OURS.values())
    return any(
        type(part) not in known or any(map(callable, part.get_params(deep=False).values()))
        for part in parts
    )


def check_weights(network: Network, weights: dict[str, np.ndarray]) -> None:
    expected = {
        name: (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in network.state_dict().items()
    }
    given = {name: (array.shape, str(array.dtype)) for name, array in weights.items()}
    if given != expected:
        odd = min(name for name, _ in given.items() ^ expected.items())
        raise ModelFileError(
            f"it has {given.get(odd, 'nothing')} as the weights {odd[:100]!r}, and its layers need "
            f"{expected.get(odd, 'none of that name')}."
        )


@torch.no_grad()
def check_shapes(network: Network, plan: Plan) -> None:
    """Raise ModelFileError where layers, labels and head do not fit, by rows without values."""
    x = torch.empty(2, plan.n_features, dtype=getattr(torch, plan.dtype), device="meta")
    labels = torch.empty(2, plan.n_classes, dtype=torch.int64, device="meta")
    try:
        shown = network.encode(network.scaler(x))
        for _ in layer_scores(network, shown, labels):
            pass
        if network.head is not None:
            network.head(network.features(shown))
    except (RuntimeError, ValueError, IndexError) as error:
        raise ModelFileError(f"its layers do not fit together: {error}") from error


def check_fitted(fitted: Fitted) -> None:
    """Raise ModelFileError unless what was found beside the weights has the shapes of the plan."""
    plan, K = fitted.plan, fitted.plan.n_classes
    for array in (fitted.classes, fitted.class_count):
        require(array is None or array.shape == (K,), "classes and their number")
    require(fitted.classes is not None or K == 1, "classes and their number")
    epochs = len(fitted.loss_curve)
    for array in fitted.history.values():
        require(array.shape == (epochs, len(plan.units)), "epochs and their history")
    for weight in fitted.network.parameters():
        require(torch.isfinite(weight).all(), "weights that are not finite")
    numbers = (fitted.scale, fitted.slips, fitted.best_validation_score)
    require(all(one is None or isinstance(one, float) for one in numbers), "scores and their scale")
    check_optimizer(fitted)
    if fitted.moments is not None:
        check_moments(fitted.moments, plan)
    if fitted.evidence is not None:
        check_evidence(fitted.evidence, plan)


def check_optimizer(fitted: Fitted) -> None:
    """The state of every weight has the shapes of a first step: optimizers do not look at these."""
    given = fitted.net.optimizer_.state_dict()["state"]
    if not given:
        return
    plan = fitted.plan
    fresh = ready_net(plan, build_network(plan), fitted.net.draws.copy())
    for weight in fresh.module_.parameters():
        weight.grad = torch.zeros_like(weight)
    fresh.optimizer_.step()
    expected = fresh.optimizer_.state_dict()["state"]
    for index, state in given.items():
        require(index in expected, "weights and a state of the optimizer")
        for name, value in state.items():
            like = expected[index].get(name)
            require(
                isinstance(like, torch.Tensor)
                and isinstance(value, torch.Tensor)
                and like.shape == value.shape,
                "weights and a state of the optimizer",
            )


def check_moments(moments: dict[int, Any], plan: Plan) -> None:
    for index, stored in moments.items():
        n = len(stored["mean"])
        require(n <= 2 * min(MOST_UNITS, plan.units[index]), "layers and their moments")
        require(stored["covariance"].shape == (n * (n + 1) // 2,), "layers and their moments")


def check_evidence(evidence: dict[str, Any], plan: Plan) -> None:
    scores, logits = evidence["scores"], evidence["logits"]
    rows, K, layers = len(evidence["target"]), plan.n_classes, evidence["layers"]
    require(set(layers) <= set(range(len(plan.units))), "layers and their scores")
    require(scores.shape == (rows, len(layers), K), "classes and their scores")
    require(logits is None or logits.shape == (rows, K), "classes and their scores")
    require(evidence["target"].shape == (rows, K), "classes and their scores")
    require(evidence["weight"].shape == (rows,), "rows and their scores")
    require(evidence["prior"].shape == (K,), "classes and their scores")
    require(len(evidence["sharpness"]) == len(layers), "layers and their scores")
