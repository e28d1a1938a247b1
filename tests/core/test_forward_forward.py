"""The page: local learning, and its forward pass against NumPy."""

import numpy as np
import pytest
import torch
from planned import label_scores, planned

from sklearn_ff import FFClassifier
from sklearn_ff.core.forward_forward import step
from sklearn_ff.core.record import Record
from sklearn_ff.core.updates import learners
from sklearn_ff.overlays import Append
from sklearn_ff.schedules import Greedy, Simultaneous, Stage

D, K, ROWS = 7, 4, 24
# Every overlay with a goodness that needs one, and a goodness that scores classes and needs none.
SHOWN = [(name, "mean_square") for name in ("append", "every_layer", "replace", "add")]
SHOWN.append(("append", "readout"))


def network(units=(6, 5, 4), negatives="all", n_classes=K, **params):
    params.setdefault("scaling", None)
    params.setdefault("normalization", "rms")
    est = FFClassifier(
        units, negatives=negatives, precision="float64", device="cpu", random_state=0, **params
    )
    return planned(est, np.random.default_rng(0).normal(size=(100, D)), n_classes)


def batch(rows=ROWS, n_classes=K):
    x = torch.tensor(np.random.default_rng(1).normal(size=(rows, D)))
    return x, torch.arange(rows) % n_classes, torch.full((rows,), 1 / rows, dtype=x.dtype)


def copy_of(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def moved(module, before):
    return {name: not torch.equal(p, before[name]) for name, p in module.named_parameters()}


def touched(module):
    return [p.grad is not None and bool(p.grad.any()) for p in module.parameters()]


def descend(module, rate=0.1):
    with torch.no_grad():
        for p in module.parameters():
            if p.grad is not None:
                p -= rate * p.grad
    module.zero_grad(set_to_none=True)


# Locality ---------------------------------------------------------------------------------------


@pytest.mark.fault("D4")
@pytest.mark.parametrize("k", range(3))
@pytest.mark.parametrize("overlay", ["append", "every_layer", "replace", "add"])
def test_the_loss_of_a_layer_touches_this_layer_alone(overlay, k):
    net, draws, plan = network(overlay=overlay, prediction="hybrid")
    x, y, weight = batch()
    labels = torch.cat([y[:, None], plan.negatives.draw(y, K, draws)], 1)
    for layer, _, a, h in net.activations(net.encode(x), labels, draws):
        if layer.index == k:
            known = net.known(None, labels)
            loss = weight @ layer.objective(layer.goodness(h, labels), h, known)
            (loss + layer.peers(a, h, weight)).backward()
    for module in learners(net):
        assert all(touched(module)) if module is net.layers[k] else not any(touched(module))


@pytest.mark.fault("D4")
@pytest.mark.parametrize("overlay, goodness", SHOWN)
def test_in_a_step_each_update_finds_the_gradient_of_one_module(overlay, goodness):
    net, draws, plan = network(
        overlay=overlay, goodness=goodness, prediction="hybrid", peer_normalization=0.1
    )
    order = []

    def update(module):
        order.append(module)
        for other in learners(net):
            if other is not module:
                assert not any(touched(other))
            else:
                assert any(touched(other))
        module.zero_grad(set_to_none=True)

    step(net, plan.negatives, *batch(), update, draws)
    assert [id(m) for m in order] == [id(m) for m in [net.head, *net.layers]]


@pytest.mark.fault("D4")
@pytest.mark.parametrize("negatives", ["all", "hard", "uniform"])
@pytest.mark.parametrize("overlay", ["append", "every_layer", "replace", "add"])
def test_one_step_moves_every_weight_of_every_layer_and_of_the_head(overlay, negatives):
    net, draws, plan = network(overlay=overlay, negatives=negatives, prediction="hybrid")
    before = [copy_of(module) for module in learners(net)]
    record = step(net, plan.negatives, *batch(), descend, draws)
    for module, old in zip(learners(net), before, strict=True):
        assert all(moved(module, old).values())
    assert len(record) == 3
    for loss, g in record:
        assert loss.shape == ()
        assert g.shape[0] == ROWS
        assert loss.isfinite() and g.isfinite().all()
        assert not loss.requires_grad and not g.requires_grad


@pytest.mark.fault("D4")
@pytest.mark.parametrize("prediction", ["goodness", "hybrid"])
def test_in_a_greedy_stage_only_the_learning_layer_moves(prediction):
    net, draws, plan = network(overlay="every_layer", prediction=prediction)
    for k, stage in enumerate(Greedy().stages(3, 5)):
        assert stage == Stage((k,), 5, k + 1)
        net.depth = stage.depth
        for layer in net.layers:
            layer.learning = layer.index in stage.layers
        before = [copy_of(layer) for layer in net.layers]
        assert len(step(net, plan.negatives, *batch(), descend, draws)) == 1
        for layer, old in zip(net.layers, before, strict=True):
            moves = moved(layer, old).values()
            assert all(moves) if layer.index == k else not any(moves)


@pytest.mark.fault("D4")
def test_simultaneous_is_one_stage_of_all_layers():
    assert Simultaneous().stages(3, 5) == [Stage((0, 1, 2), 5, 3)]


@pytest.mark.fault("D4")
@pytest.mark.parametrize("overlay", ["append", "every_layer"])
def test_the_graph_ends_where_the_next_layer_begins(overlay):
    net, draws, plan = network(overlay=overlay)
    inputs = []
    for layer in net.layers:
        layer.affine.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    step(net, plan.negatives, *batch(), descend, draws)
    assert len(inputs) == 2, "the first layer's product is the encoder's"
    for z in inputs:
        assert z.grad_fn is None
        assert not z.requires_grad


@pytest.mark.fault("D4")
def test_the_graph_of_a_layer_is_freed_by_its_own_step():
    losses = []

    def objective(scores):
        losses.append((scores[:, 1:] - scores[:, :1]).mean(1))
        return losses[-1]

    net, draws, plan = network(objective=objective)
    step(net, plan.negatives, *batch(), lambda module: module.zero_grad(set_to_none=True), draws)
    assert len(losses) == 3
    for loss in losses:
        with pytest.raises(RuntimeError, match="second time"):
            loss.sum().backward()


# The forward pass -------------------------------------------------------------------------------


def numpy_goodness(net, x, strength):
    """Σ of mean squares of two rms-normalised layers, for every row and label, one by one."""
    first, second = net.layers

    def weights(layer):
        return layer.affine.weight.detach().numpy(), layer.affine.bias.detach().numpy()

    (W1, b1), (W2, b2) = weights(first), weights(second)
    W1 = np.hstack([W1, first.label.weight.detach().numpy().T])
    g = np.empty((len(x), K))
    for row, c in np.ndindex(*g.shape):
        shown = np.concatenate([x[row], strength * np.eye(K)[c]])
        h1 = np.maximum(W1 @ shown + b1, 0)
        z = h1 / np.sqrt(np.mean(h1**2) + 1e-10)
        h2 = np.maximum(W2 @ z + b2, 0)
        g[row, c] = np.mean(h1**2) + np.mean(h2**2)
    return g


def trained(**params):
    """A network after some steps, so that biases and head are not zero any more."""
    net, draws, plan = network(**params)
    for _ in range(5):
        step(net, plan.negatives, *batch(), descend, draws)
    return net, draws, plan


@pytest.mark.fault("D2")
def test_label_scores_match_reference():
    net, _, plan = trained(units=(6, 5), overlay=Append(strength=1.3))
    x = batch()[0]
    scores = label_scores(net, x, "goodness", plan.counted)
    expected = numpy_goodness(net, x.numpy(), 1.3)
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-12)


