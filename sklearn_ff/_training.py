"""From a plan to a trained network: `build`, then `train`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ._checkpoints import keeper_of
from ._draws import Draws, global_draws
from ._effects import may_be_flat
from ._families import FAMILIES
from ._fitted import Fitted
from ._input import Data
from ._lifeless import head_remedy, lifeless, remedies
from ._machine import flushed_denormals, keep_freed_room
from ._optimizers import allocate_state, resume_optimizer
from ._overfitting import overfitted
from ._params import brief
from ._plan import Plan
from ._scoring import Accuracy, HeldOutLoss, network_scores
from ._stored import StoredRows, dense
from ._typing import MatrixLike
from ._validation import largest_number
from ._warn import warn
from ._weights import continue_from, initialize
from .augmentations import Views
from .core.build import build_network
from .core.callbacks import Decay, DivergenceGuard, FlatLoss, Log, Report, Validation
from .core.engine import FFNet, ready_net
from .core.forward_forward import Network
from .core.rows import Rows, as_tensor, n_parts
from .core.user_callbacks import checked_callback
from .exceptions import DivergenceError, OverfittingWarning
from .schedules import checked_rate

GUARDED_UPDATES = 30  # updates between checks of weights and scores
PROBED_ROWS = 8  # rows that are scored after every epoch, to check the weights
LINEAR = 1e-3  # relative difference of a product of sums and a sum of products, at most
LARGE = 10.0  # size of unscaled values beyond which they may make a fit diverge
# Multiply-adds of a layer and batch below which one thread is faster, and those in whose time a
# number of a layer is read and written by other operators than products.
SMALL_STEP, SIMPLE = 2**24, 64
HISTORY = ("loss", "goodness_positive", "goodness_negative", "ranking_accuracy")


def build(plan: Plan, previous: Fitted | None = None) -> tuple[Network, Draws]:
    """The network of a plan, new or with the weights of the `previous` fit, and its draws."""
    if plan.resume and previous is not None and previous.resumable:
        draws = previous.net.draws.copy(plan.device)
    else:
        draws = seeded(plan)
    network = build_network(plan, draws.copy().seed())
    if previous is None:
        initialize(network, draws.generator, plan.kinds)
    else:
        continue_from(network, previous.network)
    check_shared_product(plan, network)
    check_weights(plan, network)
    return network, draws


@torch.no_grad()
def check_shared_product(plan: Plan, network: Network) -> None:
    """Raise ValueError where the first layer's product is not linear, and rows, labels, or their
    length enter it separately.
    """
    shared = plan.shows_labels and plan.overlay.label_layers != "all"
    if not shared and plan.input_normalization.identity:
        return
    product, n = network.eval().layers[0].affine.product, plan.n_features
    x = torch.arange(1.0, n + 1, dtype=getattr(torch, plan.dtype), device=plan.device).sin()
    first, second = x.view(1, 1, n), 2 * x.flip(0).view(1, 1, n)
    both, apart = product(first + second), product(first) + product(second)
    if (both - apart).abs().max() > LINEAR * (1e-6 + apart.abs().max()):
        raise ValueError(
            f"The first layer, {plan.kinds[0]!r}, multiplies rows apart from their labels and "
            f"length, but its `product` is not linear; give Module(factory) or a Block in its "
            f"place, or goodness='readout', which needs no label shown, without "
            f"input_normalization."
        )


def check_weights(plan: Plan, network: Network) -> None:
    """Raise ValueError where a layer is to learn, and has no weights that could."""
    for index in sorted({index for stage in plan.stages for index in stage.layers}):
        if not any(weight.requires_grad for weight in network.layers[index].parameters()):
            raise ValueError(
                f"layers[{index}]={brief(plan.kinds[index])} has no weights that could learn; set "
                f"its learned=False, or use a goodness with weights, such as 'readout'."
            )


def seeded(plan: Plan) -> Draws:
    """One generator for initial weights, order of rows, negatives and dropout."""
    seed = check_random_state(plan.settings.random_state).randint(np.iinfo(np.int32).max)
    generator = torch.Generator(plan.device).manual_seed(int(seed))
    return Draws(generator, plan.device, getattr(torch, plan.dtype))


def train(
    plan: Plan,
    network: Network,
    draws: Draws,
    data: Data,
    callbacks: Sequence[Any] | None = None,
    previous: Fitted | None = None,
    listener: Any = None,
    judge: Any = None,
) -> Fitted:
    """Train the network; what diverges is kept at its last finite weights.

    With `plan.resume`, optimizer and history of the `previous` fit go on. A `listener` hears of
    stages and epochs. A `judge` scores held-out rows instead of their accuracy.
    """
    previous = previous if plan.resume else None
    own = own_callbacks(plan, data, judge)
    users = [checked_callback(entry) for entry in callbacks or ()]
    last = [] if listener is None else [Report(listener)]
    keeper = keeper_of(callbacks, plan, data, network)
    net = ready_net(plan, network, draws, list(own.items()), [*users, *last])
    if previous is not None and previous.resumable and previous.plan.optimizers == plan.optimizers:
        resume_optimizer(net.optimizer_, previous.net.optimizer_)
    keep_freed_room()
    allocate_state(net.optimizer_)
    net.keeper_, net.ranks_ = keeper, data.ranks
    network.train()
    error = None
    try:
        if data.pool is not None:
            net.negatives = plan.negatives.bind(pool_on_device(plan, network, *data.pool))
        net.negatives = data.ranks.negatives(net.negatives)
        with own_draws(plan, draws), flushed_denormals():
            net.train(rows_on_device(plan, network, draws, data))
    except DivergenceError as diverged:
        error = diverged
    except BaseException:
        net.forget()  # a callback may hold the net
        raise
    finally:
        net.negatives = plan.negatives  # without rows set aside
    if error is not None or not plan.resume:  # moments are not finite any more, or have served
        net.optimizer_.state.clear()
    network.eval()
    network.requires_grad_(True)
    for layer in network.layers:
        layer.learning = True  # gradients with respect to rows pass through all
    fitted = recorded(plan, net, data, previous, error)
    net.forget()
    if error is not None:
        refuse_unless_sound(fitted, data.X)
        return fitted
    warn_of_budget(plan, net, own.get("flat"))
    if not warn_of_lifeless(fitted, data):
        warn_of_overfitting(plan, net, data)
    return fitted


def is_small(plan: Plan) -> bool:
    """Whether threads cost more time than they save: they wait for each other in every operator."""
    unknown = plan.augmentation is not None or any(kind.composite for kind in plan.kinds)
    if unknown or torch.device(plan.device).type != "cpu":
        return False
    shown = plan.shows_labels or plan.negatives.of_rows
    n_candidates = plan.negatives.n_candidates(plan.n_classes) if shown else 1
    per_candidate = max(plan.n_products, SIMPLE * plan.width)
    return plan.batch_size * n_candidates * per_candidate < SMALL_STEP


def own_draws(plan: Plan, draws: Draws) -> Any:
    """Where a layer draws from torch's global generator, its state for the time of the training."""
    if not any(kind.draws_globally for kind in plan.kinds):
        return nullcontext()
    return global_draws(draws.seed(), plan.device)


