"""Parts, their families and the draws."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ff.goodness import Goodness, MeanSquare, TopK, goodness
from sklearn_ff.layers import activations, normalizations
from sklearn_ff.negatives import negatives
from sklearn_ff.objectives import objectives
from sklearn_ff.overlays import overlays
from sklearn_ff.parts import Draws, Family, Part

FAMILIES = [goodness, activations, normalizations, negatives, objectives, overlays]
NAMED = [(family, name) for family in FAMILIES for name in family.names]
ids = [f"{family.parameter}-{name}" for family, name in NAMED]


@pytest.mark.parametrize("family, name", NAMED, ids=ids)
def test_every_name_gives_a_fresh_part(family, name):
    part = family.get(name)
    assert isinstance(part, family.base)
    assert isinstance(part, Part)
    assert family.get(name) is not part


@pytest.mark.parametrize("family, name", NAMED, ids=ids)
def test_every_part_is_a_clonable_description(family, name):
    part = family.get(name)
    copy = clone(part)
    assert type(copy) is type(part)
    assert set(copy.get_params()) == set(part.get_params())
    assert set(vars(part)) == set(part.get_params()), "a part keeps no state"


def test_an_object_is_itself():
    part = TopK(k=3)
    assert goodness.get(part) is part


def test_a_callable_is_wrapped():
    part = goodness.get(lambda h: h.sum(-1))
    assert isinstance(part, Goodness)
    assert part.score(torch.ones(2, 3)).tolist() == [3, 3]


def test_a_callable_is_refused_where_the_family_takes_none():
    with pytest.raises(ValueError, match="normalization"):
        normalizations.get(lambda z: z)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.parameter)
@pytest.mark.parametrize("value", ["no_such_part", None, 3, [1]])
def test_unknown_value_names_the_parameter_the_value_and_the_choices(family, value):
    with pytest.raises(ValueError) as error:
        family.get(value)
    message = str(error.value)
    assert family.parameter in message
    assert repr(value) in message
    for name in family.names:
        assert repr(name) in message
    assert family.base.__name__ in message


def test_the_refusal_tells_the_signature_of_a_callable():
    with pytest.raises(ValueError) as error:
        goodness.get("no_such_part")
    assert "(h) -> scores" in str(error.value)


def test_a_class_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"MeanSquare is a class.*goodness=MeanSquare\("):
        goodness.get(MeanSquare)
    with pytest.raises(ValueError, match=r"ReLU is a class.*activation=ReLU\("):
        activations.get(torch.nn.ReLU)


def test_a_registered_dummy_is_found():
    @goodness.register("dummy")
    class Dummy(Goodness):
        def score(self, h):
            return h[..., 0]

    try:
        assert isinstance(goodness.get("dummy"), Dummy)
        assert "dummy" in goodness.names
        with pytest.raises(ValueError, match="'dummy'"):
            goodness.get("no_such_part")
    finally:
        del goodness.registry["dummy"]
    with pytest.raises(ValueError, match="not known"):
        goodness.get("dummy")


def test_names_are_sorted_and_families_apart():
    family = Family("thing", Part)
    for name in ("b", "a"):
        family.register(name)(type(name, (Part,), {}))
    assert family.names == ["a", "b"]
    assert "a" not in goodness.registry


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_are_seeded_local_and_of_their_kind(dtype):
    state = torch.get_rng_state()
    first, second = (Draws(torch.Generator().manual_seed(5), "cpu", dtype) for _ in range(2))
    u = first.uniform(4, 1000)
    assert u.shape == (4, 1000)
    assert u.dtype == dtype
    assert 0 <= u.min() < 0.01
    assert 0.99 < u.max() < 1
    torch.testing.assert_close(u, second.uniform(4, 1000), rtol=0, atol=0)
    p = first.permutation(50)
    np.testing.assert_array_equal(np.sort(p), np.arange(50))
    assert torch.equal(p, second.permutation(50))
    assert torch.equal(state, torch.get_rng_state())