def test_label_scores_sum_over_the_counted_layers():
    net, _, _ = trained()
    x = batch()[0]
    alone = [label_scores(net, x, "goodness", [k]) for k in range(3)]
    torch.testing.assert_close(label_scores(net, x, "goodness", [0, 2]), alone[0] + alone[2])
    torch.testing.assert_close(label_scores(net, x, "goodness", [0, 1, 2]), sum(alone))


def test_scores_of_a_row_do_not_depend_on_the_other_rows():
    net, _, plan = trained(prediction="hybrid")
    x = batch()[0]
    for prediction in ("goodness", "head", "hybrid"):
        whole = label_scores(net, x, prediction, plan.counted, 2)
        parts = [label_scores(net, row[None], prediction, plan.counted, 2) for row in x]
        torch.testing.assert_close(whole, torch.cat(parts), rtol=1e-12, atol=1e-12)


def test_prediction_draws_nothing_and_drops_nothing():
    net, draws, plan = network(dropout=0.5)
    state = draws.generator.get_state()
    x = batch()[0]
    first, again = (label_scores(net, x, "goodness", plan.counted) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(state, draws.generator.get_state())


def test_head_reads_the_normalised_activities_under_the_neutral_label():
    net, _, plan = trained(units=(6, 5), prediction="head", overlay=Append(strength=1.3))
    x = batch()[0]
    first, second = net.layers
    code = 1.3 * first.label.weight.mean(0)
    with torch.no_grad():
        h1 = (x @ first.affine.weight.T + code + first.affine.bias).relu()
        z1 = h1 / (h1.square().mean(1, keepdim=True) + 1e-10).sqrt()
        h2 = (z1 @ second.affine.weight.T + second.affine.bias).relu()
        z2 = h2 / (h2.square().mean(1, keepdim=True) + 1e-10).sqrt()
        expected = torch.cat([z1, z2], 1) @ net.head.weight.T + net.head.bias
    scores = label_scores(net, x, "head", plan.counted)
    torch.testing.assert_close(scores, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shortlist", [1, 2, 3])
def test_hybrid_ranks_labels_off_the_shortlist_below_it(shortlist):
    net, _, plan = trained(prediction="hybrid")
    x = batch()[0]
    logits = label_scores(net, x, "head", plan.counted)
    g = label_scores(net, x, "goodness", plan.counted)
    scores = label_scores(net, x, "hybrid", plan.counted, shortlist)
    order = logits.argsort(1, descending=True)
    on, off = order[:, :shortlist], order[:, shortlist:]
    torch.testing.assert_close(scores.gather(1, on), g.gather(1, on))
    below = scores.gather(1, off)
    assert (below < scores.gather(1, on).amin(1, keepdim=True)).all()
    assert (below[:, 1:] < below[:, :-1]).all(), "in the head's order"


def test_hybrid_breaks_ties_by_the_order_of_labels_and_keeps_the_shortlist_above():
    net, _, plan = trained(prediction="hybrid")
    with torch.no_grad():
        for p in net.head.parameters():
            p.zero_()
    x = batch()[0]
    g = label_scores(net, x, "goodness", plan.counted)
    for shortlist in (1, 2):
        scores = label_scores(net, x, "hybrid", plan.counted, shortlist)
        assert torch.equal(scores[:, :shortlist], g[:, :shortlist])
        assert (scores[:, shortlist:] < scores[:, :shortlist].amin(1, keepdim=True)).all()


def test_hybrid_with_everything_shortlisted_is_goodness():
    net, _, plan = trained(prediction="hybrid")
    x = batch()[0]
    g = label_scores(net, x, "goodness", plan.counted)
    torch.testing.assert_close(label_scores(net, x, "hybrid", plan.counted, 9), g)


def test_negative_labels_that_are_given_are_used():
    net, _, plan = network(negatives="uniform", objective=lambda g: g[:, 1] - g[:, 0])
    x, y, weight = batch()
    drawn = ((y + 2) % K)[:, None]
    g = label_scores(net, x, "goodness", [0])
    expected = (g.gather(1, drawn) - g.gather(1, y[:, None])).mean()
    record = step(net, plan.negatives, x, y, weight, lambda module: None, None, drawn)
    torch.testing.assert_close(record[0][0], expected)


def test_dropout_drops_the_same_units_for_all_candidates_of_a_row():
    net, draws, plan = network(dropout=0.5, activation=torch.nn.Softplus())
    x, y, _ = batch()
    labels = torch.cat([y[:, None], plan.negatives.draw(y, K, draws)], 1)
    for layer, _, a, h in net.activations(net.encode(x), labels, draws):
        kept = h != 0
        assert torch.equal(kept, kept[:, :1].expand_as(kept))
        assert 0 < kept.double().mean() < 1
        expected = 2 * layer.activate.function(a)[kept]
        torch.testing.assert_close(h[kept], expected)


# Other devices ----------------------------------------------------------------------------------


class MetaDraws:
    """Numbers that have a shape and a device, and no value."""

    dtype = torch.float64

    def uniform(self, *shape):
        return torch.empty(shape, dtype=self.dtype, device="meta")

    def permutation(self, n):
        return torch.empty(n, dtype=torch.int64, device="meta")


@pytest.mark.parametrize("negatives", ["uniform", "hard", "all", "permuted"])
@pytest.mark.parametrize("overlay, goodness", SHOWN)
@pytest.mark.parametrize("input_normalization", [None, "rms"])
def test_a_step_runs_on_the_meta_device(negatives, overlay, goodness, input_normalization):
    net, _, plan = network(
        overlay=overlay,
        goodness=goodness,
        negatives=negatives,
        input_normalization=input_normalization,
        prediction="hybrid",
        dropout=0.1,
        peer_normalization=0.1,
    )
    net = net.to("meta")
    x, y, weight = (tensor.to("meta") for tensor in batch())
    updated = []

    def update(module):
        assert all(p.grad.device.type == "meta" for p in module.parameters())
        updated.append(module)
        module.zero_grad(set_to_none=True)

    record = step(net, plan.negatives, x, y, weight, update, MetaDraws())
    assert len(record) == 3
    assert {part.device.type for parts in record for part in parts} == {"meta"}
    assert len(updated) == 4
    scores = label_scores(net, x, "hybrid", plan.counted, 2)
    assert scores.shape == (ROWS, K)
    assert scores.device.type == "meta"


def test_the_record_of_a_batch_takes_the_room_of_all_layers_at_once():
    record = Record(3)
    for number in range(3):
        record.add(torch.tensor(number + 0.5), torch.full((4, 2), float(number)))
    for part in (0, 1):
        assert len({entry[part].untyped_storage().data_ptr() for entry in record}) == 1
    assert [float(loss) for loss, _ in record] == [0.5, 1.5, 2.5]
    assert [g.unique().item() for _, g in record] == [0, 1, 2]


def test_a_record_holds_no_more_than_the_layers_that_have_learned():
    record = Record(3)
    for number in range(2):
        record.add(torch.tensor(number + 0.5), torch.full((4, 2), float(number)))
    losses, scores = record.stacked()
    assert losses.tolist() == [0.5, 1.5]
    assert torch.equal(scores, torch.stack([g for _, g in record]))
