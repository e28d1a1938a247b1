"""What a fit leaves behind: a frozen value, to and from plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from ._draws import Draws, generator_of
from ._families import FAMILIES
from ._machine import device_or_cpu
from ._open_columns import OpenColumns
from ._per_layer import shown
from ._plan import Plan
from ._scaling import Columns
from ._settings import Settings
from ._weights import to_numpy, to_torch
from .core.build import build_network
from .core.engine import FFNet, Group, ready_net
from .core.forward_forward import Network
from .schedules import Stage


@dataclass(frozen=True)
class Fitted:
    """A trained network, and what is known of it.

    Attributes
    ----------
    plan : Plan
        What was built and how it was trained.
    net : FFNet
        The skorch net, with the network in `module_`.
    classes, class_count : ndarray or None
        The labels, and the weight of the rows of each that were learned from.
    history : dict of str to ndarray of shape (n_epochs, n_layers)
        Statistics of every epoch and layer.
    loss_curve : list of float
        The training loss of every epoch.
    validation_scores : list of float or None
        The score of held-out rows after every epoch.
    validation_losses : list of float or None
        Their loss.
    best_validation_score : float or None
        The best of them, in the last stage.
    scale, slips : float or None
        What turns scores into probabilities; see `_calibration`.
    settled : Prediction or None
        The rule of prediction that held-out rows have chosen, where the plan's leaves it open.
    evidence : dict or None
        Scores of some training rows, from which other rules of prediction get their scale.
    moments : dict or None
        What familiarity is measured by; see `_familiarity`.
    error : DivergenceError or None
        Why training ended before its time; the weights are the last finite ones.
    """

    plan: Plan
    net: FFNet
    classes: np.ndarray | None
    history: dict
    loss_curve: list = field(default_factory=list)
    validation_scores: list | None = None
    validation_losses: list | None = None
    best_validation_score: float | None = None
    class_count: np.ndarray | None = None
    scale: float | None = None
    slips: float | None = None
    evidence: dict | None = None
    settled: Any = None
    moments: dict | None = None
    error: Exception | None = None

    @property
    def rule(self) -> Any:
        """The rule of prediction."""
        return self.plan.prediction if self.settled is None else self.settled

    @property
    def network(self) -> Network:
        return self.net.module_

    @property
    def resumable(self) -> bool:
        """Whether `partial_fit` goes on with its generator and optimizer."""
        return self.plan.resume


def to_state(fitted: Fitted) -> dict[str, Any]:
    """Owned numpy arrays, parts and plain values, so that pickles cross devices."""
    net = fitted.net
    state = {name: getattr(fitted, name) for name in _names(Fitted, "net", "error")}
    state["plan"] = {name: getattr(fitted.plan, name) for name in _names(Plan)}
    settings = fitted.plan.settings
    state["plan"]["settings"] = {name: getattr(settings, name) for name in _names(Settings)}
    for name in FAMILIES:  # a list of parts needs no class of its own
        state["plan"][name] = shown(state["plan"][name])
    scale = fitted.plan.open_columns
    if scale is not None:
        columns = scale.columns._asdict()
        state["plan"]["open_columns"] = {**scale._asdict(), "columns": columns}
    state["plan"]["groups"] = [tuple(group) for group in fitted.plan.groups]
    state["plan"]["stages"] = [tuple(stage) for stage in fitted.plan.stages]
    state["weights"] = to_numpy(net.module_.state_dict())
    state["depth"] = net.module_.depth
    if fitted.resumable:
        state["optimizer"] = to_numpy(net.optimizer_.state_dict()["state"])
        state["generator"] = net.draws.generator.get_state().numpy().copy()
    return state


def from_state(state: dict[str, Any]) -> Fitted:
    """The value whose state this is; on the CPU where its device is not available."""
    state = dict(state)
    weights, depth = state.pop("weights"), state.pop("depth")
    optimizer, generator = state.pop("optimizer", None), state.pop("generator", None)
    known = state.pop("plan")
    plan = plan_of(known, device_or_cpu(known["device"]))
    draws = Draws(torch.Generator(plan.device), plan.device, getattr(torch, plan.dtype))
    net = ready_net(plan, build_network(plan), draws)
    net.module_.load_state_dict(to_torch(weights))
    net.module_.depth = depth
    if optimizer is not None:
        new = net.optimizer_.state_dict()  # its groups follow from the plan
        net.optimizer_.load_state_dict({**new, "state": to_torch(optimizer)})
        draws.generator = generator_of(torch.from_numpy(generator.copy()), plan.device)
    return Fitted(plan=plan, net=net, **state)


def plan_of(known: dict[str, Any], device: str) -> Plan:
    """The plan whose state this is, for a device."""
    known = {**known, "device": device, "settings": Settings(**known["settings"])}
    known["groups"] = tuple(Group(*group) for group in known["groups"])
    scale = known["open_columns"]
    if scale is not None:
        known["open_columns"] = OpenColumns(**{**scale, "columns": Columns(**scale["columns"])})
    known["stages"] = tuple(Stage(*stage) for stage in known["stages"])
    for name, family in FAMILIES.items():
        known[name] = family.get(known[name])
    return Plan(**known)


def _names(cls: type[Any], *without: str) -> list[str]:
    return [one.name for one in fields(cls) if one.name not in without]
