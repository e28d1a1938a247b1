"""Parameters that have a `get_params` of another kind than scikit-learn's: plain values."""

import inspect
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from torch import nn
from torchvision import transforms as v1
from torchvision.transforms import v2

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.augmentations import PerImage
from sklearn_ff.goodness import TopK

pytestmark = pytest.mark.filterwarnings("ignore:image_shape=.* has no effect")

X, Y = load_digits(return_X_y=True)
X, Y = X[:60] / 16, Y[:60] % 2
CASES = {
    "CenterCrop": dict(size=8),
    "CutMix": dict(num_classes=2),
    "FiveCrop": dict(size=4),
    "GaussianBlur": dict(kernel_size=3),
    "GaussianNoise": dict(sigma=0.1),
    "Grayscale": dict(num_output_channels=1),
    "Lambda": dict(lambd=torch.Tensor.clone),
    "LinearTransformation": dict(transformation_matrix=torch.eye(64), mean_vector=torch.zeros(64)),
    "MixUp": dict(num_classes=2),
    "Normalize": dict(mean=[0.5], std=[0.5]),
    "Pad": dict(padding=0),
    "RandomAffine": dict(degrees=5),
    "RandomCrop": dict(size=8, padding=1),
    "RandomResize": dict(min_size=8, max_size=9),
    "RandomResizedCrop": dict(size=8, antialias=True),
    "RandomRotation": dict(degrees=5),
    "RandomShortestSize": dict(min_size=8),
    "RandomSolarize": dict(threshold=0.5),
    "RandomPosterize": dict(bits=4),
    "Resize": dict(size=8, antialias=True),
    "ScaleJitter": dict(target_size=(8, 8)),
    "TenCrop": dict(size=4),
    "ToDtype": dict(dtype=torch.float64),
}
OTHERS = ("AutoAugmentPolicy", "InterpolationMode", "SanitizeKeyPoints", "ToTensor")  # no pickle
LISTED = ("Compose", "RandomApply", "RandomChoice", "RandomOrder")


def transforms_of(module):
    """An instance of every transform of a module that can be made."""
    for name in module.__all__ if hasattr(module, "__all__") else dir(module):
        cls = getattr(module, name)
        if not inspect.isclass(cls) or name in OTHERS:
            continue
        given = dict(CASES.get(name, {}))
        if name in LISTED:
            given = {"transforms": [module.RandomRotation(5), module.ColorJitter(0.1)]}
        try:
            yield pytest.param(cls(**given), id=f"{module.__name__}.{name}")
        except TypeError:  # a base, or one of videos, boxes or whole batches
            continue


TRANSFORMS = [*transforms_of(v1), *transforms_of(v2)]


def images(augmentation, cls=FFClassifier):
    params = {"max_iter": 1, "random_state": 0, "image_shape": (1, 8, 8)}
    # Some transforms hold tensors on the CPU.
    return cls((8,), **params, augmentation=augmentation, device="cpu")


def keeps_images(transform):
    """Whether it can vary images of floating numbers; some want bytes, by chance."""
    try:
        seen = [transform(torch.tensor(X[0]).view(1, 8, 8)) for _ in range(30)]
    except Exception:
        return False
    return all(isinstance(one, torch.Tensor) and one.shape == (1, 8, 8) for one in seen)


def same(value, other):
    return repr(value) == repr(other)


def test_most_transforms_are_tried_and_many_have_a_get_params_of_another_kind():
    given = [case.values[0] for case in TRANSFORMS]
    assert len(given) > 80
    assert sum(hasattr(one, "get_params") for one in given) >= 8
    assert sum(map(keeps_images, given)) > 40


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_estimators_with_any_transform_are_copied_shown_and_fitted(transform):
    clf = images(transform)
    again = clone(clf)
    assert type(again.augmentation) is type(transform)
    assert again.augmentation is not transform
    assert clf.get_params()["augmentation"] is transform
    assert type(transform).__name__ in repr(clf)
    assert type(transform).__name__ in clf._repr_html_()
    assert same(pickle.loads(pickle.dumps(clf)).augmentation, transform)
    assert clf.set_params(alpha=0.1, augmentation=transform).augmentation is transform
    if keeps_images(transform):
        fitted = pickle.loads(pickle.dumps(again.fit(X, Y)))
        assert fitted.predict(X).shape == Y.shape


class Foreign(nn.Module):
    """A callable whose methods have the names of scikit-learn's."""

    def forward(self, a):
        return a.abs()

    def get_params(self, image):
        raise AssertionError("this is no parameter")

    def set_params(self, image):
        raise AssertionError("this is no parameter")


