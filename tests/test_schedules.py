"""Schedules: what a list means, what is refused, and that the others learn."""

import numpy as np
import pytest
import torch
from devices import put
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, load, save
from sklearn_ff.core.passes import one_sided
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.layers import Dense
from sklearn_ff.objectives import objectives
from sklearn_ff.overlays import Append
from sklearn_ff.schedules import (
    Cooldown,
    Cosine,
    Drops,
    InTurn,
    Rate,
    Simultaneous,
    Stage,
    Stages,
    rates,
)

X, y = load_iris(return_X_y=True)


def classifier(**params):
    defaults = {"batch_size": 64, "random_state": 0, "n_threads": 1, "prediction": "head"}
    return FFClassifier((9, 8, 6), **{**defaults, **params})


def stages_of(pairs, n_layers, depth=0):
    schedule = Stages(pairs)
    schedule.check()
    return schedule.stages(n_layers, None, depth)


def test_a_list_becomes_stages():
    stages = stages_of([(0, 2), ([0, -1], 3), ["all", np.int64(1)], ("head", 5)], 3)
    assert stages == [
        Stage((0,), 2, 1),
        Stage((0, 2), 3, 3),
        Stage((0, 1, 2), 1, 3),
        Stage((), 5, 3),
    ]


def test_trained_layers_stay():
    assert stages_of([(1, 2), (0, 3)], 3) == [Stage((1,), 2, 2), Stage((0,), 3, 2)]
    assert stages_of([("head", 2)], 3, depth=2) == [Stage((), 2, 2)]
    assert stages_of([("head", 2)], 3) == [Stage((), 2, 3)]


BAD = {
    "pairs (layers, epochs)": [[], ["all"], [("all", 1, 2)], ["a"], [3], [("all", 2), 3]],
    "positive whole number": [[("all", 0)], [(0, -1)], [(0, 1.5)], [(0, True)], [(0, "1")]],
    "which is no layer": [[(3, 1)], [(-4, 1)], [("top", 1)], [([], 1)], [([0, 5], 1)], [(None, 1)]],
}


@pytest.mark.parametrize(
    "sentence, schedule", [(words, given) for words, cases in BAD.items() for given in cases]
)
def test_malformed_lists_are_refused(sentence, schedule):
    with pytest.raises(ValueError) as error:
        stages_of(schedule, 3)
    assert sentence in str(error.value) and f"schedule={schedule!r}" in str(error.value)


def test_a_head_that_does_not_exist_is_not_trained():
    model = classifier(schedule=[("all", 1), ("head", 1)], prediction="goodness")
    with pytest.raises(ValueError, match="trains the head, but neither prediction nor negatives"):
        model.set_params(negatives="uniform").fit(X, y)


def test_a_layer_that_counts_must_be_trained():
    pairs = [(0, 2), (2, 1)]
    classifier(schedule=pairs, prediction_layers=[0, 2]).fit(X, y)
    with pytest.raises(ValueError, match=r"never teaches layers \[1\], which count"):
        classifier(schedule=pairs, prediction_layers=[0, 1]).fit(X, y)
    with pytest.raises(ValueError, match="never teaches"):
        classifier(schedule=[("head", 3)]).fit(X, y)


@pytest.mark.parametrize("prediction", ["head", "goodness"])
def test_lists_mean_what_the_names_mean(prediction):
    for name, listed in {
        "simultaneous": [("all", 3)],
        "greedy": [(0, 3), (1, 3), ([2], 3)],
    }.items():
        named = classifier(schedule=name, max_iter=3, prediction=prediction).fit(X, y)
        model = classifier(schedule=listed, max_iter="auto", prediction=prediction).fit(X, y)
        assert model.n_iter_ == named.n_iter_ == model.max_iter_
        np.testing.assert_array_equal(model.decision_function(X), named.decision_function(X))


class Weights(Callback):
    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def on_stage_end(self, net, rows):
        state = net.module_.state_dict().items()
        self.seen_.append({name: value.clone() for name, value in state})


def moved(before, after):
    names = {name.split(".")[0] + name.split(".")[1][:1] for name in before}
    changed = {n for n in before if not torch.equal(before[n], after[n]) and "peers" not in n}
    return {n for n in names if any(c.replace(".", "", 1).startswith(n) for c in changed)}


