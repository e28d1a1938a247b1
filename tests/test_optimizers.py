"""Which optimizers are taken, and the sentence that refuses the others."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff._optimizers import optimizer_class

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
