"""A fit whose layers lie on several ranks: activations pass from each to the next, never back.

No layer waits for one above it. While layer k learns from a batch, the layers below are at the next
ones, and what every layer learns is the same as in one process, to the bit.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from joblib.externals.loky.backend.reduction import dumps, loads
from torch import Tensor

from .._base import publish
from .._calibration import calibrated
from .._compatibility import check, each_objective
from .._draws import Draws
from .._familiarity import with_familiarity
from .._fitted import Fitted
from .._input import Data, Request, read
from .._machine import flushed_denormals, keep_freed_room
from .._optimizers import allocate_state
from .._plan import Plan, make_plan
from .._settings import settings_of
from .._training import (
    build,
    own_callbacks,
    recorded,
    rows_on_device,
    warn_of_budget,
    warn_of_lifeless,
)
from ..core.engine import CANDIDATE_BYTES, FFNet, ready_net
from ..core.forward_forward import Network
from ..core.passes import LIVE_TENSORS
from ..exceptions import DivergenceError
from ._channel import AsSent, Layers, Sent
from ._group import Group
from ._rows import refuse_estimator, seed_of, taking_part


def learn_layers(group: Group, estimator: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    """Fit the estimator of the first rank, to its rows; None on the others."""
    with group.together():
        refuse_estimator(estimator)
    own = estimator if group.first else copy.copy(estimator)
    with taking_part(group, own):
        data, told = None, b""
        with group.together():
            if group.first:
                data, plan = planned(own, X, y, sample_weight, group.size)
                told = sendable(plan, data.n_rows)
        plan, n_rows = loads(group.from_first(lambda: told))
        network, draws = build(plan)
        fitted = train(group, plan, network, draws, data, n_rows)
        if not group.first:
            return None
        finish = calibrated if plan.settings.predicts else with_familiarity
        publish(own, finish(fitted, data))
    return own


def planned(estimator: Any, X: Any, y: Any, sample_weight: Any, n_ranks: int) -> tuple[Data, Plan]:
    """The data of the first rank and the plan of all."""
    estimator._validate_params()
    settings = settings_of(estimator)
    settings = replace(settings, random_state=seed_of(settings.random_state))
    data = read(estimator, settings, X, Request(y, sample_weight))
    plan = replace(make_plan(settings, data), captures=False)
    check(plan)
    check_layers(plan, data, estimator.callbacks, n_ranks)
    return data, plan


def sendable(plan: Plan, n_rows: int) -> bytes:
    try:
        return bytes(dumps((plan, n_rows)))
    except Exception as error:
        raise ValueError(
            f"The parts of the network cannot be sent to the other ranks ({error}); give functions "
            f"and objects that can be pickled."
        ) from error


# Which layers lie where ---------------------------------------------------------------------------


def cuts(costs: Sequence[float], n_ranks: int) -> list[range]:
    """The layers of every rank, so that the largest sum of their costs is least, then the next.

    The best division of some layers is found from those of fewer layers among one rank less.
    """
    n, below = len(costs), [0, *accumulate(costs)]
    best: dict[int, Any] = {0: ([], [0])}  # by the layers divided: sums, largest first, and ends
    for rank in range(1, n_ranks + 1):
        best = {
            end: min(
                (sorted([*sums, below[end] - below[begin]], reverse=True), [*ends, end])
                for begin, (sums, ends) in best.items()
                if begin < end
            )
            for end in range(rank, n - n_ranks + rank + 1)
        }
    return [range(begin, end) for begin, end in pairwise(best[n][1])]


def costs_of(plan: Plan, network: Network) -> list[int]:
    """Multiply-adds of every layer for a row; labels share the product of the first."""
    several = plan.shows_labels or plan.negatives.of_rows
    candidates = plan.negatives.n_candidates(plan.n_classes) if several else 1
    shown = [candidates] * len(network.layers)
    shown[0] = candidates if plan.negatives.of_rows else 1
    return [n * layer.affine.n_products for n, layer in zip(shown, network.layers, strict=True)]


class Received:
    """What the layer below has sent, in the place of encoded rows."""

    def __init__(self, layer: Any, z: Tensor) -> None:
        self.layer, self.z = layer, z

    def __call__(self, labels: Tensor) -> Tensor:
        return self.layer(self.z, labels)

    def learn(self, layer: Any, labels: Tensor, gradient: Tensor) -> None:
        layer.add_gradients(self.z, labels, gradient)


class Portion(Network):
    """The layers of one rank, from which activations go to the next; the page's step trains it."""

    def __init__(self, network: Network, own: range, ranks: Layers) -> None:
        layers = [network.layers[index] for index in own]
        given = network.scaler, network.encoder
        super().__init__(*given, layers, None, (), network.n_classes, network.answer)
        self.depth = own.stop  # above it, N(h) is computed where it is sent
        self.ranks = ranks

    def encode(self, x: Tensor) -> Any:
        return super().encode(x) if self.ranks.first else Received(self.layers[0], x)

    def activations(
        self, shown: Any, labels: Tensor, draws: Any = None, joined: bool = False
    ) -> Iterator[Any]:
        top = self.layers[-1]
        for layer, z, a, h in super().activations(shown, labels, draws, joined):
            yield layer, z, a, h
            if layer is top and self.ranks.above is not None:
                self.ranks.send(layer.normalize(h.detach()), labels)
            del z, a, h


