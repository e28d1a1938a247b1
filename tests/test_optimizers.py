"""Which optimizers are taken, and the sentence that refuses the others."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier
from sklearn_ff._optimizers import allocate_state, optimizer_class

REFUSED = [name for name in ("LBFGS", "SparseAdam", "Muon") if hasattr(torch.optim, name)]
TAKEN = sorted(
    name
    for name, value in vars(torch.optim).items()
    if isinstance(value, type)
    and issubclass(value, torch.optim.Optimizer)
    and name not in ("Optimizer", "LBFGS", "SparseAdam", "Muon")
)


@pytest.mark.parametrize(
    "given, cls",
    [
        ("adam", torch.optim.Adam),
        ("sgd", torch.optim.SGD),
        ("AdamW", torch.optim.AdamW),
        (torch.optim.RMSprop, torch.optim.RMSprop),
    ],
)
def test_name_in_any_case_or_class(given, cls):
    assert optimizer_class(given)[0] is cls


@pytest.mark.parametrize("name", TAKEN)
def test_every_dense_optimizer_of_torch_is_taken_and_steps(name):
    cls, options = optimizer_class(name.lower())
    assert cls is getattr(torch.optim, name)
    weight = torch.nn.Parameter(torch.ones(3, 2))
    weight.grad = torch.ones(3, 2)
    cls([{"params": [weight], "lr": 0.1, "weight_decay": 0.0}], **options).step()
    assert (weight < 1).all()


def test_options_are_passed_and_the_dict_is_not_changed():
    params = {"momentum": 0.9}
    cls, options = optimizer_class("sgd", params)
    assert cls is torch.optim.SGD
    assert options["momentum"] == 0.9
    assert params == {"momentum": 0.9}
    assert optimizer_class("adam", {"fused": False})[1]["fused"] is False
    assert "fused" not in optimizer_class("adam", {"foreach": True})[1]


def test_an_own_class_is_accepted():
    class Sign(torch.optim.Optimizer):
        def __init__(self, params, lr=0.1, weight_decay=0.0):
            super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for weight in group["params"]:
                    weight -= group["lr"] * weight.grad.sign()

    assert optimizer_class(Sign) == (Sign, {})


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("by_class", [False, True])
def test_unfit_optimizers_are_refused_with_a_sentence(name, by_class):
    given = getattr(torch.optim, name) if by_class else name
    with pytest.raises(ValueError, match=rf"optimizer={name} .*cannot train the layers.*'adam'"):
        optimizer_class(given)


def test_an_option_that_does_not_exist_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match=r"SGD.*cannot train the layers.*no_such_option"):
        optimizer_class("sgd", {"no_such_option": 1})
    with pytest.raises(ValueError, match=r"Adam with optimizer_params=\{'momentum': 0\.9\} "):
        optimizer_class("adam", {"momentum": 0.9})


@pytest.mark.parametrize("given", ["no_such", "lr_scheduler", None, 3, torch.nn.Linear])
def test_what_is_no_optimizer_is_refused_with_a_sentence(given):
    with pytest.raises(ValueError, match=r"is not an optimizer.*torch\.optim"):
        optimizer_class(given)


def test_an_instance_is_refused():
    instance = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match="is not an optimizer"):
        optimizer_class(instance)


X, y = load_iris(return_X_y=True)
BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}


@pytest.mark.parametrize("options", [{"eps": 0.0}, {"eps": np.nan}, {"betas": (2.0, 0.9)}])
def test_options_that_break_an_optimizer_are_refused(options):
    with pytest.raises(ValueError, match="optimizer_params"):
        FFClassifier(optimizer_params=options, **BRIEF).fit(X, y)


def test_a_default_of_half_precision_refuses_no_optimizer():
    torch.set_default_dtype(torch.float16)
    try:
        assert optimizer_class("rmsprop")[0] is torch.optim.RMSprop
    finally:
        torch.set_default_dtype(torch.float32)


KNOWN = {  # whose state is zeros before the first step
    "adam": {},
    "adamw": {"amsgrad": True},
    "sgd": {"momentum": 0.9, "nesterov": True},
    "rmsprop": {"momentum": 0.9, "centered": True},
    "adamax": {},
}


def stepped(name, params, prepare):
    """Weights after four steps, the optimizer, and the state of a weight before them."""
    cls, options = optimizer_class(name, params)
    rng = torch.Generator().manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(5, 3, generator=rng)) for _ in range(2)]
    groups = [{"params": [weight], "lr": 0.01, "weight_decay": 0.1} for weight in weights]
    optimizer = cls(groups, **options)
    if prepare:
        allocate_state(optimizer)
    before = dict(optimizer.state.get(weights[0], {}))
    for number in range(4):
        for weight in weights[: number + 1]:
            weight.grad = torch.randn(5, 3, generator=rng)
        optimizer.step()
    return weights, optimizer, before


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("params", [{}, {"momentum": 0.9, "dampening": 0.5}])
def test_state_that_is_made_before_the_first_step_changes_nothing(name, params):
    params = params if name == "SGD" else KNOWN.get(name.lower(), {})
    weights, optimizer, _ = stepped(name.lower(), params, prepare=False)
    others, prepared, _ = stepped(name.lower(), params, prepare=True)
    for weight, other in zip(weights, others, strict=True):
        assert torch.equal(weight, other)
        assert str(optimizer.state[weight]) == str(prepared.state[other])


@pytest.mark.parametrize("name", KNOWN)
def test_known_state_lies_where_it_stays(name):
    weights, optimizer, before = stepped(name, KNOWN[name], prepare=True)
    assert before
    for key, value in before.items():
        assert value.data_ptr() == optimizer.state[weights[0]][key].data_ptr()


def test_the_state_of_an_own_optimizer_is_left_to_its_steps():
    class Own(torch.optim.Adam):
        pass

    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = Own([weight])
    allocate_state(optimizer)
    assert not optimizer.state


@pytest.mark.parametrize("optimizer", ["adam", ["adam", "rmsprop"]])
def test_a_fit_takes_the_room_of_the_state_before_its_first_batch(optimizer):
    class Look(Callback):
        found = []  # of the class: the estimator trains with a copy of this callback

        def on_train_begin(self, net, **kwargs):
            state = net.optimizer_.state
            self.found.extend(len(state.get(p, ())) for p in net.module_.parameters())

    FFClassifier((4, 3), optimizer=optimizer, max_iter=1, callbacks=[Look()]).fit(
        *load_iris(return_X_y=True)
    )
    assert len(Look.found) == 5
    assert min(Look.found) >= 2
