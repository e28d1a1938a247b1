"""The common battery: every registered part of every family passes all of this.

Parts are found in the registries, so that a part registered later is tested by being there.
"""

import copy
import pickle
import re
from contextlib import nullcontext
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff._families import FAMILIES
from sklearn_ff.exceptions import NoEffectWarning
from sklearn_ff.goodness import Goodness, goodness
from sklearn_ff.objectives import LayerFacts

X, y = load_iris(return_X_y=True)
X, y = (np.concatenate([part[:40], part[50:90], part[100:140]]) for part in (X, y))

LOCAL = "input_normalization", "channel_norm"  # is refused, since an input has no channels
PARTS = [(parameter, name) for parameter, family in FAMILIES.items() for name in family.names]
PARTS.remove(LOCAL)
IDS = [f"{parameter}={name}" for parameter, name in PARTS]
every_part = pytest.mark.parametrize("parameter, name", PARTS, ids=IDS)


def classifier(**params):
    small = {"max_iter": 4, "batch_size": 40, "random_state": 0, "n_threads": 1}
    if part_of("negatives", params.get("negatives", "all")).of_rows:
        small["prediction"] = "head"
    if part_of("objective", params.get("objective", "swish")).matches_labels:
        small["goodness"] = "readout"
    if getattr(part_of("overlay", params.get("overlay", "append")), "needs_image", False):
        small["image_shape"] = (1, 2, 2)
    return FFClassifier((16, 12), **{**small, **params})


def trained(**params):
    """With as many epochs as it takes to learn."""
    return classifier(max_iter=12, learning_rate_init=3e-2, **params)


@cache
def fitted(parameter, name):
    """What several tests compare with and none changes."""
    return classifier(**{parameter: name}).fit(X, y)


def part_of(parameter, name):
    return FAMILIES[parameter].get(name)


def refused(prediction="head", **names):
    """Whether the facts that the parts declare forbid them to meet."""
    given = defaults(**names)
    parts = {parameter: part_of(parameter, given[parameter]) for parameter in DEFAULTS}
    if parts["input_normalization"].local:
        return True
    if parts["objective"].matches_labels and not parts["goodness"].scores_classes:
        return True
    if parts["objective"].needs_others and parts["negatives"].selects:
        return True
    asked = parts["objective"].score_targets(LayerFacts(index=0, n_units=1))
    if parts["goodness"].quiet and max(asked, default=-1) >= 0:
        return True
    if parts["negatives"].of_rows and (parts["goodness"].scores_classes or prediction != "head"):
        return True
    return (
        shows_labels(**names)
        and parts["overlay"].overwrites
        and parts["input_normalization"].centers
    )


def shows_labels(**names):
    part = {name: part_of(name, defaults(**names)[name]) for name in ("negatives", "goodness")}
    return not (part["negatives"].of_rows or part["goodness"].scores_classes)


def told_of_overlays(**names):
    """What a fit is wrapped in: the warning of an overlay where no label is shown."""
    unused = names.get("overlay", "append") != "append" and not shows_labels(**names)
    return pytest.warns(NoEffectWarning, match="^overlay=") if unused else nullcontext()


def defaults(**names):
    """What `classifier` makes of some names."""
    matches = part_of("objective", names.get("objective", "swish")).matches_labels
    return {**DEFAULTS, **({"goodness": "readout"} if matches else {}), **names}


DEFAULTS = {
    "negatives": "all",
    "goodness": "mean_square",
    "overlay": "append",
    "objective": "swish",
    "input_normalization": None,
}


def check_probabilities(p, rows=120, n_classes=3):
    assert p.shape == (rows, n_classes)
    assert np.isfinite(p).all() and (p >= 0).all()
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)


# One part at a time -----------------------------------------------------------------------------


def test_every_family_is_met():
    assert {parameter for parameter, _ in PARTS} == set(FAMILIES)
    for parameter in FAMILIES:
        assert parameter in FFClassifier().get_params()


@every_part
@pytest.mark.parametrize("prediction", ["goodness", "head", "hybrid"])
def test_probabilities_are_finite_and_sum_to_one(parameter, name, prediction):
    model = classifier(prediction=prediction, **{parameter: name})
    if refused(prediction, **{parameter: name}):
        check_refusal(model)
        return
    check_probabilities(model.fit(X, y).predict_proba(X))
    assert np.isfinite(model.decision_function(X)).all()
    assert all(np.isfinite(value).all() for value in model.history_.values())
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(1))


