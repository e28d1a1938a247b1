"""Both estimators transform: what is returned, its names and form, and its place in a Pipeline."""

import pickle

import numpy as np
import pytest
from devices import array
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff._scoring import network_scores
from sklearn_ff.layers import Conv2d
from sklearn_ff.negatives import HeldOutClasses

X, y = load_iris(return_X_y=True)
DIGITS, DIGIT = (part[:600] for part in load_digits(return_X_y=True))
BOTH = [FFClassifier, FFTransformer]


def small(cls=FFClassifier, **params):
    return cls(**{"hidden_layer_sizes": (20, 12), "max_iter": 5, "random_state": 0} | params)


class Interrupt(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


# What is returned -------------------------------------------------------------------------------

IMAGES = {
    "hidden_layer_sizes": (256,),  # the default
    "image_shape": (1, 8, 8),
    "layers": [Conv2d(4, pool="max"), 15],
}
HEADS = {
    "plain": {},
    "one layer": {"hidden_layer_sizes": 9},
    "some layers": {"prediction_layers": [-1]},
    "without the first": {"prediction_layers": "skip_first"},
    "all classes at once": {"goodness": "readout"},
    "labels everywhere": {"overlay": "every_layer"},
    "images": {**IMAGES, "overlay": "channel"},
    "corrupted rows": {"negatives": "pair_sum"},
    "rows held out": {"negatives": HeldOutClasses([8, 9])},
    "greedy": {"schedule": "greedy"},
    "cut short": {"schedule": "greedy", "callbacks": [Interrupt()]},
    "no common length": {"normalization": None},
    "single precision": {"precision": "float32"},
    "dropout": {"dropout": 0.3, "peer_normalization": 0.03},
}


@pytest.mark.parametrize("name", HEADS)
def test_a_classifiers_features_are_what_its_head_reads(name):
    model = small(prediction="head", **HEADS[name]).fit(DIGITS, DIGIT)
    head, found = model.net_.module_.head, model.transform(DIGITS)
    weight, bias = map(array, (head.weight, head.bias))
    logits = found @ weight[:, : found.shape[1]].T + bias
    np.testing.assert_allclose(logits, network_scores(*trained(model), DIGITS), atol=1e-4)


def trained(model):
    return model._fitted.network, model._fitted.plan


@pytest.mark.parametrize("layers, units", [("all", 32), ("skip_first", 12), ([0], 20), ([-1], 12)])
def test_a_classifiers_features_are_those_of_a_transformer_with_labels(layers, units):
    model = small(prediction_layers=layers, negatives="all").fit(X, y)
    twin = small(FFTransformer, output_layers=layers, negatives="all", supervised=True).fit(X, y)
    found = model.transform(X)
    assert found.shape == (150, units) and np.ptp(found, 0).max() > 0
    np.testing.assert_array_equal(found, twin.transform(X))


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("layers, units", [("all", 20), ([0], 20), ([1], 20), ([0, 1], 20)])
def test_layers_that_a_fit_has_not_reached_have_no_features(cls, layers, units):
    """If none of those that count is reached, the deepest that is stands for them."""
    params = {cls.COUNTED: layers, "schedule": "greedy", "callbacks": [Interrupt()]}
    params |= {} if cls.PREDICTS else {"output": "triangle"}
    model = small(cls, **params).fit(DIGITS, DIGIT)
    assert model.net_.module_.depth == 1
    found = model.transform(DIGITS)
    assert found.shape == (600, units) and np.isfinite(found).all()
    assert len(model.get_feature_names_out()) == units
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(DIGITS), found)


def test_a_classifier_that_goes_on_learning_transforms_anew():
    model = small().partial_fit(X, y, classes=[0, 1, 2])
    before = model.transform(X)
    after = model.partial_fit(X, y).transform(X)
    assert before.shape == after.shape and not np.array_equal(before, after)


def test_predictions_do_not_change_with_transforming():
    model = small(dropout=0.2).fit(X, y)
    before = model.predict_proba(X)
    first, second = model.transform(X), model.transform(X)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(model.predict_proba(X), before)


