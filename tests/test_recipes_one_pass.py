"""Recipes that score all classes in one pass: their forms, and what their layers are."""

import numpy as np
import pytest
from devices import array
from sklearn.datasets import load_digits

from sklearn_ff import recipes
from sklearn_ff.augmentations import Shifts
from sklearn_ff.layers import Conv2d

X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16, y[:400]
BRIEF = {"max_iter": 2, "random_state": 0, "n_threads": 1}
IMAGES = {**BRIEF, "image_shape": (1, 8, 8)}
CONVOLUTIONAL = {  # names of the recipes that have such a form, and what makes it small
    "hff": {"n_channels": (6, 8)},
    "mono_forward": {"n_channels": (6, 8)},
}


CHANNELS = (128, 256, 256, 512, 512, 512)


def layers_of(clf):
    return clf.net_.module_.layers


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_convolutional_forms_fit_and_have_no_sizes(name):
    recipe = getattr(recipes, name)
    clf = recipe(convolutional=True, **IMAGES, **CONVOLUTIONAL[name]).fit(X, y)
    assert set(clf.predict(X)) <= set(range(10)) and np.isfinite(clf.loss_curve_).all()
    assert [layer.affine.weight.dim() for layer in layers_of(clf)] == [4, 4]
    with pytest.raises(TypeError, match=rf"{name}\(.* no hidden_layer_sizes; give n_channels"):
        recipe(convolutional=True, hidden_layer_sizes=(7,))


@pytest.mark.parametrize("loss", ["pred", "sim"])
def test_local_losses_are_of_a_classifier_or_of_similarity(loss):
    quick = {**BRIEF, "augmentation": None, "batch_size": 20, "learning_rate_init": 1e-2}
    clf = recipes.local_loss(loss, n_units=(24, 24), **quick).fit(X, y)
    learned = [layer.goodness.score.weight.abs().max().item() for layer in layers_of(clf)]
    assert (min(learned) > 0) == (loss == "pred") and clf.score(X, y) > 0.3
    assert (clf.net_.module_.head is None) == (loss == "pred")


def test_vgg8b_reads_at_most_1024_means_of_every_convolution():
    clf = recipes.local_loss(convolutional=True)
    patches = [part.patch for part in clf.goodness]
    sides = [28, 14, 14, 7, 3, 1]
    n_read = [n * (s // p) ** 2 for n, s, p in zip(CHANNELS, sides, patches[:6], strict=True)]
    assert n_read == [512, 1024, 1024, 512, 512, 512] and patches[6] is None
    small = recipes.local_loss(
        convolutional=True,
        **{**BRIEF, "image_shape": (1, 16, 16)},
        n_units=(16,),
        n_channels=(4, 4, 6, 6, 8, 8),
    ).fit(np.kron(X.reshape(-1, 8, 8), np.ones((1, 2, 2))).reshape(-1, 256), y)
    assert [layer.affine.shape for layer in layers_of(small)][-2:] == [(8, 1, 1), (16,)]
    assert np.isfinite(small.loss_curve_).all()


def test_local_loss_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"loss='both' is not known; .* \['pred', 'sim', 'predsim"):
        recipes.local_loss("both")
    with pytest.raises(TypeError, match="local_loss has no hidden_layer_sizes; give n_units, or"):
        recipes.local_loss(hidden_layer_sizes=(10,))


def test_cwcomp_stops_its_layers_one_after_another():
    clf = recipes.cwcomp(ends=(1, 1, 3, 4))
    assert clf.schedule == [([0, 1, 2, 3], 1), ([2, 3], 2), ([3], 1)]
    for other in ({"max_iter": 3, "n_channels": (20, 40)}, {"layers": [Conv2d(20), 30]}):
        assert recipes.cwcomp(**other).schedule == "simultaneous"
    for ends in ((2, 3, 4), (2, 3, 4, 3), (0, 1, 2, 3), (1, 2, 3, 4.5), 4):
        with pytest.raises(ValueError, match="must be 4 numbers of epochs, one per layer"):
            recipes.cwcomp(ends=ends)


def test_deeper_forward_has_seventeen_layers_or_four_and_chooses_among_them():
    residual = [getattr(kind, "residual", False) for kind in recipes.deeper_forward().layers]
    assert len(residual) == 17 and sum(residual) == 13 and not residual[5]
    small = {"n_channels": (10, 10), **IMAGES, "learning_rate_init": 0.02}
    clf = recipes.deeper_forward(residual=False, **small).fit(X, y)
    assert [layer.affine.shape for layer in layers_of(clf)] == [(10, 4, 4), (10, 2, 2)]
    assert clf.class_count_.sum() == 400 - 67 and set(clf.prediction_.layers) <= {0, 1}
    assert len(recipes.deeper_forward(residual=False).layers) == 4


def test_asge_divides_layers_of_few_channels_into_more_patches():
    clf = recipes.asge(image_shape=(3, 32, 32), n_channels=(64, 128, 256))
    assert [part.patch for part in clf.goodness] == [4, 4, 4]
    clf = recipes.asge(image_shape=(3, 32, 32), n_channels=(64, 64, 64))
    assert [part.patch for part in clf.goodness] == [16, 8, 4]


def test_scff_teaches_one_layer_after_another_without_labels():
    small = {"hidden_layer_sizes": (24, 16), "random_state": 0, "schedule": [(0, 3), (1, 2)]}
    features = recipes.scff(**small).fit(X)
    learned = ~np.isnan(features.history_["loss"])
    assert learned.tolist() == [[True, False]] * 3 + [[False, True]] * 2
    assert features.transform(X).shape == (400, 40)
    conv = recipes.scff(True, n_channels=(4, 6, 8), **IMAGES).fit(X[:60])
    assert conv.schedule == "greedy" and conv.transform(X[:3]).shape[1] == 4 * 16 + 6 * 4 + 8


@pytest.mark.parametrize("name", ["hff", "mono_forward", "scff"])
def test_dense_recipes_learn_from_shifted_images(name):
    recipe = getattr(recipes, name)
    small = {"hidden_layer_sizes": (12, 10), "schedule": "greedy", "max_iter": 1}
    shifted = recipe(**small, image_shape=(1, 8, 8), augmentation=Shifts(1))
    assert shifted.fit(X, y).image_shape == (1, 8, 8)
    assert recipe(**small, image_shape=(1, 8, 8)).image_shape is None  # nothing reads it


def test_mono_forward_predicts_by_the_last_readout_or_by_their_sum():
    clf = recipes.mono_forward(hidden_layer_sizes=(24, 16), **BRIEF).fit(X, y)
    g = clf.layer_scores(X)
    np.testing.assert_array_equal(clf.predict(X), g[:, -1].argmax(1))
    clf.set_params(prediction="goodness")
    np.testing.assert_array_equal(clf.predict(X), g.sum(1).argmax(1))


def test_hff_scores_by_the_cosine_to_a_prototype():
    params = {**BRIEF, "scaling": None, "precision": "float64"}
    clf = recipes.hff(hidden_layer_sizes=(24, 16), **params).fit(X, y)
    first = layers_of(clf)[0]
    h = np.maximum(X @ array(first.affine.weight).T + array(first.affine.bias), 0)
    p = array(first.goodness.score.weight)
    cosine = h @ p.T / np.linalg.norm(h, axis=1)[:, None] / np.linalg.norm(p, axis=1)
    np.testing.assert_allclose(clf.layer_scores(X)[:, 0], 40 * cosine, rtol=1e-6)