# What the loop is handed ------------------------------------------------------------------------


def rows_on_device(plan: Plan, network: Network, draws: Draws, data: Data) -> Rows:
    """Copies on the device; weights have mean 1, so that a batch's loss is not biased."""
    dtype, weight = getattr(torch, plan.dtype), data.weight / (data.total_weight / data.n_rows)
    y = torch.as_tensor(data.codes, dtype=torch.int64).to(plan.device)
    weight = torch.as_tensor(weight, dtype=dtype).to(plan.device)
    views, convert = None, network.scaler.scaled
    if plan.augmentation is not None:
        views = Views(plan.augmentation, plan.image_shape, draws, plan.negatives.n_views)
        convert = dense  # scaled when they have been varied
    x = data.X.copy() if issparse(data.X) else data.X
    if isinstance(x, np.ndarray) or (isinstance(x, StoredRows) and x.one_block):
        x = as_tensor(x, dtype, plan.device, convert)
    return Rows(x, y, weight, network.scaler, dtype, views, data.n_rows)


def pool_on_device(
    plan: Plan, network: Network, X: Any, weight: np.ndarray
) -> tuple[Any, torch.Tensor]:
    """Rows that negative ones are drawn from, and the sums of their weights up to each.

    Rows that stay in a file are read where they are drawn.
    """
    cumulative = torch.tensor(weight.cumsum() / weight.sum(), dtype=getattr(torch, plan.dtype))
    if isinstance(X, StoredRows) and not X.one_block:
        rows: Any = Rows(X, None, None, network.scaler, cumulative.dtype)
    else:
        rows = as_tensor(X, cumulative.dtype, plan.device, network.scaler.scaled)
    return rows, cumulative.to(plan.device)


