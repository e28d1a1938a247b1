"""Our own callbacks, one by one, on a net that is no more than what they look at."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.history import History

from sklearn_ff import DivergenceError, schedules
from sklearn_ff._ranks import ALONE
from sklearn_ff.core.callbacks import (
    Decay,
    DivergenceGuard,
    FlatLoss,
    Snapshot,
    StopStage,
    StopTraining,
    Validation,
    weights_are_finite,
)


def tiny_net(rates=(0.1,)):
    """A network of one matrix, an optimizer with a group per rate, and an empty history."""
    module = torch.nn.Linear(2, 2)
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return SimpleNamespace(
        ranks_=ALONE,
        module_=module,
        optimizer_=torch.optim.SGD(groups, lr=1.0),
        history=History(),
        stage_epochs_=1,
        passes_=(None,),
        n_updates_=0,
    )


def end_epoch(callback, net, **recorded):
    net.n_updates_ += 1
    net.history.new_epoch()
    for name, value in recorded.items():
        net.history.record(name, value)
    callback.on_epoch_end(net)


def rates(net):
    return [group["lr"] for group in net.optimizer_.param_groups]


def fill(module, value):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)


def filled(module, value):
    return all(bool((p == value).all()) for p in module.parameters())


# Decay ------------------------------------------------------------------------------------------


def decayed(kind, n_batches, steps, initial=(0.1, 0.4)):
    """The rates before every one of so many batches."""
    net, decay = tiny_net(initial), Decay(schedules.rates.get(kind), n_batches)
    decay.on_stage_begin(net, None)
    net.optimizer_.step()  # so that torch does not ask for the order of steps
    seen = []
    for _ in range(steps):
        seen.append(rates(net))
        decay.on_batch_end(net)
    return np.array(seen), net, decay


@pytest.mark.parametrize(
    "kind, formula",
    [
        ("linear", lambda p: 1 - p),
        ("cosine", lambda p: (1 + math.cos(math.pi * p)) / 2),
        (schedules.Drops([0.25, 0.75, 1.0], share=0.0), lambda p: float(p < 0.25)),
    ],
    ids=["linear", "cosine", "drops"],
)
def test_decay_matches_reference_for_every_group(kind, formula):
    seen, net, _ = decayed(kind, 8, 8)
    expected = [[rate * formula(i / 8) for rate in (0.1, 0.4)] for i in range(8)]
    np.testing.assert_allclose(seen, expected, rtol=1e-12)
    np.testing.assert_allclose(rates(net), 0, atol=1e-15)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_decay_stays_at_zero_after_its_last_batch(kind):
    seen, _, _ = decayed(kind, 3, 9)
    np.testing.assert_allclose(seen[3:], 0, atol=1e-15)


@pytest.mark.parametrize("steps", [0, 2, 5])
def test_decay_begins_every_stage_at_the_first_rate(steps):
    _, net, decay = decayed("linear", 4, steps)
    for _ in range(2):
        decay.on_stage_begin(net, None)
        assert rates(net) == [0.1, 0.4]
        decay.on_batch_end(net)
        np.testing.assert_allclose(rates(net), [0.075, 0.3])


# Snapshot ---------------------------------------------------------------------------------------


def test_snapshot_is_a_copy_that_is_put_back():
    module = torch.nn.BatchNorm1d(2)
    fill(module, 1.0)
    module.running_mean.fill_(5.0)
    snapshot = Snapshot(module)
    fill(module, 2.0)
    module.running_mean.fill_(6.0)
    snapshot.restore()
    assert filled(module, 1.0)
    assert module.running_mean.tolist() == [5.0, 5.0], "buffers too"
    fill(module, 3.0)
    snapshot.take()
    fill(module, 4.0)
    for _ in range(2):
        snapshot.restore()
        assert filled(module, 3.0)
        fill(module, 4.0)


def test_a_snapshot_overwrites_its_copy():
    module = torch.nn.Linear(2, 1)
    snapshot = Snapshot(module)
    copies = dict(snapshot.weights)
    with torch.no_grad():
        module.weight.add_(1.0)
    snapshot.take()
    assert all(snapshot.weights[name] is copy for name, copy in copies.items())
    assert torch.equal(copies["weight"], module.weight)
    assert copies["weight"].data_ptr() != module.weight.data_ptr()


# Validation -------------------------------------------------------------------------------------


def validated(scores, patience, tol=0.0):
    """Epochs run, the net and the callback, where every epoch fills the weights with its number."""
    ahead = iter(scores)
    net, validation = (
        tiny_net(),
        Validation(lambda module: next(ahead), lambda net: 0.5, patience, tol),
    )
    validation.on_stage_begin(net, None)
    for epoch in range(1, len(scores) + 1):
        fill(net.module_, float(epoch))
        try:
            end_epoch(validation, net)
        except StopStage:
            break
    validation.on_stage_end(net, None)
    return epoch, net, validation


@pytest.mark.parametrize(
    "scores, patience, tol, epochs, best",
    [
        ([0.5, 0.6, 0.7, 0.8], 2, 0.0, 4, 4),
        ([0.5, 0.9, 0.8, 0.7, 1.0], 2, 0.0, 4, 2),
        ([0.5, 0.9, 0.8, 0.91, 0.7, 0.6, 1.0], 2, 0.0, 6, 4),
        ([0.5, 0.5, 0.5, 0.5], 1, 0.0, 2, 1),
        ([0.5, 0.55, 0.60, 0.9], 2, 0.2, 3, 3),
        ([0.5, math.nan, 0.6, math.nan, math.nan, 0.9], 2, 0.0, 5, 3),
    ],
    ids=["rising", "falling", "patience begins anew", "equal", "gain below tol", "no number"],
)
def test_validation_waits_and_puts_the_best_weights_back(scores, patience, tol, epochs, best):
    ran, net, _ = validated(scores, patience, tol)
    assert ran == epochs
    assert filled(net.module_, float(best))


def test_validation_records_scores_and_which_are_best():
    _, net, _ = validated([0.5, 0.9, math.nan, 0.8], patience=9)
    np.testing.assert_array_equal(net.history[:, "valid_score"], [0.5, 0.9, math.nan, 0.8])
    assert net.history[:, "valid_score_best"] == [True, True, False, False]


def test_validation_without_patience_only_looks_on():
    epochs, net, _ = validated([0.9, 0.5, 0.4, 0.3], patience=None)
    assert epochs == 4
    assert filled(net.module_, 4.0), "the last weights stay"


def test_validation_with_no_finite_score_keeps_the_last_weights():
    epochs, net, _ = validated([math.nan] * 5, patience=3)
    assert epochs == 3
    assert filled(net.module_, 3.0)


def test_validation_is_reset_in_every_stage():
    scores = iter([0.9, 0.1, 0.5, 0.4])
    net, validation = tiny_net(), Validation(lambda module: next(scores), lambda net: 0.5, 2)
    validation.on_stage_begin(net, None)
    end_epoch(validation, net)
    end_epoch(validation, net)
    validation.on_stage_begin(net, None)
    fill(net.module_, 7.0)
    end_epoch(validation, net)
    fill(net.module_, 8.0)
    end_epoch(validation, net)
    validation.on_stage_end(net, None)
    assert filled(net.module_, 7.0), "the best of this stage, not of the one before"


# FlatLoss ---------------------------------------------------------------------------------------


def flattened(losses, tol, patience):
    net, flat = tiny_net(), FlatLoss(tol, patience)
    flat.on_stage_begin(net, None)
    for epoch, loss in enumerate(losses, 1):
        try:
            end_epoch(flat, net, train_loss=loss)
        except StopStage:
            return epoch, flat.flat_
    return epoch, flat.flat_


@pytest.mark.parametrize(
    "losses, tol, patience, epochs, flat",
    [
        ([5.0, 4.0, 3.0, 2.0, 1.0], 0.1, 2, 5, False),
        ([5.0, 4.0, 4.0, 4.0, 4.0], 0.1, 2, 4, True),
        ([5.0, 4.95, 4.94, 1.0], 0.1, 2, 3, True),
        ([5.0, 5.0, 4.0, 4.0, 3.0, 3.0], 0.1, 2, 6, False),
        ([5.0, 9.0, 8.0, 7.0], 0.1, 3, 4, True),
        ([5.0, 4.94, 4.88, 4.82, 4.0], 0.1, 3, 4, True),
    ],
    ids=["falling", "flat", "less than tol", "patience begins anew", "rising", "creeping"],
)
def test_flat_loss_stops_where_the_loss_does_not_fall(losses, tol, patience, epochs, flat):
    assert flattened(losses, tol, patience) == (epochs, flat)


def test_flat_loss_is_reset_in_every_stage():
    net, flat = tiny_net(), FlatLoss(0.1, 2)
    flat.on_stage_begin(net, None)
    end_epoch(flat, net, train_loss=1.0)
    end_epoch(flat, net, train_loss=1.0)
    flat.on_stage_begin(net, None)
    end_epoch(flat, net, train_loss=5.0)
    end_epoch(flat, net, train_loss=4.0)
    assert (flat.best_, flat.waited_, flat.flat_) == (4.0, 0, False)


# DivergenceGuard --------------------------------------------------------------------------------


def guarded(probe=lambda network: np.zeros((2, 3)), patience=1):
    net, guard = tiny_net(), DivergenceGuard(probe, patience)
    fill(net.module_, 1.0)
    guard.on_train_begin(net)
    return net, guard


def end_guarded(net, guard, losses, value, layers=(0, 1, 2)):
    fill(net.module_, value)
    end_epoch(guard, net, statistics=[list(losses)] * 4, layers=list(layers))


def test_the_guard_lets_finite_epochs_pass():
    net, guard = guarded()
    end_guarded(net, guard, [1.0, -9e9, 9e9], 2.0)
    assert filled(net.module_, 2.0)
    assert guard.loss_ == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "losses, layer, shown",
    [
        ([1.0, math.nan, 2.0], 2, "nan"),
        ([1.0, 2.0, math.inf], 3, "inf"),
        ([-2e10, 2.0, 1.0], 1, "-2e+10"),
        ([1e300, math.nan, 2e11], 2, "nan"),
        ([1e11, 2e11, 3.0], 2, "2e+11"),
    ],
)
def test_the_guard_names_the_worst_layer_and_restores(losses, layer, shown):
    net, guard = guarded()
    end_guarded(net, guard, [1.0, 2.0, 6.0], 2.0)
    with pytest.raises(DivergenceError) as error:
        end_guarded(net, guard, losses, 3.0)
    message = str(error.value)
    assert f"the loss of layer {layer} was {shown} in epoch 2" in message
    assert "the last finite training loss was 3" in message
    assert filled(net.module_, 2.0)


def test_the_guard_names_layers_by_their_place_in_the_network():
    net, guard = guarded()
    with pytest.raises(DivergenceError, match=r"layer 5 was nan in epoch 1; there was no finite"):
        end_guarded(net, guard, [1.0, math.nan], 3.0, layers=(1, 4))
    assert filled(net.module_, 1.0), "as they were before training"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_guard_looks_at_weights_where_losses_are_finite(value):
    net, guard = guarded()
    with pytest.raises(DivergenceError):
        end_guarded(net, guard, [1.0, 2.0, 3.0], value)
    assert filled(net.module_, 1.0)


@pytest.mark.parametrize("score", [2e10, -2e10, math.inf, math.nan])
def test_the_guard_looks_at_the_scores_of_some_rows(score):
    net, guard = guarded(lambda network: np.array([[1.0, score]]))
    with pytest.raises(DivergenceError, match="the scores of training rows reached"):
        end_guarded(net, guard, [1.0, 2.0, 3.0], 2.0)
    assert filled(net.module_, 1.0)


def test_the_guard_looks_at_weights_now_and_then_and_at_the_end_of_a_stage():
    net, guard = guarded(patience=3)
    for value in (2.0, 3.0, 4.0, 5.0):
        end_guarded(net, guard, [1.0, 2.0, 3.0], value)
    with pytest.raises(DivergenceError, match="the loss of layer 1"):
        end_guarded(net, guard, [math.nan, 2.0, 3.0], 6.0)
    assert filled(net.module_, 4.0), "as they were when last looked at"
    end_guarded(net, guard, [1.0, 2.0, 3.0], math.nan)
    with pytest.raises(DivergenceError, match="weights were not finite"):
        guard.on_stage_end(net, None)
    assert filled(net.module_, 4.0)


def test_the_guard_lets_go_of_its_copy():
    net, guard = guarded()
    guard.on_train_end(net)
    assert not any(isinstance(value, Snapshot) for value in vars(guard).values())


@pytest.mark.parametrize("value, finite", [(1.0, True), (math.nan, False), (-math.inf, False)])
def test_weights_are_finite_looks_at_every_entry(value, finite):
    module = torch.nn.Linear(3, 3)
    with torch.no_grad():
        module.weight[2, 1] = value
    assert weights_are_finite(module) is finite


def test_the_two_ends_are_distinguished():
    assert not issubclass(StopStage, StopTraining) and not issubclass(StopTraining, StopStage)
    assert not issubclass(StopStage, KeyboardInterrupt)