@pytest.mark.slow
@every_part
def test_the_same_seed_gives_the_same_to_the_bit_and_another_does_not(parameter, name):
    model = classifier(**{parameter: name}, dropout=0.1, max_iter=2)
    first, second = (clone(model).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.decision_function(X), second.decision_function(X))
    assert first.loss_curve_ == second.loss_curve_
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(first.decision_function(X), other.decision_function(X))


@every_part
def test_copies_predict_to_the_bit(parameter, name):
    prediction = "head" if refused("hybrid", **{parameter: name}) else "hybrid"
    model = classifier(prediction=prediction, **{parameter: name}).fit(X, y)
    expected = model.predict_proba(X)
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(again.predict_proba(X), expected)
        assert repr(again) == repr(model)


@every_part
def test_partial_fit_goes_on_after_a_pickle_as_without(parameter, name):
    model = classifier(**{parameter: name}).partial_fit(X, y, classes=[0, 1, 2])
    again = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    before = model.decision_function(X)
    model.partial_fit(X, y)
    assert not np.array_equal(before, model.decision_function(X))
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))


@every_part
def test_parameters_make_a_round_trip(parameter, name):
    part = part_of(parameter, name)
    model = classifier(**{parameter: part})
    assert model.get_params()[parameter] is part
    copied = clone(model)
    assert type(getattr(copied, parameter)) is type(part)
    assert getattr(copied, parameter) is not part
    for key, value in part.get_params().items():
        assert model.get_params()[f"{parameter}__{key}"] == value
        assert copied.get_params()[f"{parameter}__{key}"] == value
        copied.set_params(**{f"{parameter}__{key}": "changed"})
        assert part.get_params()[key] == value, "the copy's part is its own"
        assert getattr(copied, parameter).get_params()[key] == "changed"
    assert FFClassifier().set_params(**model.get_params(deep=False)).get_params() == (
        model.get_params()
    )


@every_part
def test_a_name_means_its_part(parameter, name):
    by_name = fitted(parameter, name)
    part = part_of(parameter, name)
    before = {key: repr(value) for key, value in vars(part).items()}
    by_part = classifier(**{parameter: part}).fit(X, y)
    np.testing.assert_array_equal(by_name.decision_function(X), by_part.decision_function(X))
    assert {key: repr(value) for key, value in vars(part).items()} == before, "fit keeps no state"


@pytest.mark.slow
@every_part
@pytest.mark.parametrize("schedule", ["simultaneous", "greedy"])
def test_it_learns(parameter, name, schedule):
    model = trained(schedule=schedule, **{parameter: name}).fit(X, y)
    assert model.score(X, y) > 0.5, "a guess is right in one row of three"


@every_part
def test_single_and_double_input_agree(parameter, name):
    single, double = classifier(**{parameter: name}).fit(X.astype("f4"), y), fitted(parameter, name)
    assert single.precision_ == double.precision_ == "float64", "of so few rows"
    for rows in (X.astype("f4"), X):
        np.testing.assert_allclose(
            single.predict_proba(rows), double.predict_proba(rows), rtol=1e-3, atol=1e-4
        )
    exact = classifier(**{parameter: name}).fit(X.astype("f4").astype("f8"), y)
    np.testing.assert_array_equal(exact.predict_proba(X), single.predict_proba(X))


@every_part
def test_single_precision_works(parameter, name):
    model = classifier(precision="float32", **{parameter: name}).fit(X, y)
    assert model.precision_ == "float32"
    check_probabilities(model.predict_proba(X))


@every_part
def test_names_of_the_classes_do_not_matter(parameter, name):
    plain, renamed = fitted(parameter, name).predict_proba(X), classifier(**{parameter: name})
    renamed.fit(X, np.array(["a", "b", "c"])[y])
    np.testing.assert_array_equal(renamed.predict_proba(X), plain)
    assert set(renamed.predict(X)) <= {"a", "b", "c"}


