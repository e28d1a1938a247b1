"""Parts, their families and the draws."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff._draws import Draws
from sklearn_ff._parts import Family, Part
from sklearn_ff.activations import activations
from sklearn_ff.goodness import Goodness, MeanSquare, TopK, goodness
from sklearn_ff.layers import Conv2d
from sklearn_ff.negatives import Hard, HybridMask, Noise, Permuted, Shuffle, Uniform, negatives
from sklearn_ff.normalizations import NoNorm, normalizations
from sklearn_ff.objectives import Logistic, Margin, Objective, Softmax, Swish, SymBa, objectives
from sklearn_ff.overlays import Add, Append, EveryLayer, Replace, overlays

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


def test_an_object_is_copied():
    part = TopK(k=3)
    found = goodness.get(part)
    part.set_params(k=1)
    assert type(found) is TopK and found.k == 3


class Around(Goodness):
    """A part in a part."""

    def __init__(self, inner):
        self.inner = inner


class Slotted(TopK):
    __slots__ = ("cache",)


def test_parts_in_parts_are_copied_too():
    part = Around(Around(TopK(k=3)))
    found = goodness.get(part)
    part.set_params(inner__inner__k=1)
    assert found.inner.inner.k == 3


def test_a_part_with_slots_may_be_fitted():
    assert goodness.get(Slotted(k=3)).k == 3


def test_a_callable_is_wrapped():
    part = goodness.get(lambda h: h.sum(-1))
    assert isinstance(part, Goodness)
    assert part.score(torch.ones(2, 3)).tolist() == [3, 3]


def test_a_callable_is_refused_where_the_family_takes_none():
    with pytest.raises(ValueError, match="normalization"):
        normalizations.get(lambda z: z)


VALUES = ["no_such_part", "none", None, 3, [1]]
UNKNOWN = [(f, v) for f in FAMILIES for v in VALUES if v is not None or None not in f.names]


@pytest.mark.fault("A4")
@pytest.mark.parametrize(
    "family, value", UNKNOWN, ids=[f"{f.parameter}-{value}" for f, value in UNKNOWN]
)
def test_unknown_value_names_the_parameter_the_value_and_the_choices(family, value):
    with pytest.raises(ValueError) as error:
        family.get(value)
    message = str(error.value)
    assert family.parameter in message
    assert repr(value) in message
    for name in family.names:
        assert repr(name) in message
    assert family.base.__name__ in message


def test_the_refusal_states_the_signature_of_a_callable():
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
    for name in ("b", None, "a"):
        family.register(name)(type(str(name), (Part,), {}))
    assert family.names == ["a", "b", None]
    assert type(family.get(None)).__name__ == "None"
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


@pytest.mark.parametrize("family, name", NAMED, ids=ids)
def test_every_part_passes_its_check_with_defaults(family, name):
    family.get(name).check()


NO_NUMBER = [np.nan, np.inf, "foo", None, True]
BAD = [
    *[(Hard, "temperature", value) for value in [0, -1.0, *NO_NUMBER]],
    *[(cls, "n_negatives", v) for cls in (Uniform, Hard) for v in [0, -1, 1.5, "a", None, True]],
    *[(cls, "redraw", value) for cls in (Uniform, Permuted) for value in ["foo", None, 1]],
    *[
        (cls, "strength", value)
        for cls in (Append, EveryLayer, Replace, Add)
        for value in [0, -1, *NO_NUMBER]
    ],
    *[(TopK, "k", value) for value in [0, -3, 2.0, "a", None]],
    *[
        (cls, "sharpness", value)
        for cls in (Logistic, SymBa, Swish, Softmax)
        for value in [0, -2.0, *NO_NUMBER]
    ],
    *[(Logistic, "threshold", value) for value in [*NO_NUMBER, [1.0, "foo"], [np.nan]]],
    *[(Logistic, "threshold_negative", value) for value in [np.nan, "foo", (None,)]],
    *[(Margin, "margin", value) for value in [-0.5, *NO_NUMBER]],
    *[(Margin, "penalty", value) for value in [-0.5, *NO_NUMBER]],
]


@pytest.mark.parametrize("cls, name, value", BAD)
def test_a_parameter_without_meaning_names_part_value_and_remedy(cls, name, value):
    with pytest.raises(ValueError) as error:
        cls(**{name: value}).check()
    message = str(error.value)
    assert f"{cls.__name__}({name}={value!r})" in message
    assert f"{name} must be" in message


def test_parameters_of_all_numeric_kinds_pass():
    for part in (
        Hard(n_negatives=np.int64(2), temperature=np.float32(0.5)),
        Logistic(threshold=["width", 2, np.float64(1.5)], threshold_negative=0),
        Append(strength=3),
        Margin(margin=0, penalty=0),
        Uniform(redraw="once"),
    ):
        part.check()


PARTS = {
    "negatives": Hard(temperature=0),
    "overlay": Append(strength=-1),
    "goodness": TopK(k=0),
    "objective": Swish(sharpness=0),
}


@pytest.mark.parametrize("parameter", PARTS)
def test_a_fit_checks_every_part(parameter):
    rows, labels = np.eye(6), [0, 1, 2, 0, 1, 2]
    part = PARTS[parameter]
    with pytest.raises(ValueError, match=type(part).__name__):
        FFClassifier(**{parameter: part}).fit(rows, labels)


@pytest.mark.parametrize("layers", [[0.5], ["a"], [True], [], [[0]], [2], [-3]])
def test_prediction_layers_must_be_indices_of_layers(layers):
    with pytest.raises(ValueError, match="prediction_layers"):
        FFClassifier((3, 3), prediction_layers=layers).fit(np.eye(6), [0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    "parameter, function",
    [
        ("goodness", lambda h: h.square_().mean(-1)),
        ("objective", lambda g: g.neg_()[:, 0]),
        ("activation", torch.nn.ReLU(inplace=True)),
    ],
)
def test_a_callable_that_overwrites_its_argument_is_refused(parameter, function):
    with pytest.raises(
        ValueError, match=rf"{parameter} overwrites its argument.*without .* in place"
    ):
        FFClassifier(8, max_iter=1, **{parameter: function}).fit(np.eye(4), [0, 1, 0, 1])


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda a: a[..., :1], r"one activation per unit: shape .* was expected"),
        (lambda a: a.bfloat16(), "returned torch.bfloat16"),
        (lambda a: (a > 0).to(a.dtype), "without a gradient"),
    ],
)
def test_an_activation_that_is_none_is_refused(function, message):
    with pytest.raises(ValueError, match=f"given as activation .*{message}"):
        FFClassifier(8, max_iter=1, activation=function).fit(np.eye(4), [0, 1, 0, 1])


class Mine(Objective):
    abstract = False

    def __init__(self, thresholds=(0.5,)):
        self.thresholds = thresholds

    def loss(self, scores, layer):
        return (scores[:, 1:] - scores[:, :1]).mean(1).exp()


def test_an_own_objective_can_have_any_parameter_names():
    FFClassifier(8, max_iter=1, objective=Mine()).fit(np.eye(4), [0, 1, 0, 1])


def test_an_activation_may_be_a_module_that_learns():
    clf = FFClassifier(8, max_iter=3, random_state=0, activation=torch.nn.PReLU()).fit(
        np.eye(4), [0, 1, 0, 1]
    )
    network = clf.net_.module_
    (slope,) = (m.weight for m in network.modules() if isinstance(m, torch.nn.PReLU))
    assert slope.item() != 0.25


@pytest.mark.parametrize("part", [Noise(1e200), Shuffle(1.5)])
def test_a_number_beyond_its_bound_is_refused(part):
    with pytest.raises(ValueError, match="a finite number above 0 and at most 1"):
        part.check()


def test_a_refusal_names_the_parameter_that_was_given_and_its_default():
    with pytest.raises(ValueError, match="input_normalization='l2' is not known; input_norm"):
        FFClassifier(input_normalization="l2").fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"negatives must be one of \['auto', 'all'"):
        FFClassifier(negatives="soft").fit(np.eye(4), [0, 1, 0, 1])


@pytest.mark.parametrize(
    "params, known",
    [
        (
            {"normalization": "none"},
            r"one of \['channel_norm', 'layer_norm', 'rms', 'unit', None\]",
        ),
        (
            {"input_normalization": "none"},
            r"one of \['auto', 'channel_norm', 'layer_norm', 'rms', 'unit', None\]",
        ),
        ({"scaling": "none"}, "or None. Got 'none'"),
        ({"layers": [Conv2d(norm="none")]}, r"one of \[None, 'batch', 'group'\]"),
        ({"layers": [Conv2d(pool="none")]}, r"one of \[None, 'max', 'mean', 'rms'\]"),
    ],
)
def test_the_word_none_is_refused(params, known):
    with pytest.raises(ValueError, match=known):
        FFClassifier(image_shape=(1, 2, 2), **params).fit(np.eye(4), [0, 1, 0, 1])


def test_none_does_not_change_rows_and_activations():
    nothing = {"normalization": None, "input_normalization": None, "scaling": None}
    clf = FFClassifier((8, 8), max_iter=1, **nothing).fit(np.eye(4), [0, 1, 0, 1])
    assert clf.scaling_ is None
    assert type(clf.input_normalization_) is NoNorm
    with pytest.raises(ValueError, match="normalization=None has no parameter 'eps'"):
        clf.set_params(normalization__eps=1)


class OwnMask(HybridMask):
    def __init__(self, image_shape=None, n_blurs=6, other=1):
        super().__init__(image_shape, n_blurs)
        self.other = other


@pytest.mark.parametrize("own, given", [((1, 2, 2), None), (None, (1, 2, 2))])
def test_a_part_keeps_its_class_and_parameters_with_the_shape(own, given):
    part = OwnMask(own, other=3)
    told = FFTransformer(4, negatives=part, image_shape=given, max_iter=1).fit(np.eye(4)).negatives_
    assert type(told) is OwnMask and told.other == 3 and told.image_shape == (1, 2, 2)


def test_a_callable_goodness_predicts_in_inference_mode():
    clf = FFClassifier(8, goodness=lambda h: h.square().mean(-1), max_iter=1, random_state=0)
    clf.fit(np.eye(4), [0, 1, 0, 1])
    expected = clf.predict(np.eye(4))
    with torch.inference_mode():
        np.testing.assert_array_equal(clf.predict(np.eye(4)), expected)
