"""Augmentation: contracts, what the estimators make of it, and what they refuse."""

import pickle

import numpy as np
import pytest
import torch
from devices import array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from torchvision.transforms import v2

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff._draws import Draws
from sklearn_ff.augmentations import (
    Augmentation,
    Flips,
    PerImage,
    Rotations,
    Shifts,
    Views,
    augmentations,
)
from sklearn_ff.negatives import HeldOutClasses, HybridMask, PairSum

pytestmark = pytest.mark.filterwarnings("ignore:image_shape=.* has no effect")

X, Y = (part[:200] for part in load_digits(return_X_y=True))
SHAPE = (1, 8, 8)


def draws(seed=0):
    return Draws(torch.Generator().manual_seed(seed), "cpu")


def small(cls=FFClassifier, **params):
    given = {"hidden_layer_sizes": (30,), "max_iter": 4, "random_state": 0, "image_shape": SHAPE}
    return cls(**given | params)


@pytest.mark.parametrize("name", augmentations.names)
def test_images_keep_their_shape_and_are_varied_by_the_draws_alone(name):
    images = draws().uniform(60, 2, 6, 5)
    before, state = images.clone(), torch.get_rng_state()
    first, again = (augmentations.get(name)(images, draws(1)) for _ in range(2))
    assert first.shape == images.shape and torch.equal(first, again)
    assert torch.equal(images, before), "the rows of the fit are left as they are"
    assert (first != images).flatten(1).any(1).float().mean() > 0.25
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


class Largest:
    """Draws that are always the largest."""

    def uniform(self, *size):
        return torch.ones(size)


@pytest.mark.parametrize(
    "degrees, size, turned",
    [(180, (4, 7), lambda x: x.flip(2, 3)), (90, (5, 5), lambda x: x.rot90(1, (2, 3)))],
    ids=["half a turn", "a quarter"],
)
def test_rotations_turn_images_about_their_centre(degrees, size, turned):
    images = draws().uniform(3, 2, *size)
    found = Rotations(degrees)(images, Largest())
    torch.testing.assert_close(found, turned(images), rtol=0, atol=1e-5)


def test_rotations_fill_what_comes_from_outside():
    turned = Rotations(45.0, fill=-1.0)(torch.ones(1, 1, 8, 8), Largest())[0, 0]
    assert turned[0, 0] == -1 and turned[3, 3] == 1


def test_a_transform_of_torchvision_sees_one_image_at_a_time():
    shapes = []

    def noted(image):
        shapes.append(image.shape)
        return v2.RandomCrop((8, 8), padding=1)(image)

    fitted = small(augmentation=noted).fit(X, Y)
    assert set(shapes) == {torch.Size(SHAPE)} and len(shapes) == 4 * len(X)
    assert fitted.score(X, Y) > 0.3


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomCrop(16, padding=2),
        v2.RandomHorizontalFlip(),
        v2.RandomRotation(30),
        v2.RandomAffine(10, translate=(0.2, 0.2)),
        v2.RandomPerspective(p=1.0),
        v2.RandomResizedCrop(16, antialias=True),
        v2.ElasticTransform(20.0, sigma=1.0),
        v2.RandomErasing(p=0.8),
        v2.ColorJitter(0.5, 0.5, 0.5, 0.1),
        v2.GaussianBlur(3),
        v2.Compose([v2.RandomCrop(16, padding=2), v2.RandomGrayscale(0.5)]),
        v2.RandomApply([v2.RandomInvert(p=1.0)]),
        v2.RandomChoice([v2.RandomVerticalFlip(p=1.0), v2.RandomSolarize(0.5, p=1.0)]),
        v2.Compose(
            [
                v2.ToDtype(torch.uint8, scale=True),
                v2.RandAugment(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        ),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_any_transform_of_one_image_by_torchvision_serves(transform):
    images, part = draws().uniform(20, 3, 16, 16), augmentations.get(transform)
    before, state = images.clone(), torch.get_rng_state()
    first, again, other = (part(images, draws(seed)) for seed in (1, 1, 2))
    assert first.shape == images.shape and torch.equal(first, again)
    assert not torch.equal(first, other) and not torch.equal(first, images)
    assert torch.equal(images, before) and torch.equal(state, torch.get_rng_state())


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
        (lambda images: images.cpu().numpy(), "as a torch tensor"),
        (lambda images: images / 0, "NaN or infinity"),
    ],
)
def test_what_an_augmentation_returns_is_checked(change, message):
    with pytest.raises(ValueError, match=message):
        small(augmentation=As(change)).fit(X, Y)
    named = r"^augmentation\[1\] cannot be used: .*"
    for last in ([], ["shifts"]):
        with pytest.raises(ValueError, match=named + message):
            small(augmentation=["flips", As(change), *last]).fit(X, Y)