@pytest.mark.parametrize("params", [{}, {"goodness": "readout"}, {"prediction": "head"}])
def test_the_order_of_the_classes_names_does_not_matter(params):
    """Other initial weights meet the classes then: what is learned is as good, not equal."""
    labels = np.array(["z", "a", "m"])
    model = trained(**params).fit(X, labels[y])
    assert model.classes_.tolist() == ["a", "m", "z"]
    assert model.score(X, labels[y]) > 0.6


@every_part
def test_two_classes_and_one_row(parameter, name):
    model = classifier(**{parameter: name})
    if model.image_shape is not None:
        model.set_params(
            image_shape=(1, 1, 4)
        )  # on 2 x 2 pixels the waves of two classes are alike
    model.fit(X[:80], y[:80])
    check_probabilities(model.predict_proba(X[:80]), 80, 2)
    assert model.decision_function(X).shape == (120,)
    one = model.predict_proba(X[60:61])
    np.testing.assert_allclose(one, model.predict_proba(X)[60:61], rtol=1e-6)


# Parts together ---------------------------------------------------------------------------------

PAIRS = [
    {first: one, second: two}
    for first, second in combinations(FAMILIES, 2)
    for one, two in product(FAMILIES[first].names, FAMILIES[second].names)
]


def meetings():
    """Choices of one part of every family, in which all meet that may: every pair stands in one."""
    left = [pair.items() for pair in PAIRS if not refused(**pair)]
    while left:
        chosen = dict(left[0])
        for parameter in sorted({*FAMILIES} - {*chosen}):
            allowed = [
                {**chosen, parameter: name}
                for name in FAMILIES[parameter].names
                if not refused(**{**chosen, parameter: name})
            ]
            chosen = max(allowed, key=lambda names: sum(pair <= names.items() for pair in left))
        left = [pair for pair in left if not pair <= chosen.items()]
        yield {parameter: chosen[parameter] for parameter in FAMILIES}


@pytest.mark.slow
@pytest.mark.parametrize("names", [*meetings()], ids=lambda names: str([*names.values()]))
def test_parts_of_all_families_meet(names):
    with told_of_overlays(**names):
        model = classifier(max_iter=2, **names).fit(X, y)
    check_probabilities(model.predict_proba(X))


def test_every_pair_that_the_parts_facts_forbid_is_refused_in_one_sentence():
    forbidden = [pair for pair in PAIRS if refused(**pair)]
    assert forbidden
    for names in forbidden:
        check_refusal(classifier(**names))


def check_refusal(model):
    with pytest.raises(ValueError) as error:
        model.fit(X, y)
    assert is_one_sentence(str(error.value)), str(error.value)
    assert not hasattr(model, "classes_")


def is_one_sentence(text):
    """One line that ends in the only full stop that a space or nothing follows."""
    return "\n" not in text and [m.end() for m in re.finditer(r"\.(\s|$)", text)] == [len(text)]


@pytest.mark.parametrize("name", goodness.names)
def test_what_is_refused_depends_on_the_goodness(name):
    """Columns that were overwritten are not to be moved; where no label is shown none are."""
    overwriting = [n for n in FAMILIES["overlay"].names if part_of("overlay", n).overwrites]
    family = FAMILIES["input_normalization"]
    centring = [n for n in family.names if family.get(n).centers]
    assert overwriting and centring
    for overlay in overwriting:
        for normalization in family.names:
            names = {"goodness": name, "overlay": overlay, "input_normalization": normalization}
            classes = part_of("goodness", name).scores_classes
            local = family.get(normalization).local
            assert refused(**names) == (local or (not classes and normalization in centring))
            if refused(**names):
                check_refusal(classifier(**names))
            else:
                with told_of_overlays(**names):
                    model = classifier(**names).fit(X, y)
                check_probabilities(model.predict_proba(X))


@pytest.mark.parametrize("text, one", [("a; b.", True), ("a 1.5 b.", True), ("A. B.", False)])
def test_what_one_sentence_is(text, one):
    assert is_one_sentence(text) is one


# A part of a user's -----------------------------------------------------------------------------


def test_a_part_registered_later_is_taken_by_its_name():
    @goodness.register("fourth_power")
    class FourthPower(Goodness):
        def score(self, h):
            return h.square().square().mean(-1)

    try:
        model = trained(goodness="fourth_power").fit(X, y)
        assert model.score(X, y) > 0.6 and isinstance(model.goodness_, FourthPower)
    finally:
        del goodness.registry["fourth_power"]