def test_each_stage_moves_its_own():
    schedule = [("all", 2), (1, 2), ("head", 3), ([0, 2], 1)]
    model = classifier(schedule=schedule, callbacks=[Weights()]).fit(X, y)
    first, second, third, last = dict(model.net_.callbacks_)["Weights"].seen_
    assert moved(first, second) == {"layers1", "headw", "headb"}
    assert moved(second, third) == {"headw", "headb"}
    assert moved(third, last) == {"layers0", "layers2", "headw", "headb"}
    assert model.n_iter_ == len(model.loss_curve_) == 8
    learned = ~np.isnan(model.history_["loss"])
    assert learned.tolist() == (
        [[True] * 3] * 2 + [[False, True, False]] * 2 + [[False] * 3] * 3 + [[True, False, True]]
    )
    assert model.net_.module_.depth == 3


def test_the_loss_of_a_stage_of_the_head_is_its_own():
    model = classifier(schedule=[("all", 5), ("head", 40)], learning_rate_init=0.01).fit(X, y)
    curve = model.loss_curve_[5:]
    assert curve[-1] < curve[0] and np.isfinite(curve).all() and model.loss_ == curve[-1]
    assert model.net_.history[-1, "layers"] == [] and model.net_.history[-1, "stage"] == 1


def test_more_epochs_of_the_head_alone_by_a_warm_start():
    model = classifier(schedule="simultaneous", max_iter=4, warm_start=True).fit(X, y)
    before = {name: value.clone() for name, value in model.net_.module_.state_dict().items()}
    model.set_params(schedule=[("head", 5)], max_iter="auto").fit(X, y)
    assert moved(before, model.net_.module_.state_dict()) == {"headw", "headb"}
    assert model.n_iter_ == 5


def test_layers_above_trained_ones_do_not_exist():
    model = classifier(schedule=[(0, 2)], prediction_layers=[0]).fit(X, y)
    assert model.net_.module_.depth == 1
    assert np.isfinite(model.decision_function(X)).all()


@pytest.mark.filterwarnings("ignore:(tol|n_iter_no_change)=.* has no effect")
def test_a_constant_rate_spends_the_epochs_of_a_list_and_those_of_no_tolerance():
    flat = {"learning_rate": "constant", "tol": 1e9, "n_iter_no_change": 2}
    assert classifier(schedule=[("all", 9)], **flat).fit(X, y).n_iter_ == 9
    assert classifier(max_iter=9, **{**flat, "tol": None}).fit(X, y).n_iter_ == 9
    assert classifier(max_iter=9, **flat).fit(X, y).n_iter_ == 3


def test_early_stopping_ends_a_stage_of_a_list():
    model = classifier(
        schedule=[("all", 9), ("head", 9)], early_stopping=True, tol=1e9, n_iter_no_change=2
    ).fit(X, y)
    assert model.n_iter_ == 6 and model.net_.history[:, "stage"] == [0, 0, 0, 1, 1, 1]


def test_partial_fit_refuses_a_list():
    with pytest.raises(ValueError, match="partial_fit does not support schedule="):
        classifier(schedule=[("all", 9)]).partial_fit(X, y, classes=[0, 1, 2])


def test_a_rate_that_cools_down_does_so_in_every_stage():
    class Rates(Callback):
        def on_train_begin(self, net, **kwargs):
            self.seen_ = []

        def on_batch_begin(self, net, **kwargs):
            self.seen_.append(net.optimizer_.param_groups[0]["lr"])

    model = classifier(
        schedule=[("all", 4), ("head", 2)],
        batch_size="all",
        learning_rate="cooldown",
        learning_rate_init=0.1,
        callbacks=[Rates()],
    ).fit(X, y)
    seen = dict(model.net_.callbacks_)["Rates"].seen_
    np.testing.assert_allclose(seen, [0.1, 0.1, 0.1, 0.05, 0.1, 0.1])
    assert model.batch_size_ == 150


# Rates ------------------------------------------------------------------------------------------


def test_rates_fall_as_they_say():
    at = [0, 0.25, 0.5, 0.75, 0.9, 1]
    some = Cosine(end=0.1), Drops(), Drops([0.9], share=0.5), Cooldown()
    found = [[rate.factor(progress) for progress in at] for rate in some]
    half = (1 + np.cos(np.pi * np.array(at))) / 2
    np.testing.assert_allclose(found[0], 0.1 + 0.9 * half)
    assert found[1] == [1, 1, 0.25, 0.25**2, 0.25**3, 0.25**4]
    assert found[2] == [1, 1, 1, 1, 0.5, 0.5]
    assert found[3] == pytest.approx([1, 1, 1, 0.5, 0.2, 0])


@pytest.mark.parametrize(
    "rate, words",
    [
        ("steps", r"learning_rate='steps' is not known; .* one of \['constant', .*'drops'"),
        (Cosine(end=2), "end must be a finite number of at least 0 and at most 1"),
        (Drops(at=[]), "names no shares of a training"),
        (Drops(at=[0.5, 50]), "names no shares of a training"),
        (Drops(share=2), "share must be"),
        (Rate(), "is the base class"),
        (Drops, "must be an instance of .*Rate"),
    ],
    ids=str,
)
def test_rates_that_mean_nothing_are_refused(rate, words):
    with pytest.raises(ValueError, match=words):
        classifier(learning_rate=rate).fit(X, y)