# Form -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_features_have_the_precision_of_the_rows(cls, precision, dtype):
    found = small(cls, precision=precision).fit(X, y).transform(X.astype(dtype))
    assert found.dtype == (np.float32 if dtype is np.float32 else np.float64)


@pytest.mark.parametrize("cls", BOTH)
def test_sparse_rows_have_the_features_of_dense_ones(cls):
    rows = csr_matrix(DIGITS)
    model = small(cls, scaling="sparse").fit(rows, DIGIT)
    found = model.transform(rows)
    np.testing.assert_allclose(found, model.transform(DIGITS), atol=1e-4)
    assert type(found) is np.ndarray and np.ptp(found, 0).max() > 0


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_come_back_with_names(cls, container):
    library, pandas = pytest.importorskip(container), pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"), index=range(1000, 1150))
    model = small(cls).set_output(transform=container)
    both = model.fit_transform(frame, y), clone(model).fit(frame, y).transform(frame)
    for found in both:
        assert isinstance(found, library.DataFrame)
        assert [*found.columns] == [f"{cls.__name__.lower()}{i}" for i in range(32)]
        np.testing.assert_array_equal(found, small(cls).fit(X, y).transform(X))
    if container == "pandas":
        assert both[0].index.equals(frame.index)


@pytest.mark.parametrize("cls", BOTH)
def test_what_is_refused(cls):
    pandas = pytest.importorskip("pandas")
    model = small(cls)
    for ask in (lambda: model.transform(X), model.get_feature_names_out):
        with pytest.raises(NotFittedError):
            ask()
    model.fit(pandas.DataFrame(X, columns=list("abcd")), y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(pandas.DataFrame(X, columns=list("abce")))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.transform(X)
    with pytest.raises(ValueError, match="expecting 4 features"):
        model.fit(X, y).transform(X[:, :3])


def test_labels_are_predicted_as_ever_where_features_come_as_frames():
    pytest.importorskip("pandas")
    model = small().set_output(transform="pandas").fit(X, y)
    assert type(model.predict(X)) is type(model.predict_proba(X)) is np.ndarray


def test_a_classifier_transforms_after_it_has_fitted_with_all_that_fit_takes():
    weight = np.arange(150.0)
    model = small(early_stopping=True)
    found = model.fit_transform(X, y, sample_weight=weight, X_val=X, y_val=y)
    assert len(model.validation_scores_) == model.n_iter_
    again = small(early_stopping=True).fit(X, y, weight, X_val=X, y_val=y)
    np.testing.assert_array_equal(found, again.transform(X))


# Company ----------------------------------------------------------------------------------------


def test_a_classifier_is_a_middle_step_and_a_last_one():
    middle = make_pipeline(StandardScaler(), small(max_iter="auto"), LogisticRegression())
    assert middle.fit(X, y).score(X, y) > 0.9
    assert middle[-1].n_features_in_ == 32
    last = make_pipeline(StandardScaler(), small(max_iter="auto")).fit(X, y)
    assert last.score(X, y) > 0.9
    np.testing.assert_array_equal(last.transform(X), last[-1].transform(last[0].transform(X)))
    assert last.get_feature_names_out()[0] == "ffclassifier0"


def test_a_classifier_is_searched_and_set_beside_other_columns():
    pipe = make_pipeline(small(), LogisticRegression())
    grid = {"ffclassifier__prediction_layers": ["all", [0]]}
    assert GridSearchCV(pipe, grid, cv=2).fit(X, y).best_score_ > 0.5
    columns = make_column_transformer((small(), [0, 1]), remainder="passthrough")
    assert columns.fit_transform(X, y).shape == (150, 34)


@pytest.mark.parametrize("cls", BOTH)
def test_copies_transform_alike(cls):
    model = small(cls).fit(X, y)
    found = model.transform(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), found)
    np.testing.assert_array_equal(clone(model).fit(X, y).transform(X), found)
