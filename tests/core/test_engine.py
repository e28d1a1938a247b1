"""The training loop: rows, batches, statistics, and a batch learned from in several parts."""

import numpy as np
import pytest
import torch
from devices import array
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier
from sklearn_ff._draws import Draws
from sklearn_ff._scaling import Scaler
from sklearn_ff.core import engine
from sklearn_ff.core.passes import LIVE_TENSORS, Sum, statistics
from sklearn_ff.core.rows import Batches, Rows, as_tensor
from sklearn_ff.core.updates import learners
from sklearn_ff.negatives import Uniform

X, y = load_iris(return_X_y=True)


# Statistics -------------------------------------------------------------------------------------


def numpy_statistics(loss, g, weight):
    layers, rows, _ = g.shape
    out = np.zeros((4, layers))
    for i in range(layers):
        out[0, i] = loss[i]
        for r in range(rows):
            positive, negative = g[i, r, 0], g[i, r, 1:]
            out[1, i] += weight[r] * positive
            out[2, i] += weight[r] * sum(negative) / len(negative)
            out[3, i] += weight[r] * all(positive > value for value in negative)
    return out


@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 17, 2), (2, 9, 5)])
def test_statistics_match_reference(shape):
    rng = np.random.default_rng(0)
    g = rng.integers(-3, 4, shape).astype(float)  # integers, so that there are ties
    loss, weight = rng.normal(size=shape[0]), rng.uniform(size=shape[1])
    found = statistics(*map(torch.tensor, (loss, g, weight)))
    assert found.shape == (4, shape[0])
    np.testing.assert_allclose(found, numpy_statistics(loss, g, weight), rtol=1e-12, atol=1e-12)


