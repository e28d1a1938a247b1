"""The package's own callbacks, and the hook for scores of layers."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.callbacks import Callback, EarlyStopping

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.callbacks import LayerMetric

X, y = load_iris(return_X_y=True)


def fitted(*callbacks, **params):
    given = {"batch_size": 64, "max_iter": 4, "random_state": 0, "callbacks": list(callbacks)}
    return FFClassifier((9, 8), **{**given, **params}).fit(X, y)


def positive(scores, labels):
    """The mean goodness of the positive candidates."""
    return scores[:, 0].mean()


def test_a_metric_is_the_mean_over_the_rows_of_an_epoch():
    model = fitted(LayerMetric(positive))
    for layer in (0, 1):
        found = model.net_.history[:, f"metric_{layer + 1}"]
        np.testing.assert_allclose(found, model.history_["goodness_positive"][:, layer], 1e-6)


def test_a_metric_changes_nothing():
    with_metric, without = fitted(LayerMetric(positive)), fitted()
    np.testing.assert_array_equal(with_metric.predict_proba(X), without.predict_proba(X))


def test_a_metric_sees_the_layers_that_learn():
    model = fitted(LayerMetric(positive, name="mean"), schedule="greedy")
    recorded = ["mean_1" in row for row in model.net_.history]
    assert recorded == [True] * 4 + [False] * 4


def test_other_callbacks_stop_by_a_metric():
    stop = EarlyStopping("metric_1", patience=2, threshold=1e9, threshold_mode="abs")
    assert fitted(LayerMetric(positive), stop, max_iter=20).n_iter_ < 20


class Scores(Callback):
    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def on_layer_scores(self, net, layer, scores, labels, weight):
        self.seen_.append((layer, scores, labels, weight))


def test_scores_come_with_labels_and_weights():
    listener = Scores()
    fitted(listener, max_iter=1, batch_size="all", negatives="uniform")
    (layer, scores, labels, weight), (above, *_) = listener.seen_
    assert (layer, above) == (0, 1)
    assert scores.shape == (150, 2) and not scores.requires_grad
    assert sorted(labels.tolist()) == y.tolist() and torch.allclose(weight, weight[:1])


def test_without_labels_there_are_none():
    listener = Scores()
    FFTransformer(6, callbacks=[listener], max_iter=1).fit(X)
    assert listener.seen_ and all(labels is None for _, _, labels, _ in listener.seen_)


def test_a_look_at_scores_may_end_the_training_after_the_batch():
    class Stop(Callback):
        def on_layer_scores(self, net, layer, scores, labels, weight):
            raise KeyboardInterrupt

    listener = Scores()
    model = fitted(Stop(), listener, max_iter=20)
    assert model.net_.n_updates_ == 1 and [layer for layer, *_ in listener.seen_] == [0, 1]


@pytest.mark.parametrize("value", ["x", None, torch.zeros(2)])
def test_a_metric_that_returns_no_number_is_refused(value):
    with pytest.raises(ValueError, match="LayerMetric must return a number"):
        fitted(LayerMetric(lambda scores, labels: value))
