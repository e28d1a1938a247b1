"""Prediction rules: what each decides, and that it acts without a new fit."""

import pickle

import numpy as np
import pytest
import torch
from devices import array, put
from sklearn.base import clone
from sklearn.datasets import load_digits

from sklearn_ff import FFClassifier, FFTransformer, load, save
from sklearn_ff.core.prediction import Evidence
from sklearn_ff.objectives import Swish
from sklearn_ff.predictions import (
    EarlyExit,
    Goodness,
    Hybrid,
    Last,
    Prediction,
    SoftmaxSum,
    predictions,
)

X, y = load_digits(return_X_y=True)
TRAIN, TEST = slice(0, 900), slice(900, 1300)
RULES = predictions.names


@pytest.fixture(scope="module")
def fitted():
    params = {"max_iter": 15, "random_state": 0, "n_threads": 1}
    return FFClassifier((48, 32), **params).fit(X[TRAIN], y[TRAIN])


def ruled(fitted, rule):
    """The fitted classifier under another rule."""
    return fitted.set_params(prediction=rule)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_acts_on_a_fitted_estimator(fitted, rule):
    model = ruled(fitted, rule)
    p = model.predict_proba(X[TEST])
    np.testing.assert_allclose(p.sum(1), 1, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(model.classes_[p.argmax(1)], model.predict(X[TEST]))
    assert model.score(X[TEST], y[TEST]) > 0.85


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_set_later_predicts_as_one_set_before_the_fit(fitted, rule):
    before = clone(fitted).set_params(prediction=rule).fit(X[TRAIN], y[TRAIN])
    later = ruled(fitted, rule)
    np.testing.assert_array_equal(before.predict(X[TEST]), later.predict(X[TEST]))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_scale_of_its_own(fitted, rule):
    """The log-loss under the rule's scale is near the best that any factor reaches."""
    logs = ruled(fitted, rule).predict_log_proba(X[TEST])
    places = np.arange(400), y[TEST]

    def loss(factor):
        scaled = factor * logs
        return -(scaled - np.log(np.exp(scaled).sum(1, keepdims=True)))[places].mean()

    assert loss(1.0) < 1.3 * min(map(loss, np.geomspace(0.1, 10, 41)))


@pytest.mark.parametrize("rule", RULES)
def test_scores_of_a_row_do_not_depend_on_the_other_rows(fitted, rule):
    model = ruled(fitted, rule)
    together = model.predict_proba(X[TEST])
    alone = np.vstack([model.predict_proba(row[None]) for row in X[TEST][:12]])
    np.testing.assert_allclose(alone, together[:12], rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def chose():
    """A classifier that has chosen its layers on rows held out."""
    params = {"max_iter": 3, "random_state": 0, "n_threads": 1, "prediction": Goodness("best")}
    clf = FFClassifier((32, 24, 24), goodness="readout", negatives="all", **params)
    return clf.fit(X[TRAIN], y[TRAIN], X_val=X[TEST], y_val=y[TEST])


def test_layers_are_chosen_on_rows_held_out(chose):
    g, chosen = chose.layer_scores(X[TEST]), chose.prediction_.layers
    right = {
        (a, b): (g[:, a:b].sum(1).argmax(1) == y[TEST]).mean()
        for b in range(1, 4)
        for a in range(b)
    }
    assert right[chosen[0], chosen[-1] + 1] == max(right.values()) > min(right.values())
    decided = g[:, chosen].sum(1).argmax(1)
    for clf in (chose, pickle.loads(pickle.dumps(chose))):
        np.testing.assert_array_equal(clf.predict(X[TEST]), decided)
    assert clone(chose).prediction.layers == chose.prediction.layers == "best"


def test_chosen_layers_last_and_leave_room_for_other_rules(chose, tmp_path):
    save(chose, tmp_path / "chose.ff")
    again = load(tmp_path / "chose.ff")
    assert again.prediction_.layers == chose.prediction_.layers
    np.testing.assert_array_equal(again.predict_proba(X[TEST]), chose.predict_proba(X[TEST]))
    p = torch.exp(again.net_.module_(put(X[TEST])))
    np.testing.assert_allclose(array(p), chose.predict_proba(X[TEST]), rtol=1e-3, atol=1e-4)
    last = again.set_params(prediction="last").predict(X[TEST])
    np.testing.assert_array_equal(last, chose.layer_scores(X[TEST])[:, -1].argmax(1))
    again.set_params(prediction=Goodness("best"))
    np.testing.assert_array_equal(again.predict(X[TEST]), chose.predict(X[TEST]))


def test_a_share_of_the_rows_is_held_out_to_choose_layers():
    params = {"max_iter": 1, "random_state": 0, "validation_fraction": 0.2}
    clf = FFClassifier((8, 8), prediction=Goodness("best"), **params).fit(X[:200], y[:200])
    assert clf.class_count_.sum() == 160 and len(clf.validation_scores_) == 1


def test_layers_cannot_be_chosen_without_rows_held_out(fitted):
    with pytest.raises(ValueError, match=r"Goodness\(layers='best'\) is settled .*; fit again"):
        ruled(fitted, Goodness("best")).predict(X[TEST])
    with pytest.raises(ValueError, match=r"partial_fit does not support prediction=Goodness\(lay"):
        clone(fitted).partial_fit(X, y, classes=range(10))
    with pytest.raises(ValueError, match=r"Goodness\(layers='best'\) learns from a class and "):
        clone(fitted).fit(X[:30], [*y[:29], 77])


def test_the_rules_are_what_they_say(fitted):
    g = fitted.layer_scores(X[TEST]).astype(float)
    assert g.shape == (400, 2, 10)
    expected = {"goodness": g.sum(1), "last": g[:, 1]}
    shares = np.exp(10 * g - (10 * g).max(2, keepdims=True))
    expected["softmax_sum"] = (shares / shares.sum(2, keepdims=True)).sum(1)
    for rule, scores in expected.items():
        found = ruled(fitted, rule).predict(X[TEST])
        assert (found == fitted.classes_[scores.argmax(1)]).mean() > 0.995


def test_early_exit_stops_at_the_first_layer_that_is_sure(fitted):
    first = fitted.layer_scores(X[TEST])[:, 0]
    at_once = ruled(fitted, EarlyExit(margin=0.0)).predict(X[TEST])
    np.testing.assert_array_equal(at_once, fitted.classes_[first.argmax(1)])
    never = ruled(fitted, EarlyExit(margin=1e9)).predict(X[TEST])
    np.testing.assert_array_equal(never, ruled(fitted, "goodness").predict(X[TEST]))


def test_early_exit_computes_no_layer_that_is_not_needed(fitted):
    seen, network = [], fitted.net_.module_
    hook = network.layers[1].affine.register_forward_hook(lambda *args: seen.append(1))
    try:
        ruled(fitted, EarlyExit(margin=0.0)).predict(X[:5].astype(np.float32))
        assert not seen
        ruled(fitted, "goodness").predict(X[:5].astype(np.float32))
        assert seen
    finally:
        hook.remove()


def test_a_parameter_of_a_rule_may_change_after_the_fit(fitted):
    ruled(fitted, Hybrid(shortlist=10))
    np.testing.assert_array_equal(
        fitted.predict(X[TEST]), ruled(fitted, "goodness").predict(X[TEST])
    )


@pytest.mark.parametrize("layers", [[0], (1,), range(2), np.array([1, 0]), [1, 1]])
def test_layers_whose_goodness_is_summed_may_be_chosen_after_the_fit(fitted, layers):
    rule = Goodness(layers)
    g = fitted.layer_scores(X[TEST])[:, sorted({*layers})].sum(1)
    found = ruled(fitted, rule).predict(X[TEST])
    assert (found == fitted.classes_[g.argmax(1)]).mean() > 0.995
    again = pickle.loads(pickle.dumps(clone(fitted).fit(X[TRAIN], y[TRAIN])))
    np.testing.assert_array_equal(again.predict(X[TEST]), found)
    ruled(fitted, "goodness")


def test_no_layer_above_the_chosen_ones_is_computed(fitted):
    seen, network = [], fitted.net_.module_
    hook = network.layers[1].affine.register_forward_hook(lambda *args: seen.append(1))
    try:
        ruled(fitted, "goodness").predict(X[:5])
        n_seen = len(seen)
        ruled(fitted, Goodness([0])).predict(X[:5])
    finally:
        hook.remove()
    assert n_seen and len(seen) == n_seen


@pytest.mark.parametrize("layers", [[2], [0, 5], np.array([7])])
def test_layers_that_do_not_count_are_refused(fitted, layers):
    sentence = r"prediction=Goodness.* names layers \[\d\], which do not count; .* \[0, 1\]\.$"
    with pytest.raises(ValueError, match=sentence):
        ruled(fitted, Goodness(layers)).predict(X[TEST])
    with pytest.raises(ValueError, match=sentence):
        clone(fitted).fit(X[TRAIN], y[TRAIN])
    ruled(fitted, "goodness")


@pytest.mark.parametrize("layers", [[], "all", 1, [-1], [0.5], [True], [[0]], np.array(0), {0}])
def test_layers_of_the_wrong_kind_are_refused(fitted, layers):
    with pytest.raises(ValueError, match=r"^Goodness\(layers=.*\) names no layers; give a list"):
        ruled(fitted, Goodness(layers)).predict(X[TEST])
    ruled(fitted, "goodness")


def test_a_greedy_fit_is_judged_before_the_chosen_layer_learns():
    params = {"schedule": "greedy", "max_iter": 2, "random_state": 0}
    model = FFClassifier((16, 16), prediction=Goodness([1]), **params)
    model.fit(X[TRAIN], y[TRAIN], X_val=X[TEST], y_val=y[TEST])
    assert np.isfinite(model.validation_scores_).all()
    assert model.validation_scores_[-1] == model.score(X[TEST], y[TEST])


def test_a_rule_that_needs_a_head_is_refused_without_one():
    model = FFClassifier(8, negatives="uniform", max_iter=2, random_state=0).fit(X[TRAIN], y[TRAIN])
    with pytest.raises(ValueError, match="prediction='head' needs a softmax head"):
        model.set_params(prediction="head").predict(X[TEST])


def test_a_rule_that_needs_labels_is_refused_where_layers_see_none():
    given = {"negatives": "pair_sum", "prediction": "head", "max_iter": 2, "random_state": 0}
    model = FFClassifier(8, **given).fit(X[TRAIN], y[TRAIN])
    with pytest.raises(ValueError, match="prediction='last' needs layers that learn labels"):
        model.set_params(prediction="last").predict(X[TEST])


def test_an_own_rule_is_a_callable_or_a_class():
    class Largest(Prediction):
        def scores(self, evidence):
            return torch.stack([g for _, g in evidence.layers()]).amax(0)

    def largest(evidence):
        return torch.stack([g for _, g in evidence.layers()]).amax(0)

    params = {"max_iter": 3, "random_state": 0, "negatives": "hard"}
    models = [FFClassifier((16, 16), prediction=r, **params) for r in (Largest(), largest)]
    a, b = (model.fit(X[TRAIN], y[TRAIN]).predict_proba(X[TEST]) for model in models)
    np.testing.assert_allclose(a, b, rtol=1e-4)


def test_an_own_rule_may_be_set_after_the_fit(fitted):
    own = ruled(fitted, lambda evidence: 1000 * evidence.logits()).predict_proba(X[TEST])
    by_head = ruled(fitted, "head").predict_proba(X[TEST])
    np.testing.assert_allclose(own, by_head, atol=0.02)


def test_a_rule_may_change_between_calls_of_partial_fit():
    """Scales are of different size for a sum of goodness and for logarithms of shares."""
    scales = []
    for rules in (["softmax_sum"] * 3, ["goodness", "goodness", "softmax_sum"]):
        model = FFClassifier((16, 16), random_state=0)
        for rule, part in zip(
            rules, (slice(0, 300), slice(300, 600), slice(600, 650)), strict=True
        ):
            model.set_params(prediction=rule).partial_fit(X[part], y[part], classes=range(10))
        scales.append(model.scale_)
    assert 0.5 < scales[0] / scales[1] < 2


def test_the_sharpness_of_a_rule_is_that_of_the_objective():
    model = FFClassifier((16, 16), objective=Swish(sharpness=1.0), max_iter=5, random_state=0)
    model.fit(X[TRAIN], y[TRAIN])
    assert Evidence(model.net_.module_, put(torch.zeros(2, 64)), [0, 1]).sharpness(0) == 1.0


@pytest.mark.parametrize("n_columns", [1, 3])
def test_a_class_of_rule_must_return_a_score_per_row_and_class(n_columns):
    class Few(Prediction):
        def scores(self, evidence):
            return evidence.logits()[:, :n_columns]

    model = FFClassifier(8, prediction=Few(), max_iter=1)
    with pytest.raises(ValueError, match="given as prediction must return a score per row"):
        model.fit(X[TRAIN], y[TRAIN])


def test_a_rule_that_does_not_declare_the_head_is_refused():
    class Undeclared(Prediction):
        def scores(self, evidence):
            return evidence.logits()

    with pytest.raises(ValueError, match="declare needs_head = True"):
        FFClassifier(8, prediction=Undeclared(), negatives="uniform", max_iter=1).fit(X, y)


def test_an_own_rule_must_return_a_score_per_row_and_class():
    model = FFClassifier(8, prediction=lambda evidence: evidence.logits()[:, :3], max_iter=1)
    with pytest.raises(ValueError, match="given as prediction must return a score per row"):
        model.fit(X[TRAIN], y[TRAIN])


@pytest.mark.parametrize("rule", [Last(), SoftmaxSum(), EarlyExit(1.0), Hybrid(3)])
def test_partial_fit_keeps_a_scale_for_every_rule(rule):
    model = FFClassifier((16, 16), random_state=0)
    for part in (slice(0, 300), slice(300, 600)):
        model.partial_fit(X[part], y[part], classes=range(10))
    assert np.isfinite(model.set_params(prediction=rule).predict_proba(X[TEST])).all()


def test_scores_by_layer_of_a_transformer_without_labels_have_one_class():
    model = FFTransformer((16, 8), max_iter=1, random_state=0).fit(X[TRAIN])
    assert model.layer_scores(X[:7]).shape == (7, 2, 1)