def test_statistics_count_a_tie_as_wrong():
    g = torch.tensor([[[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]])
    assert statistics(torch.zeros(1), g, torch.ones(3))[3].tolist() == [1.0]


def test_statistics_hold_no_graph():
    g = torch.rand(1, 4, 2, requires_grad=True)
    assert not statistics(g.sum()[None], g, torch.ones(4)).requires_grad


def test_statistics_of_many_batches_at_once_are_those_of_one_after_another():
    rng, totals, expected = np.random.default_rng(0), Sum(), 0.0
    for number in range(70):
        rows, n_parts = (9 if number % 30 else 4), 1 + (number == 40)
        shapes = (2,), (2, rows, 3), (rows,)
        lesson = [[torch.tensor(rng.random(shape)) for shape in shapes] for _ in range(n_parts)]
        totals.add(lesson, share=1 / (number + 1))
        expected = expected + sum(statistics(*part) for part in lesson) / (number + 1)
    np.testing.assert_allclose(totals.mean(), expected, rtol=1e-12)


# Rows -------------------------------------------------------------------------------------------


class Counted(Scaler):
    """A scaler that knows how many rows it has scaled."""

    n_rows = 0

    def scaled(self, rows):
        self.n_rows += rows.shape[0]
        return super().scaled(rows)


def table(n=23, columns=3, dtype=np.float64):
    values = np.random.default_rng(0).normal(3.0, 2.0, (n, columns)).astype(dtype)
    values[::2, 1] = 0.0
    return values


def rows_of(values, kind="numpy", dtype=torch.float64):
    double = np.float64 if dtype == torch.float64 else np.float32
    shift, divisor = np.arange(values.shape[1], dtype=float), np.full(values.shape[1], 4.0)
    scaler = Counted(shift, divisor)
    x = (csr_matrix if kind == "sparse" else np.array)(values.astype(double))
    if kind == "tensor":
        x = as_tensor(x, dtype, "cpu", scaler.scaled)
    n = len(values)
    labels, weight = torch.arange(n), torch.linspace(0.5, 1.5, n, dtype=dtype)
    return Rows(x, labels, weight, scaler, dtype)


INDICES = [slice(None), slice(4, 11), torch.tensor([5, 0, 22, 5])]


@pytest.mark.parametrize("index", INDICES, ids=["all", "slice", "tensor"])
@pytest.mark.parametrize("kind", ["tensor", "numpy", "sparse"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_scaled_however_they_are_kept(kind, index, dtype):
    values = table()
    x, labels, weight, drawn = rows_of(values, kind, dtype).batch(index)
    which = index.numpy() if isinstance(index, torch.Tensor) else index
    expected = ((values - np.arange(3)) / 4)[which]
    assert x.dtype == dtype and x.shape == expected.shape
    np.testing.assert_allclose(x, expected, rtol=1e-5 if dtype == torch.float32 else 1e-12)
    np.testing.assert_array_equal(labels, np.arange(23)[which])
    np.testing.assert_allclose(weight, np.linspace(0.5, 1.5, 23)[which], rtol=1e-6)
    assert drawn is None


def test_a_tensor_is_scaled_once_and_other_rows_when_read():
    rows = rows_of(table(), "tensor")
    first, again = rows.batch()[0].clone(), rows.batch()[0]
    assert rows.scaler.n_rows == 23
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    for kind in ("numpy", "sparse"):
        rows = rows_of(table(), kind)
        assert rows.scaler.n_rows == 0
        rows.batch(slice(0, 5))
        rows.batch(slice(0, 5))
        assert rows.scaler.n_rows == 10


@pytest.mark.parametrize("kind", ["numpy", "sparse"])
def test_reading_does_not_change_the_stored_rows(kind):
    values = table()
    rows = rows_of(values, kind)
    rows.batch()
    kept = rows.x.toarray() if kind == "sparse" else rows.x
    np.testing.assert_array_equal(kept, values)


def test_negative_labels_travel_with_their_rows():
    rows = rows_of(table())
    rows.drawn = torch.arange(23)[:, None] + 100
    _, labels, _, drawn = rows.batch(torch.tensor([7, 3]))
    assert drawn.tolist() == [[107], [103]] and labels.tolist() == [7, 3]


# Batches ----------------------------------------------------------------------------------------


def batches(n, size, shuffle=True, seed=0):
    draws = Draws(torch.Generator().manual_seed(seed), "cpu", torch.float64)
    return Batches(rows_of(table(n)), size, shuffle, draws)


def orders(iterator):
    return [part[1].tolist() for part in iterator]


SIZES = [
    (23, 5, [5, 5, 5, 5, 3]),
    (20, 5, [5, 5, 5, 5]),
    (7, 1, [1] * 7),
    (21, 5, [5, 5, 5, 6]),
    (23, 22, [23]),
    (1, 5, [1]),
]


@pytest.mark.parametrize("n, size, sizes", SIZES)
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_meets_every_row_once(n, size, sizes, shuffle):
    iterator = batches(n, size, shuffle)
    for _ in range(2):
        parts = orders(iterator)
        assert len(iterator) == len(sizes) and [len(part) for part in parts] == sizes
        assert sorted(np.concatenate(parts)) == list(range(n))


def test_a_row_keeps_its_label_and_weight_when_shuffled():
    values, iterator = (table() - np.arange(3)) / 4, batches(23, 5)
    for x, labels, weight, _ in iterator:
        np.testing.assert_allclose(x, values[labels], rtol=1e-12)
        np.testing.assert_allclose(weight, np.linspace(0.5, 1.5, 23)[labels])


def test_order():
    straight = batches(23, 5, shuffle=False)
    assert np.concatenate(orders(straight)).tolist() == list(range(23))
    iterator = batches(23, 5)
    first, second = orders(iterator), orders(iterator)
    assert first != second, "every epoch has an order of its own"
    assert first == orders(batches(23, 5)) and first != orders(batches(23, 5, seed=1))


@pytest.mark.parametrize("size", [23, 1000])
def test_a_single_batch_is_all_rows_in_order(size):
    iterator = batches(23, size)
    state = iterator.draws.generator.get_state()
    assert orders(iterator) == [list(range(23))]
    assert len(iterator) == 1
    assert torch.equal(state, iterator.draws.generator.get_state()), "nothing is drawn"


# A batch in several parts -----------------------------------------------------------------------


def fitted(**params):
    params = {"max_iter": 5, "precision": "float64", "negatives": "all", "n_threads": 1, **params}
    return FFClassifier((8, 6), random_state=0, **params).fit(X, y)


def weights(model):
    return model.net_.module_.state_dict()


KINDS = [
    {},
    {"batch_size": 64},
    {"prediction": "hybrid"},
    {"goodness": "readout", "objective": "softmax"},
    {"schedule": "greedy", "overlay": "every_layer"},
    {"input_normalization": "rms", "normalization": "layer_norm"},
    {"negatives": Uniform(n_negatives=2, redraw="epoch")},
    {"peer_normalization": 0.3},
    {"negatives": Uniform(redraw="once"), "batch_size": 64},
]


@pytest.mark.slow
@pytest.mark.parametrize("params", KINDS, ids=lambda params: "-".join(params) or "default")
@pytest.mark.parametrize("part", [1, 40, 148])
def test_learning_in_parts_equals_learning_at_once(monkeypatch, params, part):
    params = {"max_iter": 1 if part == 1 else 3, **params}
    whole, sizes = fitted(**params), []
    candidates = 1 + getattr(params.get("negatives"), "n_negatives", 2)
    candidates = 1 if "goodness" in params else candidates  # no label is shown, and once is enough
    per_row = LIVE_TENSORS * candidates * 8 * 8
    monkeypatch.setattr(engine, "CANDIDATE_BYTES", part * per_row)
    step = engine.step

    def noted(net, negatives, x, *args):
        sizes.append(len(x))
        return step(net, negatives, x, *args)

    monkeypatch.setattr(engine, "step", noted)
    parted = fitted(**params)
    assert max(sizes) == min(part, parted.batch_size_)
    assert len(sizes) >= parted.net_.n_updates_
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(parted)[name], value, rtol=1e-6, atol=1e-6, msg=name)
    for name, value in whole.history_.items():
        if name == "ranking_accuracy" and "goodness" in params:
            continue  # a readout starts with all scores tied, and these may fall to either side
        atol = 0.02 if name == "ranking_accuracy" else 1e-6
        np.testing.assert_allclose(parted.history_[name], value, rtol=1e-6, atol=atol)


def test_a_row_that_exceeds_the_limit_is_learned_from_alone(monkeypatch):
    monkeypatch.setattr(engine, "CANDIDATE_BYTES", 1)
    assert fitted(max_iter=1).n_iter_ == 1


# An epoch ---------------------------------------------------------------------------------------


class Told(Callback):
    """The calls of a user's callback, in order."""

    def on_train_begin(self, net, **kwargs):
        self.events_, self.losses_, self.updates_ = [], [], []

    def on_epoch_begin(self, net, **kwargs):
        self.events_.append("epoch")

    def on_batch_begin(self, net, batch, **kwargs):
        self.events_.append(len(batch[1]))

    def on_grad_computed(self, net, named_parameters, **kwargs):
        owner = [
            index
            for index, module in enumerate(learners(net.module_))
            if all(any(p is q for q in module.parameters()) for _, p in named_parameters)
        ]
        self.updates_ += owner

    def on_batch_end(self, net, loss, **kwargs):
        self.losses_.append(array(loss.double()))


def told(**params):
    model = fitted(callbacks=[Told()], **params)
    return model, dict(model.net_.callbacks_)["Told"]


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows():
    model, seen = told(batch_size=64, max_iter=3)
    assert seen.events_ == ["epoch", 64, 64, 22] * 3
    shares = np.array([64, 64, 22]) / 150
    expected = np.einsum("b,ebl->el", shares, np.reshape(seen.losses_, (3, 3, 2)))
    np.testing.assert_allclose(model.history_["loss"], expected, rtol=1e-12)
    np.testing.assert_allclose(model.loss_curve_, expected.mean(1), rtol=1e-12)


def test_every_module_is_updated_once_a_batch_head_first():
    _, seen = told(batch_size=64, max_iter=2, prediction="hybrid")
    assert seen.updates_ == [2, 0, 1] * 6


def test_a_greedy_fit_trains_layer_by_layer():
    model, seen = told(batch_size=64, max_iter=2, schedule="greedy")
    assert seen.updates_ == [0] * 6 + [1] * 6
    assert np.isnan(model.history_["loss"]).tolist() == [[False, True]] * 2 + [[True, False]] * 2


def test_updates_are_counted_per_batch():
    assert told(batch_size=64, max_iter=4)[0].net_.n_updates_ == 12


@pytest.mark.parametrize("redraw, n_drawn", [("batch", 12), ("epoch", 4), ("once", 1)])
def test_negative_labels_are_drawn_as_often_as_declared(redraw, n_drawn):
    class Counting(Uniform):
        sizes = []

        def draw(self, y, *args):
            self.sizes.append(len(y))
            return super().draw(y, *args)

    fitted(negatives=Counting(redraw=redraw), batch_size=64, max_iter=4)
    expected = [64, 64, 22] * 4 if redraw == "batch" else [150] * n_drawn
    assert Counting.sizes == expected and len(expected) == n_drawn


def test_each_layer_steps_at_its_own_rate():
    still = fitted(learning_rate_init=[1e-2, 1e-30], optimizer="sgd", max_iter=3)
    start = fitted(learning_rate_init=[1e-30, 1e-30], optimizer="sgd", max_iter=1)
    for name, value in weights(still).items():
        moved = not torch.allclose(value, weights(start)[name], rtol=0, atol=1e-15)
        assert moved == (name.startswith("layers.0") and "peers" not in name), name


def test_no_gradient_is_left_behind():
    model = fitted(prediction="hybrid")
    assert all(p.grad is None for p in model.net_.module_.parameters())