def test_an_image_of_another_shape_is_refused_by_the_entry_that_made_it():
    given = ["flips", lambda image: image[:, 1:], lambda image: image]
    with pytest.raises(ValueError, match=r"augmentation\[1\] .* an image of the shape given"):
        small(augmentation=given).fit(X, Y)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"image_shape": None, "augmentation": "shifts"}, "set image_shape"),
        ({"image_shape": (1, 8, 9)}, "means 72 pixels, but X has 64"),
        ({"image_shape": (8, 8)}, "no shape of an image"),
        ({"augmentation": "turns"}, "one of ['flips', 'rotations', 'shifts']"),
        ({"augmentation": "turns"}, "or a list of these, which act in turn"),
        ({"augmentation": Flips(0)}, "probability must be a finite number above 0 and at most 1"),
        ({"augmentation": Flips(1.5)}, "probability must be a finite number above 0 and at most 1"),
        ({"augmentation": []}, "augmentation=[] names no variation of images"),
        ({"augmentation": ()}, "names no variation of images"),
        ({"augmentation": ["shifts", "turns"]}, "augmentation[1]='turns' is not known"),
        ({"augmentation": ["shifts", None]}, "augmentation[1]=None is not known"),
        ({"augmentation": ["flips", Shifts]}, "augmentation[1]=Shifts is a class"),
        ({"augmentation": [["flips"], "shifts"]}, "augmentation[0]=['flips'] is not known"),
        ({"augmentation": ["flips", Augmentation()]}, "is the base class of such parts"),
        ({"augmentation": ["flips", Shifts(0)]}, "max_pixels must be a whole number of at least 1"),
        (
            {"augmentation": ["flips", Shifts(8)]},
            "augmentation[1] cannot be used: Shifts(max_pixels=8)",
        ),
        ({"augmentation": ["flips", lambda a, b: a]}, "augmentation[1]=<function"),
        ({"augmentation": np.array(["flips"])}, "is not known"),
        ({"augmentation": ["flips", "shifts"], "image_shape": None}, "set image_shape"),
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
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_name_has_no_parameters_to_set():
    with pytest.raises(ValueError, match=r"augmentation=Shifts\(max_pixels=...\)"):
        small(augmentation="shifts").set_params(augmentation__max_pixels=1)
    changed = small(augmentation=Shifts()).set_params(augmentation__max_pixels=1)
    assert changed.augmentation.max_pixels == 1


@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
@pytest.mark.parametrize("batch_size", [600, 200])
def test_rows_stay_as_they_are_where_images_are_overwritten(cls, batch_size):
    seen = []

    def halved(images):
        seen.append(images.max().item())
        return images.mul_(0.5)

    params = {"batch_size": batch_size, "shuffle": False}
    small(cls, augmentation=As(halved), **params).fit(X, Y)
    assert len(seen) >= 4 and set(seen) == {16.0}


# Flips ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0.2, 0.5, 1.0])
def test_flips_mirror_a_share_of_the_images(probability):
    images = draws().uniform(2000, 2, 3, 4)
    made = Flips(probability)(images, draws(1))
    mirrored = (made == images.flip(-1)).flatten(1).all(1)
    assert (mirrored | (made == images).flatten(1).all(1)).all(), "whole images, all channels"
    assert abs(mirrored.float().mean() - probability) < 0.05


# Lists ------------------------------------------------------------------------------------------


def test_the_entries_of_a_list_act_in_turn():
    seen = []

    class Noted(As):
        def __call__(self, images, draws):
            seen.append((self.change, images))
            return images + self.change

    small(augmentation=[Noted(1), Noted(2)], batch_size=600, max_iter=1).fit(X, Y)
    assert [change for change, _ in seen] == [1, 2]
    assert torch.equal(seen[0][1] + 1, seen[1][1])
    assert np.array_equal(array(seen[0][1].flatten(1)), X)


