"""Estimators in files that last: equal estimators come back, or one clear error."""

import builtins
import json
import pickle
import re
import sys

import golden_files
import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris
from sklearn.metrics import f1_score, make_scorer
from sklearn.pipeline import make_pipeline
from skorch.callbacks import EarlyStopping
from torch import nn

import sklearn_ff
from sklearn_ff import (
    FFClassifier,
    FFOutlierDetector,
    FFTransformer,
    FFWarning,
    ModelFileError,
    load,
    register,
    save,
)
from sklearn_ff._files import read, write
from sklearn_ff._registry import NAMES
from sklearn_ff.callbacks import LayerMetric
from sklearn_ff.goodness import Goodness, goodness
from sklearn_ff.layers import Block, Conv2d, Module
from sklearn_ff.negatives import HeldOutClasses, OwnRows
from sklearn_ff.overlays import Add
from sklearn_ff.persistence import SCHEMA

X, y = load_iris(return_X_y=True)
X, y = X[::3], y[::3]


def classifier(**params):
    return FFClassifier(**{"hidden_layer_sizes": 6, "max_iter": 2, "random_state": 0, **params})


def transformer(**params):
    return FFTransformer(**{"hidden_layer_sizes": 6, "max_iter": 2, "random_state": 0, **params})


def stem(path):
    return path.stem


def again(model, folder):
    save(model, folder / "model")
    return load(folder / "model")


def answers(model):
    if isinstance(model, FFOutlierDetector):
        return [model.score_samples(X), model.predict(X)]
    found = [model.transform(X), model.layer_scores(X)]
    if isinstance(model, FFClassifier):
        return [*found, model.predict_proba(X), model.predict(X)]
    return [*found, model.score_samples(X)]


def shown(model):
    return re.sub("0x[0-9a-f]+", "0x", repr(model))  # of callbacks


def check_same(one, other):
    for first, second in zip(answers(one), answers(other), strict=True):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)


@register("test: wavy")
def wavy(a):
    return torch.sin(a)


@register("test: strong head")
class Strong(FFClassifier):
    """A class of the user's."""


class MeanAbsolute(Goodness):
    def __init__(self, power=1.0):
        self.power = power

    def score(self, h):
        return h.abs().pow(self.power).mean(-1)


