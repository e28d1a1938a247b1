"""One choice for all layers or one per layer: parts, optimizers, metrics, and their refusals."""

import pickle

import numpy as np
import pytest
import torch
from devices import put
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import StepLR

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.goodness import MeanSquare, TopK
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.objectives import Logistic, Swish, SymBa

X, y = load_iris(return_X_y=True)


def classifier(**params):
    defaults = {"max_iter": 4, "batch_size": 64, "random_state": 0, "n_threads": 1}
    return FFClassifier((9, 6), **{**defaults, **params})


def weights(model):
    return model.net_.module_.state_dict()


def same(a, b):
    return all(torch.equal(value, weights(b)[name]) for name, value in weights(a).items())


# Parts ------------------------------------------------------------------------------------------

LISTS = {
    "goodness": ["mean_square", TopK(3)],
    "objective": [Swish(2.0), "symba"],
    "optimizer": ["adam", torch.optim.SGD],
    "optimizer_params": [None, {"amsgrad": True}],
}
TWICE = {
    "goodness": ("top_k", "top_k"),
    "objective": [SymBa(3.0), SymBa(3.0)],
    "optimizer": ["sgd", "sgd"],
    "optimizer_params": [{"amsgrad": True}] * 2,
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_equal_entries_is_that_entry_for_all(name):
    listed = classifier(**{name: TWICE[name]}).fit(X, y)
    assert same(listed, classifier(**{name: TWICE[name][0]}).fit(X, y))


@pytest.mark.parametrize("name", ["goodness", "objective"])
def test_every_layer_has_its_own_part(name):
    model = classifier(**{name: LISTS[name]}).fit(X, y)
    told = getattr(model, f"{name}_")
    assert isinstance(told, list) and len(told) == 2
    layers = model.net_.module_.layers
    if name == "objective":
        assert [repr(layer.objective.objective) for layer in layers] == [*map(repr, told)]
    else:
        h = put(torch.rand(3, 6))
        torch.testing.assert_close(layers[1].goodness(h, None), TopK(3).score(h))
        torch.testing.assert_close(layers[0].goodness(h, None), MeanSquare().score(h))


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("prediction", ["goodness", "hybrid"])
def test_lists_pickle_clone_and_go_on(name, prediction):
    model = classifier(prediction=prediction, **{name: LISTS[name]})
    assert repr(clone(model)) == repr(model)
    model.partial_fit(X, y, classes=[0, 1, 2])
    again = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    model.partial_fit(X, y)
    assert same(model, again)
    warm = classifier(warm_start=True, **{name: LISTS[name]}).fit(X, y)
    assert warm.fit(X, y).n_iter_ == 4


def test_a_warm_start_refuses_another_goodness_in_one_layer():
    model = classifier(warm_start=True, goodness=["mean_square", TopK(3)]).fit(X, y)
    with pytest.raises(ValueError, match="goodness"):
        model.set_params(goodness=["mean_square", TopK(4)]).fit(X, y)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("change", [lambda v: v[:1], lambda v: [*v, v[0]], lambda v: []])
def test_a_list_of_another_length_is_refused(name, change):
    with pytest.raises(ValueError, match=rf"{name} has \d entr(y|ies) for 2 layers; give one"):
        classifier(**{name: change(LISTS[name])}).fit(X, y)


@pytest.mark.parametrize("rates", [[0.01], np.array([0.01]), (0.01, 0.02, 0.03)])
def test_rates_of_another_length_are_refused(rates):
    with pytest.raises(ValueError, match=r"learning_rate_init has \d entr(y|ies) for 2 layers"):
        classifier(learning_rate_init=rates).fit(X, y)


def test_unknown_entries_are_refused_by_name():
    with pytest.raises(ValueError, match=r"goodness=\['no', 'top_k'\] has a wrong entry: .*'no'"):
        classifier(goodness=["no", "top_k"]).fit(X, y)
    with pytest.raises(ValueError, match=r"has a wrong entry: .*'top_k'.* is not known"):
        classifier(goodness=[["top_k"], ["top_k"]]).fit(X, y)
    with pytest.raises(ValueError, match="optimizer='no' is not an optimizer"):
        classifier(optimizer=["no", "sgd"]).fit(X, y)


@pytest.mark.parametrize(
    "params, sentence",
    [
        (["x", "y"], "holds 'x', which is no dict"),
        ({"lr": 0.1}, "sets 'lr', which learning_rate_init decides"),
        ([None, {"l2": 0.1}], "sets 'l2', which alpha decides"),
        ({"weight_decay": float("nan")}, "sets 'weight_decay' to nan; give a finite number"),
    ],
)
def test_options_of_an_optimizer_are_its_own(params, sentence):
    with pytest.raises(ValueError, match=sentence):
        classifier(optimizer_params=params).fit(X, y)


def test_kinds_of_goodness_cannot_be_mixed():
    with pytest.raises(ValueError, match=r"scores all classes in some layers .* use one kind"):
        classifier(goodness=["mean_square", "readout"]).fit(X, y)
    one_pass = classifier(goodness=["readout", "prototypes"]).fit(X, y)
    assert one_pass.negatives_.n_candidates(3) == 3
    assert np.isfinite(one_pass.decision_function(X)).all()


def test_a_transformer_has_parts_per_layer_too():
    model = FFTransformer((9, 6), objective=["logistic", Swish()], max_iter=2, random_state=0)
    assert model.fit_transform(X).shape == (150, 15)
    with pytest.raises(ValueError, match="scores classes"):
        model.set_params(goodness=["readout", "readout"]).fit(X)


# Names that reach inside a list -----------------------------------------------------------------


def test_nested_names_reach_into_lists():
    model = classifier(objective=[Swish(2.0), "symba"])
    params = model.get_params()
    assert params["objective__0__sharpness"] == 2.0 and params["objective__1"] == "symba"
    assert "objective__0" not in model.get_params(deep=False)
    given = model.objective
    model.set_params(objective__0__sharpness=5.0, objective__1=SymBa(1.0))
    assert model.objective[0].sharpness == 5.0 and model.objective[1].sharpness == 1.0
    assert given[1] == "symba", "the list that was given is left alone"
    model.set_params(objective=["swish", SymBa(4.0)], objective__1__sharpness=6.0)
    assert model.objective[1].sharpness == 6.0


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("objective__2__sharpness", "names no entry of objective"),
        ("objective__sharpness", "names no entry of objective"),
        ("objective__1__sharpness", "has no parameter 'sharpness' to set; put the part itself"),
    ],
)
def test_nested_names_that_reach_nothing_are_refused(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        classifier(objective=[Swish(), "symba"]).set_params(**{name: 1.0})


def test_a_search_reaches_into_lists():
    grid = {"objective__0__sharpness": [1.0, 10.0]}
    search = GridSearchCV(classifier(objective=[Swish(), Logistic()]), grid, cv=2).fit(X, y)
    assert search.best_params_["objective__0__sharpness"] in (1.0, 10.0)


# Optimizers -------------------------------------------------------------------------------------


def test_each_layer_steps_by_its_own_optimizer():
    mixed = classifier(optimizer=["adam", "sgd"]).fit(X, y)
    assert same_layer(mixed, classifier(optimizer="adam").fit(X, y), 0)
    kinds = [type(optimizer).__name__ for optimizer in mixed.net_.optimizer_.optimizers]
    assert kinds == ["Adam", "SGD"]


def same_layer(a, b, index):
    names = [name for name in weights(a) if name.startswith(f"layers.{index}.")]
    return all(torch.equal(weights(a)[name], weights(b)[name]) for name in names)


def test_the_head_has_the_optimizer_of_the_last_layer():
    model = classifier(optimizer=["adam", "sgd"], prediction="head").fit(X, y)
    kinds = [type(optimizer).__name__ for optimizer in model.net_.optimizer_.optimizers]
    assert kinds == ["Adam", "SGD", "SGD"]


def test_the_head_takes_the_rate_of_the_last_layer():
    params = {"learning_rate_init": [0.1, 0.02], "learning_rate": "constant", "tol": None}
    for own, rates in ((None, [0.1, 0.02, 0.02]), (0.3, [0.1, 0.02, 0.3])):
        model = classifier(head=SoftmaxHead(own), prediction="head", **params).fit(X, y)
        assert [group["lr"] for group in model.net_.optimizer_.param_groups] == rates


def test_entries_are_set_before_what_is_in_them():
    model = classifier(goodness=["mean_square", "mean_square"])
    model.set_params(**{"goodness__0__k": 5, "goodness__0": TopK(2)})
    assert model.goodness[0].k == 5


def test_schedulers_change_the_rates_of_all_optimizers():
    params = {"learning_rate": "constant", "tol": None, "optimizer": ["adam", "sgd"]}
    halved = LRScheduler(StepLR, step_size=1, gamma=0.5)
    model = classifier(callbacks=[halved], **params).fit(X, y)
    rates = [group["lr"] for group in model.net_.optimizer_.param_groups]
    np.testing.assert_allclose(rates, 5e-3 * 0.5**4)
    inner = [optimizer.param_groups[0]["lr"] for optimizer in model.net_.optimizer_.optimizers]
    assert inner == rates


def test_optimizers_of_several_kinds_save_load_and_pickle():
    net = classifier(optimizer=["adam", "sgd"], optimizer_params=[None, {"momentum": 0.9}])
    optimizer = net.fit(X, y).net_.optimizer_
    again = pickle.loads(pickle.dumps(optimizer))
    fresh = classifier(optimizer=["adam", "sgd"], max_iter=1).fit(X, y).net_.optimizer_
    fresh.load_state_dict(optimizer.state_dict())
    for other in (again, fresh):
        assert all(inner.state is other.state for inner in other.optimizers)
        before = [p.clone() for group in other.param_groups for p in group["params"]]
        for group in other.param_groups:
            group["lr"] = 0.1
            for p in group["params"]:
                p.grad = torch.ones_like(p)
        other.step()
        after = [p for group in other.param_groups for p in group["params"]]
        assert not any(map(torch.equal, before, after))
        assert len(other.state) == len(after)


@pytest.mark.parametrize("name", ["dropout", "alpha"])
@pytest.mark.parametrize(
    "value, message",
    [
        ([0.1], "has 1 entry for 2 layers"),
        ([0.1, 0.1, 0.1], "has 3 entries for 2 layers"),
        ([-0.1, 0], "must be a number from 0"),
        ([np.nan, 0], "must be a number from 0"),
        (["a", 0], "must be a number from 0"),
        ([[0.1, 0.1]], "must be a number from 0"),
        (np.array([[0.1], [0.2]]), "must be a number from 0"),
    ],
)
def test_wrong_numbers_per_layer_are_refused(name, value, message):
    with pytest.raises(ValueError, match=rf"^{name}.*{message}"):
        classifier(**{name: value}).fit(X, y)


def test_dropout_of_one_is_refused_in_a_list():
    with pytest.raises(ValueError, match="below 1, or one per layer"):
        classifier(dropout=[0.1, 1.0]).fit(X, y)


@pytest.mark.parametrize("name", ["dropout", "alpha"])
def test_numbers_per_layer_may_be_arrays_and_act_on_their_layer(name):
    value = {"dropout": 0.5, "alpha": 5.0}[name]
    base = classifier(optimizer="sgd").fit(X, y)
    only_second = classifier(optimizer="sgd", **{name: np.array([0.0, value])}).fit(X, y)
    both = classifier(optimizer="sgd", **{name: [value, value]}).fit(X, y)
    assert same(both, classifier(optimizer="sgd", **{name: value}).fit(X, y))
    first = "layers.0.affine.weight"
    if name == "alpha":  # dropout draws random numbers, which come later for others
        assert torch.equal(weights(only_second)[first], weights(base)[first])
    assert not same(only_second, base) and not same(only_second, both)