def added(image):
    return image + 1


@pytest.mark.parametrize("given", [["shifts", "flips"], [Shifts(1), v2.RandomRotation(10), added]])
@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
def test_a_list_of_names_parts_and_transforms(cls, given):
    first, tupled = (small(cls, augmentation=kind).fit(X, Y) for kind in (given, tuple(given)))
    assert first.loss_curve_ == tupled.loss_curve_
    single = small(cls, augmentation=given[0]).fit(X, Y)
    assert first.loss_curve_ != single.loss_curve_
    again = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(again.transform(X), first.transform(X))
    assert clone(first).fit(X, Y).loss_curve_ == first.loss_curve_


def test_a_list_of_one_is_its_entry():
    one, listed = (small(augmentation=given).fit(X, Y) for given in (Shifts(1), [Shifts(1)]))
    assert one.loss_curve_ == listed.loss_curve_


@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
def test_learning_goes_on_with_a_list(cls):
    classes = {"classes": range(10)}
    given = [Shifts(1), "flips"]
    model = small(cls, augmentation=given).partial_fit(X, Y, **classes)
    again = pickle.loads(pickle.dumps(model)).partial_fit(X, Y)
    assert model.partial_fit(X, Y).loss_curve_ == again.loss_curve_ and model.n_iter_ == 2
    warm = small(cls, warm_start=True, augmentation=given).fit(X, Y)
    first = warm.loss_curve_[0]
    assert warm.fit(X, Y).loss_curve_[0] < first
    assert warm.set_params(augmentation=["shifts"]).fit(X, Y).n_iter_ == 4


def test_a_fit_copies_the_parts_of_a_list_and_keeps_the_list():
    given = [Shifts(1), "flips"]
    model = small(augmentation=given).fit(X, Y)
    assert model.augmentation is given and given[1] == "flips"
    held = model._fitted.plan.augmentation
    given[0].max_pixels = 3
    assert held.parts[0].max_pixels == 1


def test_nested_names_reach_into_a_list():
    turn = v2.RandomRotation(5)
    model = small(augmentation=[Shifts(1), "flips", turn])
    params = model.get_params()
    assert params["augmentation__0__max_pixels"] == 1 and params["augmentation__1"] == "flips"
    assert params["augmentation__2"] is turn
    model.set_params(augmentation__0__max_pixels=2, augmentation__1=Flips(0.3))
    assert model.augmentation[0].max_pixels == 2 and model.augmentation[1].probability == 0.3
    copied = clone(model)
    assert copied.augmentation[0] is not model.augmentation[0]
    assert repr(copied.augmentation) == repr(model.augmentation) and "Flips" in repr(model)
    for name, sentence in [
        ("augmentation__max_pixels", "names no entry of augmentation"),
        ("augmentation__3", "names no entry of augmentation"),
        ("augmentation__2__degrees", "has no parameter 'degrees' to set"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            model.set_params(**{name: 1})
    with pytest.raises(ValueError, match=r"augmentation\[0\]='shifts' has no parameter"):
        small(augmentation=["shifts"]).set_params(augmentation__0__max_pixels=1)


def test_a_search_chooses_lists_and_numbers_in_them():
    grid = {"augmentation__0__max_pixels": [1, 2], "augmentation__1": ["flips", Flips(0.1)]}
    search = GridSearchCV(small(augmentation=[Shifts(), "flips"]), grid, cv=2).fit(X, Y)
    assert search.best_params_["augmentation__0__max_pixels"] in (1, 2)
    whole = GridSearchCV(small(), {"augmentation": [None, ["shifts", "flips"], "flips"]}, cv=2)
    assert "augmentation" in whole.fit(X, Y).best_params_


def test_pair_sum_varies_two_views_by_a_list():
    part = augmentations.get([Shifts(1), "flips"])
    x = draws().uniform(50, 64)
    first, second = Views(part, SHAPE, draws(1), n=2)(x).unbind(1)
    assert (first != second).any(1).float().mean() > 0.5
    fitted = small(FFTransformer, negatives="pair_sum", augmentation=["shifts", "flips"]).fit(X)
    assert np.isfinite(fitted.loss_curve_).all()