class Root(Rate):
    def factor(self, progress):
        return (1 - progress) ** 0.5


def test_a_rate_of_your_own_has_a_name_in_files(monkeypatch, tmp_path):
    monkeypatch.setitem(rates.registry, "root", Root)
    given = {"batch_size": "all", "max_iter": 4, "tol": None}
    named, one = (classifier(learning_rate=rate, **given).fit(X, y) for rate in ("root", Root()))
    constant = classifier(learning_rate="constant", **given).fit(X, y)
    assert named.loss_curve_ == one.loss_curve_ != constant.loss_curve_
    save(one, tmp_path / "model")
    assert type(load(tmp_path / "model").learning_rate) is Root


def test_the_parameters_of_a_rate_have_names():
    model = classifier(learning_rate=Drops(), max_iter=2).set_params(learning_rate__share=0.5)
    assert model.fit(X, y).get_params()["learning_rate__share"] == 0.5
    with pytest.raises(ValueError, match=r"learning_rate='cosine' has no parameter 'end'.*Cosine"):
        classifier(learning_rate="cosine").set_params(learning_rate__end=0.5)


# Phases -----------------------------------------------------------------------------------------


def phased(phases="by_epoch", pairs=None, **params):
    schedule = Simultaneous(phases) if pairs is None else Stages(pairs, phases)
    given = {"objective": "logistic", "max_iter": 3, "prediction": "goodness"}
    return classifier(**{**given, "schedule": schedule, **params})


class Passes(Callback):
    """Which side every update is of, and of which layer or head."""

    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        owner = [
            i for i, layer in enumerate(net.module_.layers) if layer.affine.bias.grad is not None
        ]
        self.seen_.append((net.side_, owner[0] if owner else "head"))


def test_an_epoch_of_positive_candidates_comes_before_one_of_negative_ones():
    model = phased(callbacks=[Passes()], prediction="head").fit(X, y)
    seen = dict(model.net_.callbacks_)["Passes"].seen_
    positive = [("positive", who) for who in ("head", 0, 1, 2)] * 3
    assert seen == (positive + [("negative", who) for who in (0, 1, 2)] * 3) * 3
    assert model.n_iter_ == 3 and model.net_.n_updates_ == 18


def test_the_phases_by_hand():
    """One batch, plain gradient descent: a step on the positive term, then one on the negative."""
    params = {"optimizer": "sgd", "learning_rate": "constant", "tol": None, "batch_size": "all"}
    params |= {"negatives": "all", "learning_rate_init": 0.1, "max_iter": 1}
    model = phased(**params).fit(X, y)
    params |= {"learning_rate_init": 1e-30, "prediction": "goodness", "objective": "logistic"}
    start = classifier(**params).fit(X, y)
    net, plan = start.net_.module_, start._fitted.plan
    rows = net.scaler(put(X))
    labels = put((y[:, None] + np.arange(3)) % 3)
    with torch.enable_grad():
        for side in ("positive", "negative"):
            for layer, _, _, h in net.activations(net.encode(rows), labels):
                layer.objective.side = side
                layer.objective(
                    layer.goodness(h, labels), h, net.known(None, labels)
                ).mean().backward()
                for p in layer.parameters():
                    p.data -= 0.1 * p.grad
                    p.grad = None
    assert plan.dtype == "float64"
    for name, value in net.state_dict().items():
        torch.testing.assert_close(model.net_.module_.state_dict()[name], value)


def test_phases_keep_the_meaning_of_the_history():
    """With rates of nothing, both orders measure the same."""
    params = {"learning_rate_init": 1e-30, "negatives": "all", "max_iter": 2}
    apart, both = phased(**params).fit(X, y), phased(phases="together", **params).fit(X, y)
    for name, value in both.history_.items():
        np.testing.assert_allclose(apart.history_[name], value)


def test_a_stage_of_the_head_alone_has_no_phases():
    params = {"prediction": "head", "pairs": [("all", 1), ("head", 2)], "negatives": "all"}
    params |= {"learning_rate_init": 1e-30, "head": SoftmaxHead(0.1), "max_iter": "auto"}
    whole = params | {"batch_size": "all", "learning_rate": "constant"}
    apart, both = phased(**whole).fit(X, y), phased(phases="together", **whole).fit(X, y)
    np.testing.assert_allclose(apart.loss_curve_[1:], both.loss_curve_[1:], rtol=1e-6)
    falling = phased(learning_rate="linear", **params).fit(X, y)
    assert [group["lr"] for group in falling.net_.optimizer_.param_groups] == [0, 0, 0, 0]