def portion_of(plan: Plan, own: range) -> Plan:
    """The plan of these layers alone."""
    (stage,) = plan.stages
    learning = tuple(index - own.start for index in stage.layers if index in own)
    every = plan.optimizers
    return replace(
        plan,
        stages=(stage._replace(layers=learning, depth=own.stop),),
        groups=tuple(plan.groups[index] for index in own),
        optimizers=every if len(every) == 1 else tuple(every[index] for index in own),
    )


# Training -----------------------------------------------------------------------------------------


def train(
    group: Group, plan: Plan, network: Network, draws: Draws, data: Data | None, n_rows: int
) -> Any:
    """Train the layers of this rank; on the first, the fitted value with the weights of all."""
    where = cuts(costs_of(plan, network), group.size)
    own = where[group.rank]
    ranks = Layers(group, n_rows, next(iter(network.parameters())).detach())
    portion = Portion(network, own, ranks)
    part = portion_of(plan, own)
    stand_in = Data(np.zeros((1, plan.n_features)), np.zeros(1, int), np.ones(1))
    data = replace(data or stand_in, ranks=ranks)
    callbacks = callbacks_of_rank(plan, data)
    net = ready_net(part, portion, draws, list(callbacks.items()))
    keep_freed_room()
    allocate_state(net.optimizer_)
    if group.first:
        rows: Any = rows_on_device(plan, network, draws, data)
    else:
        rows, net.negatives = Sent(n_rows), AsSent()
    net.ranks_, error = ranks, None
    portion.train()
    try:
        with flushed_denormals():
            net.train(rows)
            ranks.flush()
    except DivergenceError as diverged:
        error = diverged
    weights = [layer.state_dict() for layer in portion.layers]
    every = group.gather_first(dict(zip(own, weights, strict=True)))
    if every is None:
        net.forget()
        if error is not None:
            raise error
        return None
    for some in every:
        for index, learned in some.items():
            network.layers[index].load_state_dict(learned)
    return joined_again(plan, network, draws, net, data, error, callbacks.get("flat"))


def joined_again(
    plan: Plan,
    network: Network,
    draws: Draws,
    net: FFNet,
    data: Data,
    error: Exception | None,
    flat: Any,
) -> Fitted:
    """The fitted value of an ordinary net, with the history of all layers."""
    whole = ready_net(plan, network, draws)
    whole.history = net.history
    for name in ("n_updates_", "interrupted_", "stopped_"):
        setattr(whole, name, getattr(net, name))
    network.depth = len(network.layers)
    network.eval()
    network.requires_grad_(True)
    for layer in network.layers:
        layer.learning = True
    network.progress = net.module_.progress
    fitted = recorded(plan, whole, data, None, error)
    net.forget()
    whole.forget()
    if error is None:
        warn_of_budget(plan, whole, flat)
        warn_of_lifeless(fitted, data)
    return fitted


