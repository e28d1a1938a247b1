"""The softmax head learns the same in parts of a batch as from the whole, in bounded memory."""

import numpy as np
import pytest
import torch
from devices import arrays as weights
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff.activations import activations, faded_relu, overwriting_relu
from sklearn_ff.core import head
from sklearn_ff.goodness import MeanSquare, goodness
from sklearn_ff.layers import Affine, Conv2d

X, y = load_iris(return_X_y=True)


def fitted(**params):
    # Adam divides by the size of a gradient, and would make rounding of the smallest ones visible.
    params = {"max_iter": 5, "prediction": "head", "optimizer": "sgd", "n_threads": 1} | params
    return FFClassifier((8, 6), random_state=0, **params).fit(X, y)


@pytest.mark.slow
@pytest.mark.parametrize("negatives", ["hard", "pair_sum"])
@pytest.mark.parametrize("rows", [1, 40, 149])
def test_learning_in_parts_equals_learning_at_once(monkeypatch, rows, negatives):
    whole, sizes = fitted(negatives=negatives), []
    monkeypatch.setattr(head, "FEATURE_BYTES", rows * 14 * 8)
    slopes = head.slopes

    def noted(logits, labels, weight):
        sizes.append(len(labels))
        return slopes(logits, labels, weight)

    monkeypatch.setattr(head, "slopes", noted)
    parted = fitted(negatives=negatives)
    assert max(sizes) == rows and sum(sizes) == 5 * 150
    for name, value in weights(whole).items():
        np.testing.assert_allclose(
            weights(parted)[name], value, rtol=1e-8, atol=1e-10, err_msg=name
        )


def test_slopes_of_the_head_are_the_gradient_of_its_loss():
    logits = torch.randn(20, 4, dtype=torch.float64, requires_grad=True)
    labels, weight = torch.arange(20) % 4, torch.rand(20, dtype=torch.float64)
    (weight @ torch.nn.functional.cross_entropy(logits, labels, reduction="none")).backward()
    torch.testing.assert_close(head.slopes(logits.detach(), labels, weight), logits.grad)


def test_wide_features_are_read_row_by_row_at_least(monkeypatch):
    monkeypatch.setattr(head, "FEATURE_BYTES", 1)
    assert fitted(max_iter=1).n_iter_ == 1


def test_overwriting_unused_tensors_changes_nothing():
    named = fitted(activation="relu")
    kept = fitted(activation=torch.nn.functional.relu)
    assert activations.get("relu").in_place and not activations.get(torch.relu).in_place
    assert (
        named.net_.module_.layers[0].activate.overwriting
        and not kept.net_.module_.layers[0].activate.overwriting
    )
    for name, value in weights(kept).items():
        np.testing.assert_allclose(weights(named)[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_peers_still_read_the_pre_activation():
    assert fitted(peer_normalization=0.03).net_.module_.layers[0].activate.overwriting is None


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("name", [name for name in goodness.names if goodness.get(name).fades])
def test_a_gradient_that_fades_where_units_are_idle_needs_no_mask(name, dropout):
    own = fitted(activation="relu", goodness=name, dropout=dropout)
    kept = fitted(activation=torch.nn.functional.relu, goodness=name, dropout=dropout)
    assert own.net_.module_.layers[1].activate.overwriting is faded_relu
    for key, value in weights(kept).items():
        np.testing.assert_allclose(weights(own)[key], value, rtol=1e-9, atol=1e-12, err_msg=key)


def test_where_a_goodness_sees_pools_or_idle_units_the_mask_stays():
    kept = fitted(goodness="mean_activation")
    assert kept.net_.module_.layers[0].activate.overwriting is overwriting_relu
    layers = [Conv2d(4, pool="mean")]
    pooled = FFClassifier(layers=layers, overlay="channel", image_shape=(1, 8, 8), max_iter=1)
    pooled.fit(np.eye(64), np.arange(64) % 2)
    assert pooled.net_.module_.layers[0].activate.overwriting is overwriting_relu


def test_a_view_is_not_overwritten():
    a = torch.tensor([[-1.0, 2.0]], requires_grad=True) * 1
    for function in (overwriting_relu, faded_relu):
        assert function(a.view(2)).tolist() == [0, 2] and a.tolist() == [[-1, 2]]


def test_pre_activations_of_dense_layers_are_no_views():
    z = torch.rand(3, 2, 4)
    assert not Affine(4, 5, 4)(z)._is_view()


class WithMean(MeanSquare):
    def score(self, h):
        return super().score(h) + h.mean(-1)


def test_a_subclass_does_not_inherit_the_promise_that_its_gradient_fades():
    own = fitted(activation="relu", goodness=WithMean())
    kept = fitted(activation=torch.nn.functional.relu, goodness=WithMean())
    for key, value in weights(kept).items():
        np.testing.assert_allclose(weights(own)[key], value, rtol=1e-9, atol=1e-12, err_msg=key)