@pytest.fixture(autouse=True, scope="module")
def named():
    """The name of `MeanAbsolute`, for these tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(goodness.registry, "test_mean_absolute", MeanAbsolute)
        yield


@register("test: spread")
def spread(scores, labels):
    return scores.std()


@register("test: module")
def module(shape):
    return nn.Sequential(nn.Linear(shape[0], 5), nn.BatchNorm1d(5), nn.Dropout(0.1))


CASES = {
    "defaults": classifier(),
    "hybrid": classifier(prediction="hybrid", negatives="hard", dropout=0.1),
    "one part per layer": classifier(
        hidden_layer_sizes=(5, 4), goodness=["top_k", "mean_square"], alpha=np.array([0.1, 0.2])
    ),
    "images": FFClassifier(
        image_shape=(1, 2, 2),
        layers=[Conv2d(4, kernel_size=1), Block([8, 8]), 8],
        overlay="spatial",
        max_iter=2,
        random_state=0,
    ),
    "modules": FFClassifier(
        layers=[Module(module)],
        goodness="readout",
        callbacks=[LayerMetric(spread)],
        max_iter=2,
        random_state=0,
    ),
    "own parts": Strong(6, max_iter=2, activation=wavy, goodness=MeanAbsolute(2.0), random_state=0),
    "a tensor": classifier(overlay=Add(matrix=torch.eye(3, 4)), optimizer=torch.optim.SGD),
    "sparse numbers": classifier(overlay=Add(matrix=csr_array(np.eye(3, 4)))),
    "stages": classifier(max_iter="auto", schedule=[("all", 2), ("head", 1)], prediction="head"),
    "transformer": transformer(output="triangle", device=torch.device("cpu")),
    "own rows": transformer(negatives=OwnRows(X[:7] + 1)),
    "held out": transformer(negatives=HeldOutClasses([2])),
    "outliers": FFOutlierDetector(transformer(), random_state=0),
    "supervised": transformer(supervised=True, precision="float32"),
}


@pytest.mark.fault("G3")
@pytest.mark.parametrize("case", CASES)
def test_predictions_are_equal_to_the_bit(case, tmp_path):
    model = CASES[case].fit(X, y)
    twin = again(model, tmp_path)
    assert type(twin) is type(model)
    assert shown(twin) == shown(model)
    check_same(twin, model)
    published = {name for name in vars(model) if name.endswith("_")}
    assert published == {name for name in vars(twin) if name.endswith("_")}
    np.testing.assert_equal(getattr(twin, "history_", None), getattr(model, "history_", None))


LABELS = {
    "texts": np.array(["a", "bc", "ñ\ud800"])[y],
    "objects": np.array(["a", "bc", "ñ"], dtype=object)[y],
    "int8": y.astype(np.int8),
    "bools": y > 0,
    "floats": y.astype(np.float32),
    "dates": np.array(["2001-01-01", "2002-01-01", "2003-01-01"], "M8[D]")[y],
}


@pytest.mark.fault("G3")
@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind_come_back(kind, tmp_path):
    model = classifier(max_iter=1).fit(X, LABELS[kind])
    twin = again(model, tmp_path)
    assert twin.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


@pytest.mark.fault("G3")
@pytest.mark.parametrize("optimizer", ["adam", "adafactor", ["sgd", "rmsprop"]])
def test_learning_goes_on_as_without_a_file(optimizer, tmp_path):
    model = classifier(
        hidden_layer_sizes=(6, 4), dropout=0.1, negatives="hard", optimizer=optimizer
    )
    model.partial_fit(X, y, classes=[0, 1, 2])
    twin = again(model, tmp_path)
    check_same(twin.partial_fit(X, y), model.partial_fit(X, y))
    for one in (model, twin):
        one.set_params(warm_start=True).fit(X, y)
    check_same(twin, model)


def test_what_was_set_after_the_fit_and_beside_it_comes_back(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    with config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True).set_output(transform="pandas")
        model.fit(frame, y).set_params(max_iter=7, optimizer="bogus", prediction="last")
        twin = again(model, tmp_path)
        assert twin.get_metadata_routing().fit.requests["sample_weight"] is True
    assert twin.transform(frame).columns.tolist() == model.transform(frame).columns.tolist()
    assert list(twin.feature_names_in_) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(twin.predict_proba(frame), model.predict_proba(frame))
    twin.set_params(max_iter=2, optimizer="adam", prediction="goodness")
    assert twin.fit(frame, y).n_iter_ == 2


def test_a_generator_goes_on_where_it_was(tmp_path):
    model = classifier(random_state=np.random.RandomState(3)).fit(X, y)
    twin = again(model, tmp_path)
    check_same(twin.fit(X, y), model.fit(X, y))


def test_an_estimator_that_is_not_fitted_is_saved_too(tmp_path):
    assert repr(again(classifier(tol=None), tmp_path)) == repr(classifier(tol=None))


class Strange(Goodness):
    def score(self, h):
        return h.mean(-1)


@pytest.mark.fault("H6")
def test_what_was_fitted_on_a_device_that_is_not_there_goes_on_on_the_cpu(tmp_path):
    save(classifier().partial_fit(X, y, classes=[0, 1, 2]), tmp_path / "model")
    content, arrays = read(tmp_path / "model")
    plan = content["fitted"]["plan"]["of"]
    place = plan.index(["device", "cpu"])
    plan[place] = ["device", "cuda:77"]
    write(tmp_path / "model", content, arrays)
    with pytest.warns(FFWarning, match="fitted on the device 'cuda:77'.*loaded on the CPU"):
        twin = load(tmp_path / "model")
    check_same(twin, classifier().partial_fit(X, y, classes=[0, 1, 2]))
    assert np.isfinite(twin.partial_fit(X, y).predict_proba(X)).all()


@pytest.mark.fault("G8")
@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"activation": torch.sin}, r"activation is '.*sin'.*register it by"),
        ({"goodness": Strange()}, "goodness is 'Strange'"),
        ({"hidden_layer_sizes": (3, 3), "goodness": ["top_k", Strange()]}, r"goodness\[1\] is"),
        ({"layers": [Module(lambda shape: nn.Linear(shape[0], 3))]}, "factory of layers.0.=Module"),
        ({"callbacks": [EarlyStopping()]}, r"EarlyStopping.*callbacks=None"),
        ({"class_weight": {0: 1j}}, r"class_weight\[0\] is 1j, a complex"),
    ],
)
def test_what_has_no_name_is_refused_by_its_place_and_name(params, named, tmp_path):
    save(classifier(), tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    with pytest.raises(ModelFileError, match=named):
        save(classifier(**params), tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == before
    assert [*tmp_path.iterdir()] == [tmp_path / "model"]


@pytest.mark.fault("G8")
def test_a_name_that_is_not_registered_here_is_an_error(tmp_path):
    save(classifier(activation=wavy), tmp_path / "model")
    content, arrays = read(tmp_path / "model")
    content["params"]["activation"] = {"is": "own", "of": "os.system"}
    write(tmp_path / "model", content, arrays)
    with pytest.raises(ModelFileError, match=r"needs 'os\.system'.*register"):
        load(tmp_path / "model")


def test_other_estimators_are_refused(tmp_path):
    for other in (make_pipeline(classifier()), BaseEstimator(), None):
        with pytest.raises(TypeError, match="save takes an estimator of sklearn_ff"):
            save(other, tmp_path / "model")


@pytest.mark.fault("G3")
def test_neither_pickle_nor_imports_are_on_the_way(tmp_path, monkeypatch):
    model = classifier().fit(X, y)

    def forbidden(*args, **kwargs):
        raise AssertionError("pickle, or an import by name")

    for name in ("loads", "load", "dumps", "dump", "Unpickler"):
        monkeypatch.setattr(pickle, name, forbidden)
    monkeypatch.setattr(torch, "load", forbidden)
    monkeypatch.setattr(builtins, "eval", forbidden)
    monkeypatch.setattr(builtins, "exec", forbidden)
    before = set(sys.modules)
    check_same(again(model, tmp_path), model)
    assert set(sys.modules) == before


@pytest.mark.fault("G3")
@pytest.mark.parametrize("path", sorted(golden_files.FOLDER.glob("*.safetensors")), ids=stem)
def test_files_of_every_schema_load(path):
    told = json.loads(path.with_suffix(".json").read_text("utf-8"))
    model = load(path)
    assert type(model).__name__ in told["repr"]
    if told["answers"] is not None:
        np.testing.assert_allclose(
            golden_files.answers(model), told["answers"], rtol=1e-6, atol=1e-12
        )


def test_the_present_schema_has_golden_files():
    there = {path.stem for path in golden_files.FOLDER.glob(f"schema{SCHEMA}-*.safetensors")}
    assert len(there) > 4


def test_a_later_schema_is_named(tmp_path):
    save(classifier(), tmp_path / "model")
    content, arrays = read(tmp_path / "model")
    write(tmp_path / "model", {**content, "schema": 99, "version": "9.0"}, arrays)
    with pytest.raises(ModelFileError, match=r"schema 99 of sklearn_ff 9\.0.*install a later"):
        load(tmp_path / "model")


def test_the_file_of_a_fit_is_the_same_every_time(tmp_path):
    save(classifier().fit(X, y), tmp_path / "one")
    save(classifier().fit(X, y), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert json.loads(json.dumps(read(tmp_path / "one")[0]))["version"] == sklearn_ff.__version__


def test_a_file_keeps_its_mode_and_may_have_a_long_name(tmp_path):
    model, path = FFClassifier(8), tmp_path / ("n" * 250)
    save(model, path)
    path.chmod(0o600)
    save(model, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path).get_params() == model.get_params()


@pytest.mark.parametrize(
    "name, error", [("", IsADirectoryError), ("nowhere/file", FileNotFoundError)]
)
def test_a_place_where_no_file_can_be_is_named(tmp_path, name, error):
    with pytest.raises(error, match="folder"):
        save(FFClassifier(8), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_registered_scorer_is_known_in_clones(tmp_path, monkeypatch):
    scorer = make_scorer(f1_score, average="macro")
    model = FFClassifier(8, early_stopping=True, scoring=scorer)
    with pytest.raises(ModelFileError, match="with the object itself"):
        save(model, tmp_path / "model")
    monkeypatch.setitem(NAMES, "macro f1", scorer)  # as register does
    save(clone(model), tmp_path / "model")
    assert load(tmp_path / "model").scoring is scorer
    other = clone(model).set_params(scoring=make_scorer(f1_score, average="micro"))
    with pytest.raises(ModelFileError, match="with the object itself"):
        save(other, tmp_path / "model")