class Score(Foreign):
    def forward(self, h):
        return h.abs().mean(-1)


class Loss(Foreign):
    def forward(self, scores):
        return nn.functional.softplus(scores[:, 1:] - scores[:, :1]).mean(1)


def foreign(**params):
    return FFClassifier(**dict(hidden_layer_sizes=(8, 8), max_iter=2, random_state=0) | params)


FOREIGN = {
    "activation": Foreign(),
    "goodness": Score(),
    "objective": Loss(),
    "goodness of every layer": [Score(), TopK(3)],
    "objective of every layer": [Loss(), "symba"],
    "hyperparameters": {"n": Foreign()},
}


@pytest.mark.parametrize("case", FOREIGN)
def test_methods_of_the_same_name_are_no_parameters(case):
    name, value = case.split()[0], FOREIGN[case]
    name = "optimizer_params" if name == "hyperparameters" else name
    clf = foreign(**{name: value})
    again = clone(clf)
    assert same(again, clf)
    assert getattr(again, name) is not value
    assert same(clone(clf.set_params(**{name: value})).get_params()[name], value)
    assert "FFClassifier" in clone(make_pipeline(MinMaxScaler(), clf))._repr_html_()
    if name != "optimizer_params":
        clf.fit(X, Y)
        assert np.isfinite(pickle.loads(pickle.dumps(clone(clf).fit(X, Y))).predict_proba(X)).all()


def test_entries_of_lists_are_set_together_with_others():
    clf = foreign(goodness=[Score(), TopK(3)])
    assert clf.get_params()["goodness__1__k"] == 3
    assert clf.set_params(goodness__1__k=4).goodness[1].k == 4
    assert clone(clf).goodness[1] is not clf.goodness[1]


@pytest.mark.parametrize(
    "key",
    ["augmentation__degrees", "goodness__0__k", "activation__inplace", "alpha__x", "callbacks__0"],
)
def test_plain_values_have_no_parameters_to_set(key):
    clf = foreign(
        augmentation=v2.RandomRotation(5), goodness=[Score(), TopK(3)], activation=nn.ReLU()
    )
    with pytest.raises(ValueError, match="has no parameter"):
        clf.set_params(**{key: 5})
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        clf.set_params(nothing__k=5)


TURNS = v2.Compose([v2.RandomRotation(5), v2.ColorJitter(0.1)])


@pytest.mark.parametrize("given", [TURNS, ["flips", TURNS]])
def test_values_of_many_lines_are_refused_in_one(given):
    with pytest.raises(ValueError, match=r"^augmentation=[^\n]*\(degrees[^\n]*set image_shape"):
        images(given).set_params(image_shape=None).fit(X, Y)
    if given is TURNS:
        with pytest.raises(ValueError, match=r"^augmentation=[^\n]* has no parameter 'degrees'"):
            images(given).set_params(augmentation__degrees=3)


@pytest.mark.parametrize("cls", [FFClassifier, FFTransformer])
def test_a_part_that_holds_a_transform_is_copied(cls):
    est = images(PerImage(v2.RandomRotation(5)), cls)
    again = clone(est)
    assert again.augmentation.transform is not est.augmentation.transform
    assert est.get_params()["augmentation__transform"] is est.augmentation.transform
    new = v2.RandomCrop(8, padding=1)
    assert again.set_params(augmentation__transform=new).augmentation.transform is new
    assert "RandomCrop" in again._repr_html_()


@pytest.mark.slow
def test_pipelines_and_searches_with_transforms_run_in_several_processes():
    clf = make_pipeline(MinMaxScaler(), images(v2.RandomRotation(5)))
    grid = {
        "ffclassifier__hidden_layer_sizes": [(4,), (8,)],
        "ffclassifier__augmentation": [PerImage(v2.RandomCrop(8, padding=1)), None],
    }
    search = GridSearchCV(clf, grid, cv=2, n_jobs=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    search = GridSearchCV(clf, {"ffclassifier__alpha": [0.0]}, cv=2, n_jobs=2, error_score="raise")
    assert isinstance(search.fit(X, Y).best_estimator_[-1].augmentation, v2.RandomRotation)


def test_a_clone_keeps_what_was_configured_but_not_what_was_fitted():
    est = FFTransformer((8,), activation=Foreign(), max_iter=1, random_state=0)
    est.set_output(transform="pandas").fit(X)
    again = clone(est)
    assert not hasattr(again, "net_")
    assert list(again.fit_transform(X).columns)[:1] == ["fftransformer0"]