def callbacks_of_rank(plan: Plan, data: Data) -> dict[str, Any]:
    """As in one process, but scores of the whole network are not looked at."""
    own = own_callbacks(plan, data)
    own["guard"].probe = lambda network: np.zeros(1)
    return own


# What cannot be divided ---------------------------------------------------------------------------


def check_layers(plan: Plan, data: Data, callbacks: Any, n_ranks: int) -> None:
    """Raise ValueError where layers cannot be divided among so many ranks."""
    if n_ranks > len(plan.kinds):
        raise ValueError(
            f"{n_ranks} ranks are too many for {len(plan.kinds)} layers; start as many as there "
            f"are layers at most."
        )
    check_order(plan)
    check_draws(plan)
    check_sight(plan, data, callbacks)
    check_shares(plan, data)


def check_order(plan: Plan) -> None:
    """No layer waits for what others have learned."""
    if plan.has_head:
        raise ValueError(
            f"The softmax head reads all layers before the first one learns (negatives="
            f"{plan.negatives!r}, prediction={plan.prediction!r}); use negatives='uniform' or "
            f"'all' and prediction='goodness', or distributed.fit."
        )
    if not plan.schedule.at_once or len(plan.stages) != 1:
        raise ValueError(
            f"schedule={plan.settings.schedule!r} lets layers learn one after another, so that "
            f"ranks would wait for each other; use schedule='simultaneous'."
        )
    for objective in each_objective(plan):
        if objective.needs_others:
            raise ValueError(
                f"objective={objective!r} adds the goodness of other layers, which lie on other "
                f"ranks; use another one, such as 'swish'."
            )


def check_draws(plan: Plan) -> None:
    """No layer draws numbers in an order of its own."""
    if plan.negatives.selects or any(plan.dropout):
        raise ValueError(
            f"negatives={plan.negatives!r} with dropout={plan.settings.dropout!r} draw numbers "
            f"inside of layers, in an order that ranks would have to wait for; use dropout=0 and "
            f"negatives of the whole batch, such as 'uniform'."
        )
    if any(kind.draws_globally for kind in plan.kinds):
        raise ValueError(
            "A Module may draw from torch's global generator, in an order that ranks would have to "
            "wait for; use layers of this package, or fit in one process."
        )


def check_sight(plan: Plan, data: Data, callbacks: Any) -> None:
    """Nothing looks at the whole network, which no rank holds."""
    if callbacks:
        raise ValueError(
            "callbacks look at the whole network, of which every rank holds some layers; leave "
            "them out, or use distributed.fit."
        )
    if data.held_out is not None:
        raise ValueError(
            f"early_stopping={plan.settings.early_stopping} or prediction={plan.prediction!r} "
            f"hold out rows, which the whole network scores, and every rank holds some layers; "
            f"change them, or use distributed.fit."
        )


def check_shares(plan: Plan, data: Data) -> None:
    """Every rank has something to learn, from batches that are passed on at once."""
    if data.pool is not None:
        raise ValueError(
            f"negatives={plan.negatives!r} draw from a pool of rows, which is not supported here; "
            f"use others, or fit in one process."
        )
    learning = plan.stages[0].layers
    if len(learning) < len(plan.kinds):
        raise ValueError(
            f"Only layers {[*learning]} learn, so that a rank may have none that does; let all of "
            f"them learn, or fit in one process."
        )
    itemsize = np.dtype(plan.dtype).itemsize
    candidates = plan.negatives.n_candidates(plan.n_classes)
    if LIVE_TENSORS * candidates * plan.width * itemsize * plan.batch_size > CANDIDATE_BYTES:
        raise ValueError(
            f"batch_size={plan.batch_size} makes more candidates than one process would learn from "
            f"at once; lower it."
        )
