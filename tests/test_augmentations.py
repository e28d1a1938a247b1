"""Augmentation: contracts, what the estimators make of it, and what they refuse."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision.transforms import v2

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff._draws import Draws
from sklearn_ff.augmentations import Augmentation, PerImage, Shifts, Views, augmentations
from sklearn_ff.negatives import HeldOutClasses, HybridMask, PairSum

pytestmark = pytest.mark.filterwarnings("ignore:image_shape=.* has no effect")

X, Y = (part[:600] for part in load_digits(return_X_y=True))
SHAPE = (1, 8, 8)


def draws(seed=0):
    return Draws(torch.Generator().manual_seed(seed), "cpu")


def small(cls=FFClassifier, **params):
    given = {"hidden_layer_sizes": (30,), "max_iter": 4, "random_state": 0, "image_shape": SHAPE}
    return cls(**given | params)


@pytest.mark.parametrize("name", augmentations.names)
def test_images_keep_their_shape_and_are_varied_by_the_draws_alone(name):
    images = draws().uniform(30, 2, 6, 5)
    before, state = images.clone(), torch.get_rng_state()
    first, again = (augmentations.get(name)(images, draws(1)) for _ in range(2))
    assert first.shape == images.shape and torch.equal(first, again)
    assert torch.equal(images, before), "the rows of the fit are left as they are"
    assert (first != images).flatten(1).any(1).float().mean() > 0.5
    assert torch.equal(state, torch.get_rng_state())


def test_shifts_match_a_loop_over_padded_images():
    images, reach = draws().uniform(200, 3, 4, 6), 2
    moved = Shifts(reach, fill=-1.0)(images, draws(1))
    seen = set()
    for image, new in zip(images, moved, strict=True):
        padded = np.pad(image, [(0, 0), (reach, reach), (reach, reach)], constant_values=-1.0)
        fits = [
            (i, j)
            for i in range(2 * reach + 1)
            for j in range(2 * reach + 1)
            if np.array_equal(padded[:, i : i + 4, j : j + 6], new)
        ]
        assert len(fits) == 1
        seen |= set(fits)
    assert len(seen) == 25, "every shift occurs"


def test_a_transform_of_torchvision_sees_one_image_at_a_time():
    shapes = []

    def noted(image):
        shapes.append(image.shape)
        return v2.RandomCrop((8, 8), padding=1)(image)

    fitted = small(augmentation=noted).fit(X, Y)
    assert set(shapes) == {torch.Size(SHAPE)} and len(shapes) == 4 * len(X)
    assert fitted.score(X, Y) > 0.3


def test_what_is_augmented_is_as_X_is_and_only_in_training():
    seen = []

    def noted(image):
        seen.append(image)
        return image

    fitted = small(augmentation=noted).fit(X, Y)
    count = len(seen)
    assert torch.stack(seen).max() == 16, "raw pixels, before the columns are scaled"
    fitted.predict(X)
    assert len(seen) == count
    plain = small().fit(X, Y)
    assert np.mean(fitted.predict(X) == plain.predict(X)) > 0.8, "but for other random numbers"


@pytest.mark.parametrize("height, reach", [(1, 0), (2, 1), (9, 2)])
def test_shifts_keep_part_of_the_image(height, reach):
    images = torch.ones(500, 1, height, 9)
    moved = Shifts(2)(images, draws())
    rows, columns = (moved[:, 0].amax(axis) for axis in (2, 1))
    assert (rows.sum(1).min(), columns.sum(1).min()) == (height - reach, 7)


def test_a_transform_of_one_image_varies_from_batch_to_batch():
    seen, turn = [], v2.RandomCrop((8, 8), padding=2)

    def cropped(image):
        seen.append(turn(image))
        return seen[-1]

    same = np.repeat(X[:1], 8, 0)
    small(augmentation=cropped, batch_size=2, max_iter=2, shuffle=False).fit(same, np.arange(8) % 2)
    firsts = {tuple(image.flatten().tolist()) for image in seen[::2]}
    assert len(firsts) > 2, "of eight batches of the same two images"


@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
@pytest.mark.parametrize("augmentation", ["shifts", v2.RandomCrop((8, 8), padding=1)])
def test_a_fit_with_augmentation_is_reproducible_and_differs_from_one_without(cls, augmentation):
    first, second, plain = (
        small(cls, augmentation=given).fit(X, Y) for given in (augmentation, augmentation, None)
    )
    assert first.loss_curve_ == second.loss_curve_ != plain.loss_curve_


def test_pair_sum_takes_two_views_of_a_row_and_another_one_of_another_row():
    x = draws().uniform(50, 64)
    views = Views(Shifts(1), SHAPE, draws(1), PairSum.n_views)(x)
    positive, negative = PairSum().candidates(views, draws(2)).unbind(1)
    torch.testing.assert_close(positive, views.mean(1))
    others = 2 * negative - views[:, 0]
    distance = torch.cdist(others, views[:, 1])
    assert (distance.argmin(1) != torch.arange(50)).all() and distance.amin(1).max() < 0.1


def test_hybrids_read_rows_as_the_estimator_does():
    fitted = small(FFTransformer, negatives="hybrid_mask").fit(X)
    assert fitted.negatives_.image_shape == SHAPE
    with pytest.raises(ValueError, match="give the shape once"):
        small(FFTransformer, negatives=HybridMask((4, 4, 4))).fit(X)


class Same(Augmentation):
    def __call__(self, images, draws):
        return images


class As(Augmentation):
    def __init__(self, change):
        self.change = change

    def __call__(self, images, draws):
        return self.change(images)


@pytest.mark.parametrize("batches", [{"batch_size": 600}, {"batch_size": 50, "shuffle": False}])
def test_an_identity_augmentation_does_not_change_rows(batches):
    same, plain = (small(augmentation=given, **batches).fit(X, Y) for given in (Same(), None))
    np.testing.assert_allclose(same.loss_curve_, plain.loss_curve_, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda images: images[:, :, :6], "shape"),
        (lambda images: images[1:], "shape"),
        (lambda images: images.half(), "float16"),
        (lambda images: images.numpy(), "as a torch tensor"),
        (lambda images: images / 0, "NaN or infinity"),
    ],
)
def test_what_an_augmentation_returns_is_checked(change, message):
    with pytest.raises(ValueError, match=message):
        small(augmentation=As(change)).fit(X, Y)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"image_shape": None, "augmentation": "shifts"}, "set image_shape"),
        ({"image_shape": (1, 8, 9)}, "means 72 pixels, but X has 64"),
        ({"image_shape": (8, 8)}, "no shape of an image"),
        ({"augmentation": "turns"}, "one of ['shifts']"),
        ({"augmentation": Shifts(0)}, "max_pixels must be a whole number of at least 1"),
        ({"augmentation": Shifts}, "is a class"),
        ({"augmentation": Shifts(8)}, "8 x 8 pixels out of sight"),
        ({"augmentation": Shifts(64), "image_shape": (1, 1, 64)}, "1 x 64 pixels out of sight"),
        ({"augmentation": "shifts", "negatives": HeldOutClasses([9])}, "one without the other"),
        ({"augmentation": lambda image: image[:, 1:]}, "an image of the shape given"),
        ({"augmentation": PerImage(lambda image: None)}, "as a torch tensor"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError) as error:
        small(**params).fit(X, Y)
    assert message in str(error.value)


def test_a_name_has_no_parameters_to_set():
    with pytest.raises(ValueError, match=r"augmentation=Shifts\(max_pixels=...\)"):
        small(augmentation="shifts").set_params(augmentation__max_pixels=1)
    changed = small(augmentation=Shifts()).set_params(augmentation__max_pixels=1)
    assert changed.augmentation.max_pixels == 1