def test_peer_normalisation_is_off_in_the_pass_of_negatives():
    layers = phased(peer_normalization=0.1).fit(X, y).net_.module_.layers
    for side, rate in [("positive", 0.1), ("negative", 0.0), (None, 0.1)]:
        with one_sided(layers, side):
            assert [layer.peers.rate for layer in layers] == [rate] * len(layers)


def test_phases_do_not_change_the_objectives():
    model = phased(peer_normalization=0.1).fit(X, y)
    assert all(layer.objective.side is None for layer in model.net_.module_.layers)
    assert all(layer.peers.rate == 0.1 for layer in model.net_.module_.layers)


def test_the_rate_falls_over_both_passes():
    assert phased(learning_rate="linear").fit(X, y).net_.optimizer_.param_groups[0]["lr"] == 0


@pytest.mark.parametrize("name", objectives.names)
def test_objectives_that_compare_candidates_have_no_phases(name):
    kind = {"goodness": "readout"} if objectives.get(name).matches_labels else {}
    if objectives.get(name).splits:
        assert phased(objective=name).fit(X, y).score(X, y) > 0.3
        return
    for objective in (name, ["logistic", name, "logistic"]):
        with pytest.raises(ValueError, match=r"objective=.* cannot, since it compares them; use"):
            phased(objective=objective, **kind).fit(X, y)


# Layers in turn ---------------------------------------------------------------------------------


class Moved(Callback):
    """The layers whose weights a batch has changed, batch by batch."""

    def on_train_begin(self, net, **kwargs):
        self.moved_, self.before_ = [], self.weights(net)

    def on_batch_end(self, net, **kwargs):
        after = self.weights(net)
        moved = [i for i, w in enumerate(after) if not torch.equal(w, self.before_[i])]
        self.moved_.append(moved)
        self.before_ = after

    def weights(self, net):
        return [layer.affine.weight.detach().clone() for layer in net.module_.layers]


@pytest.mark.parametrize("params", [{}, {"objective": "logistic", "schedule": InTurn("by_epoch")}])
def test_layers_take_turns(params):
    seen = Moved()
    given = {"schedule": "in_turn", "prediction": "goodness", "max_iter": 2, "batch_size": 40}
    model = classifier(**given | params, callbacks=[seen]).fit(X, y)
    n_batches = len(seen.moved_)
    assert seen.moved_ == [[i % 3] for i in range(n_batches)] and n_batches >= 8
    assert np.isfinite(model.history_["loss"]).all()


def test_a_layer_in_turn_is_told_of_its_own_batches():
    """At a rate of zero, the loss of layer i is that of batch i in a fit of all layers."""
    still = {"learning_rate_init": 1e-30, "negatives": "all", "overlay": Append(1.0)}
    still |= {"scaling": None, "shuffle": False, "max_iter": 1, "prediction": "goodness"}
    turns = classifier(**still, schedule="in_turn", batch_size=50).fit(X, y).history_
    for i in range(3):
        rows = slice(50 * i, 50 * i + 50)
        known = np.r_[rows, 0, 50, 100]  # every class occurs, so that labels have the same codes
        weight = np.where(np.arange(len(known)) < 50, 1.0, 1e-9)
        alone = classifier(**still, batch_size="all").fit(X[known], y[known], weight).history_
        for name in turns:
            np.testing.assert_allclose(turns[name][0, i], alone[name][0, i], rtol=1e-4)


def test_layers_whose_turn_does_not_come_have_no_statistics():
    one = {"schedule": "in_turn", "batch_size": "all", "max_iter": 4, "prediction": "goodness"}
    model = classifier(**one).fit(X, y)
    known = np.isfinite(model.history_["loss"])
    np.testing.assert_array_equal(known, np.eye(3, dtype=bool)[[0, 1, 2, 0]])
    assert np.isfinite(model.loss_curve_).all()


def test_random_layers_have_no_turn():
    layers = [Dense(9, learned=False), 8, 6]
    params = {"layers": layers, "schedule": "in_turn", "batch_size": 50, "max_iter": 1}
    seen = Moved()
    FFClassifier(**params, callbacks=[seen], prediction_layers=[1, 2], random_state=0).fit(X, y)
    assert seen.moved_ == [[1], [2], [1]]


def test_turns_are_not_those_of_partial_fit():
    with pytest.raises(ValueError, match="partial_fit does not support schedule='in_turn'"):
        classifier(schedule="in_turn").partial_fit(X, y, classes=[0, 1, 2])
