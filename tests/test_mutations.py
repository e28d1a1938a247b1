"""What users change after a fit does not reach what was fitted, nor the other way round."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from sklearn_ff import FFClassifier, FFTransformer, recipes
from sklearn_ff.callbacks import LayerMetric
from sklearn_ff.goodness import TopK
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.overlays import Add, Replace
from sklearn_ff.schedules import Greedy, Schedule, Simultaneous, Stage, Stages

X, y = load_iris(return_X_y=True)
BRIEF = {"hidden_layer_sizes": (8, 8), "max_iter": 4, "random_state": 0}


@pytest.mark.parametrize("kind", [list, np.array])
def test_changing_a_list_in_a_part_does_not_move_predictions(kind):
    features = kind([0, 1, 2])
    model = FFClassifier(**BRIEF, overlay=Replace(features=features)).fit(X, y)
    before = model.predict_proba(X)
    features[:] = kind([3, 2, 1])
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_changing_a_tensor_in_a_part_does_not_move_predictions():
    code = torch.eye(3, 4)
    model = FFClassifier(**BRIEF, overlay=Add(code)).fit(X, y)
    before = model.predict_proba(X)
    code.zero_()
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_changing_fitted_attributes_does_not_reach_the_network():
    model = FFClassifier(**BRIEF, goodness=TopK(3)).partial_fit(X, y, classes=[0, 1, 2])
    before = model.predict_proba(X)
    model.goodness_.k = 1
    model.history_.pop("loss")
    model.loss_curve_.append(7.0)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert len(model.partial_fit(X, y).history_["loss"]) == 2


def test_a_subclass_may_have_fewer_parameters():
    class Small(FFClassifier):
        def __init__(self, hidden_layer_sizes=(8,), random_state=None):
            super().__init__(hidden_layer_sizes, random_state=random_state, max_iter=5)

    plain = FFClassifier((8,), random_state=0, max_iter=5).fit(X, y)
    np.testing.assert_array_equal(Small((8,), 0).fit(X, y).predict_proba(X), plain.predict_proba(X))


def test_a_transformer_that_predicts_is_still_one():
    class Detector(FFTransformer):
        def predict(self, X):
            return np.ones(len(X))

    with pytest.raises(ValueError, match="without supervised=True no labels are learned"):
        Detector(8, negatives="hard", max_iter=2).fit(X)


@pytest.mark.parametrize("name, epochs", [("mpezeshki", 1000), ("loewe", 100)])
@pytest.mark.parametrize("schedule", [Greedy(), Simultaneous(), "greedy"])
def test_a_recipe_keeps_its_epochs_under_another_schedule(name, epochs, schedule):
    assert getattr(recipes, name)(schedule=schedule).max_iter == epochs
    assert getattr(recipes, name)(schedule=[("all", 3)]).max_iter == "auto"


@pytest.mark.parametrize("name", ["head__alpha", "schedule__phases", "layers__0__n_units"])
def test_a_nested_name_without_an_object_is_refused_in_a_sentence(name):
    with pytest.raises(ValueError, match=r"has no parameter .* to set; pass the part itself"):
        FFClassifier(schedule=[("all", 3)] if "schedule" in name else "greedy").set_params(
            **{name: 1}
        )


def test_a_search_reaches_the_settings_of_the_head():
    model = FFClassifier(**BRIEF, prediction="head", head=SoftmaxHead())
    assert GridSearchCV(model, {"head__alpha": [0, 0.1]}, cv=2).fit(X, y).best_score_ > 0.3


def test_an_own_schedule_needs_the_stages_alone():
    class Mine(Schedule):
        def stages(self, n_layers, n_epochs, depth=0):
            return [Stage(tuple(range(n_layers)), n_epochs, n_layers)]

    a, b = (FFClassifier(**BRIEF, schedule=s).fit(X, y) for s in (Mine(), "simultaneous"))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_stages_show_what_they_are():
    assert repr(Stages([("all", 10), ("head", 5)])) == "Stages([('all', 10), ('head', 5)])"
    with pytest.raises(ValueError, match=r"Stages\(3\) is not a list of stages"):
        FFClassifier(schedule=Stages(3)).fit(X, y)


def ranked(scores, labels):
    return (scores[:, 0] > scores[:, 1:].amax(1)).double()


def test_a_metric_per_row_counts_copies():
    weight = np.where(y == 0, 3, 1)
    params = {**BRIEF, "batch_size": "all", "callbacks": [LayerMetric(ranked)]}
    weighted = FFClassifier(**params).fit(X, y, sample_weight=weight)
    found = weighted.net_.history[:, "metric_1"]
    np.testing.assert_allclose(found, weighted.history_["ranking_accuracy"][:, 0], rtol=1e-6)
    assert not params["callbacks"][0].sums_


def test_metrics_of_one_name_are_refused():
    with pytest.raises(ValueError, match="2 metrics named"):
        FFClassifier(**BRIEF, callbacks=[LayerMetric(ranked), LayerMetric(ranked)]).fit(X, y)
    with pytest.raises(ValueError, match=r"LayerMetric\(3\) cannot be called"):
        FFClassifier(**BRIEF, callbacks=[LayerMetric(3)]).fit(X, y)


def test_the_kind_of_features_may_change_after_the_fit():
    model = FFTransformer(8, max_iter=2, random_state=0).fit(X)
    plain = model.transform(X)
    assert not np.array_equal(model.set_params(output="triangle").transform(X), plain)
    with pytest.raises(ValueError, match="output='no' is not known"):
        model.set_params(output="no").transform(X)