def own_callbacks(plan: Plan, data: Data, judge: Any = None) -> dict[str, Any]:
    """The package's own callbacks, which come before the user's."""
    settings, n_batches = plan.settings, n_parts(data.n_rows, plan.batch_size)
    probe = partial(network_scores, plan=plan, X=data.X[:PROBED_ROWS])
    patience = -(-GUARDED_UPDATES // (n_batches * len(plan.passes)))
    own = {"guard": DivergenceGuard(probe, patience, partial(advice, plan, data.X))}
    rate = checked_rate(settings.learning_rate)
    if rate.endless or not (rate.constant or plan.resume):
        before = plan.n_updates - n_batches * len(plan.passes) * plan.max_iter
        own["decay"] = Decay(rate, n_batches, before)
    if data.held_out is not None:
        patience = settings.n_iter_no_change if settings.early_stopping else None
        asked = judge or Accuracy(plan, *data.held_out), HeldOutLoss(plan, *data.held_out)
        score, loss = (data.ranks.averaged(one, data.held_out.weight) for one in asked)
        own["validation"] = Validation(score, loss, patience, settings.tol or 0.0)
    elif may_be_flat(plan):
        own["flat"] = FlatLoss(settings.tol, settings.n_iter_no_change)
    if settings.verbose and data.ranks.first:
        own["log"] = Log()
    return own


def advice(plan: Plan, X: MatrixLike) -> str:
    """What to do where rows are large, or parts are the user's; empty where neither is so."""
    size = largest_number(X)
    if plan.scaling is not None or size <= LARGE:
        own = own_parts(plan)
        return f"See that {own} of your own return finite numbers, or lower " if own else ""
    return (
        f"Values of X go up to {size:.4g}, and scaling=None leaves them so; scale the columns, as "
        f"scaling='auto' does, or lower "
    )


# What the loop leaves ---------------------------------------------------------------------------


def recorded(
    plan: Plan, net: FFNet, data: Data, previous: Fitted | None = None, error: Any = None
) -> Fitted:
    """The fitted value of a net with what its epochs have recorded until now."""
    return Fitted(plan, net, data.classes, error=error, **records(net, len(plan.units), previous))


def records(net: FFNet, n_layers: int, previous: Fitted | None) -> dict[str, Any]:
    """What the epochs have recorded, after those of the `previous` fit."""
    epochs = [row for row in net.history if "statistics" in row]
    history = history_arrays(epochs, n_layers)
    losses = [row["train_loss"] for row in epochs]
    if previous is not None:
        history = {name: np.vstack([previous.history[name], history[name]]) for name in HISTORY}
        losses = [*previous.loss_curve, *losses]
    scores = [row["valid_score"] for row in epochs if "valid_score" in row]
    stage = [row["stage"] for row in epochs[-1:]]
    last = [row.get("valid_score", np.nan) for row in epochs if [row["stage"]] == stage]
    finite = [score for score in last if not np.isnan(score)]
    return {
        "history": history,
        "loss_curve": losses,
        "validation_scores": scores or None,
        "validation_losses": [row["valid_loss"] for row in epochs if "valid_loss" in row] or None,
        "best_validation_score": max(finite) if finite else None,
    }


def history_arrays(rows: Sequence[Any], n_layers: int) -> dict[str, np.ndarray]:
    """What skorch's history holds of our statistics, as arrays (epochs, layers)."""
    arrays = {name: np.full((len(rows), n_layers), np.nan) for name in HISTORY}
    for epoch, row in enumerate(rows):
        for name, values in zip(HISTORY, row["statistics"], strict=True):
            if row["layers"]:  # not where the head learned alone
                arrays[name][epoch, row["layers"]] = values
    shares = arrays["ranking_accuracy"]
    shares.clip(0, 1, out=shares)  # a sum of rounded weights
    return arrays


def holds_callable(part: Any) -> bool:
    """Whether a part, or one of several, is, or holds, what the user has written."""
    return any(
        not type(one).__module__.startswith("sklearn_ff.")
        or any(map(callable, one.get_params(deep=False).values()))
        for one in part.entries or (part,)
    )


def own_parts(plan: Plan) -> str:
    """The parameters that hold what the user has written, in words; empty if there are none."""
    given = [name for name in FAMILIES if holds_callable(getattr(plan, name))]
    return " and ".join([*given, *["layers"] * any(map(own_layer, plan.kinds))])


def own_layer(kind: Any) -> bool:
    """Whether a kind of layer, or one inside of it, is, or holds, what the user has written."""
    return holds_callable(kind) or any(map(own_layer, getattr(kind, "inner", ())))


def refuse_unless_sound(fitted: Fitted, X: MatrixLike) -> None:
    """Raise ValueError, after which nothing is kept, if even the first weights are no use."""
    if not np.isfinite(network_scores(fitted.network, fitted.plan, X[:PROBED_ROWS])).all():
        own = own_parts(fitted.plan)
        raise ValueError(
            f"The network gave no finite scores even before training; nothing is kept. Scale the "
            f"data, or lower the label's strength, which is {fitted.plan.strength:.4g}"
            f"{own and f', or see that {own} of your own return finite numbers'}."
        )


def warn_of_budget(plan: Plan, net: FFNet, flat: Any) -> None:
    """Warn where the loss at a constant rate still decreases."""
    if net.interrupted_ or net.stopped_ or flat is None or flat.flat_:
        return
    warn(
        f"The training loss still fell by more than tol={plan.settings.tol} after max_iter="
        f"{plan.max_iter} epochs; increase max_iter.",
        ConvergenceWarning,
    )


def warn_of_lifeless(fitted: Fitted, data: Data) -> bool:
    """Warn of layers, or of the head (0), that respond to all rows alike, with remedies; whether
    there are some.
    """
    plan = fitted.plan
    dead = lifeless(fitted.network, plan, data.X, data.codes)
    if dead == [0]:
        warn(
            f"The softmax head responds to all rows alike; {head_remedy(plan)}.",
            ConvergenceWarning,
        )
    elif dead:
        warn(
            f"Layers {dead} respond alike to every row or candidate, so that nothing can be told "
            f"from their scores; {remedies(plan, data.X)}.",
            ConvergenceWarning,
        )
    return bool(dead)


def warn_of_overfitting(plan: Plan, net: FFNet, data: Data) -> None:
    """Warn where held-out rows show it, unless something else has stopped by them."""
    restored = any(getattr(callback, "load_best", False) for _, callback in net.callbacks_)
    if data.held_out is None or plan.settings.early_stopping or net.stopped_ or restored:
        return
    names = "stage", "train_loss", "valid_loss", "valid_score"
    epochs = [row for row in net.history if "valid_score" in row]
    found = overfitted(*([row[name] for row in epochs] for name in names))
    if found is not None:
        stage, lowest, n_epochs = found
        where = f" of stage {stage}" if len(plan.stages) > 1 else ""
        warn(
            f"The network overfits: the loss of held-out rows rose after epoch {lowest} of "
            f"{n_epochs}{where}, while the training loss fell, and their score became no better; "
            f"set early_stopping=True, or give more rows, dropout, a larger alpha or a smaller "
            f"max_iter.",
            OverfittingWarning,
        )
