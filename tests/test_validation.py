"""Rows and weights that cannot be computed with are refused by name."""

from datetime import date, time
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.callback import ProgressBar
from sklearn.datasets import load_iris
from torch import nn

from sklearn_ff import DivergenceError, FFClassifier, FFOutlierDetector, FFTransformer, save
from sklearn_ff.activations import Activation
from sklearn_ff.goodness import Goodness
from sklearn_ff.layers import Block, Module
from sklearn_ff.negatives import Corruption, OwnRows
from sklearn_ff.overlays import Overlay

X, y = load_iris(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 20, "random_state": 0, **params})


@pytest.mark.fault("D10")
@pytest.mark.parametrize(
    "bad", [-np.ones(150), np.full(150, np.nan), np.zeros(150), np.ones(149), np.ones((150, 2))]
)
def test_bad_sample_weights_are_refused(bad):
    with pytest.raises(ValueError):
        classifier().fit(X, y, sample_weight=bad)


@pytest.mark.fault("B1")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_and_infinity_are_refused(bad):
    broken = X.copy()
    broken[3, 1] = bad
    fitted = classifier().fit(X, y)
    for call in (
        lambda: classifier().fit(broken, y),
        lambda: classifier().partial_fit(broken, y, classes=[0, 1, 2]),
        lambda: fitted.predict(broken),
    ):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            call()


@pytest.mark.fault("B2")
@pytest.mark.parametrize("copies", [1, 3])
def test_values_beyond_float32_are_refused(copies):
    with pytest.raises(ValueError, match="too large"):
        classifier().fit(np.tile(X * 1e300, (copies, 1)), np.tile(y, copies))


DAYS = pd.Series(pd.date_range("2020-01-01", periods=4))
NUMBERS = {"b": [0.0, 1.0, 2.0, 3.0]}


@pytest.mark.parametrize(
    "dated",
    [
        DAYS.to_frame("a"),
        pd.DataFrame({"a": DAYS, **NUMBERS}),
        pd.DataFrame({"a": DAYS.where(DAYS.index > 0), **NUMBERS}),
        pd.DataFrame({"a": DAYS.dt.tz_localize("UTC"), **NUMBERS}),
        pd.DataFrame({"a": DAYS.dt.date, **NUMBERS}),
        pd.DataFrame({"a": DAYS.dt.to_period("D"), **NUMBERS}),
        pd.DataFrame({"a": DAYS - DAYS[0], **NUMBERS}),
        pl.DataFrame({"a": DAYS.to_numpy(), **NUMBERS}),
        pa.table({"a": DAYS.to_numpy(), **NUMBERS}),
        DAYS.to_numpy()[:, None],
        (DAYS - DAYS[0]).to_numpy()[:, None],
        [[day, 1.0] for day in DAYS.to_numpy()],
        np.array([[day, 1.0] for day in DAYS], dtype=object),
    ],
    ids=range(13),
)
def test_dates_are_refused_with_their_column(dated):
    where = " in column 'a'" if hasattr(dated, "columns") else ""
    with pytest.raises(ValueError, match=f"^X holds dates or durations{where}, .* give numbers"):
        classifier().fit(dated, [0, 1, 0, 1])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_text_is_refused_with_its_column(frame):
    towns = frame({"number": ["1", "2"], "town": ["Bern", "Rome"]})
    with pytest.raises(ValueError, match=r"'Bern', in column 'town'.*OneHotEncoder"):
        classifier().fit(towns, [0, 1])


def test_text_is_named_beside_missing_text():
    towns = pd.DataFrame({"number": [1, 2], "town": pd.array([None, "Rome"], dtype="string")})
    with pytest.raises(ValueError, match=r"^X holds text in column 'town'"):
        classifier().fit(towns, [0, 1])


@pytest.mark.fault("B1")
@pytest.mark.parametrize("missing", ["nan", None, "-inf"])
@pytest.mark.parametrize(
    "frame", [pd.DataFrame, pl.DataFrame, partial(pd.DataFrame, dtype="string")]
)
def test_missing_values_are_refused_in_numbers_that_are_text(frame, missing):
    with pytest.raises(ValueError, match=r"Input X contains (NaN|inf)"):
        classifier().fit(frame({"a": ["1", "2"], "b": ["3", missing]}), [0, 1])
    fitted = classifier(max_iter=1).fit(frame({"a": ["1", "2"], "b": ["3", "4"]}), [0, 1])
    with pytest.raises(ValueError, match=r"Input X contains (NaN|inf)"):
        fitted.predict(frame({"a": ["1", "2"], "b": ["3", missing]}))


NO_NUMBERS = {
    "NA in lists": ([[1.0, pd.NA], [2.0, 3.0]], "contains NaN"),
    "None in lists": ([[1.0, None], [2.0, 3.0]], "contains NaN"),
    "NaN in text of polars": (pl.DataFrame({"a": ["1", "nan"], "b": ["2", "3"]}), "contains NaN"),
    "NaN in text of Arrow": (pa.table({"a": ["1", "nan"], "b": ["2", "3"]}), "contains NaN"),
    "long strings": (np.array([["1", "2"], ["3", "Bern"]], np.dtypes.StringDType()), "text.*Bern"),
    "times of Arrow": (pa.table({"a": [time(1), time(2)], "b": [1, 2]}), "dates or durations"),
    "dates as objects": (pl.DataFrame({"a": pl.Series([date.min] * 2, dtype=pl.Object)}), "dates"),
    "lists": (pl.DataFrame({"a": [[1], [2]], "b": [1, 2]}), "several values in some places"),
    "a fill value": (pd.DataFrame({"a": pd.arrays.SparseArray([0, np.nan])}), "to_dense"),
}


@pytest.mark.parametrize("rows, words", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_entries_that_are_no_numbers_are_refused_with_a_remedy(rows, words):
    with pytest.raises(ValueError, match=f"X .*{words}") as refused:
        classifier().fit(rows, [0, 1])
    assert "imputer" in str(refused.value) or ";" in str(refused.value)
    model = FFTransformer(4, max_iter=1, negatives=OwnRows(rows))
    with pytest.raises(ValueError, match=f"OwnRows.*({words}|contains NaN)") as refused:
        model.fit(np.eye(2))
    assert ";" in str(refused.value)


def test_other_objects_are_refused_by_their_type_as_scikit_learn_does():
    with pytest.raises(TypeError, match=r"^X holds entries of type dict, .*; give numbers"):
        classifier().fit(np.array([[{}, 1], [{}, 2]]), [0, 1])


@pytest.mark.fault("B7")
def test_shapes_and_columns_are_checked():
    fitted = classifier().fit(pd.DataFrame(X, columns=list("abcd")), y)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(pd.DataFrame(X, columns=list("abdc")))
    for bad in (X[:0], X[:, :0], X[0], X[None]):
        with pytest.raises(ValueError):
            classifier().fit(bad, y)
    with pytest.raises(ValueError, match="features"):
        classifier().fit(X, y).predict(X[:, :2])


BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}


@pytest.mark.parametrize("value", [1e307, 1e200, 1e-310])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_of_rows_are_refused_by_name(value, method):
    clf = FFClassifier(**BRIEF)
    given = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match="largest weight of sample_weight is"):
        getattr(clf, method)(X, y, sample_weight=np.full(150, value), **given)


def test_a_product_of_weights_that_vanishes_is_refused():
    weight = np.ones(150)
    weight[0] = 1e-200
    clf = FFClassifier(class_weight={0: 1e-200, 1: 1.0, 2: 1.0}, **BRIEF)
    with pytest.raises(ValueError, match=r"sample_weight times class_weight.* too small .* 1 rows"):
        clf.fit(X, y, sample_weight=weight)


SHORT = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}
CENTRED = X - X.mean(0)
LARGE = {
    "of both signs": CENTRED / abs(CENTRED).max() * 3.4e38,
    "positive": X / X.max() * 3.4e38,
    "one column": X * [1, 1, 1, 1e37],
}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_among_them_what_is_not_finite_is_still_refused(value):
    rows = LARGE["of both signs"].astype("float32")
    rows[3, 2] = value
    with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
        FFClassifier(**SHORT).fit(rows, y)


class Empty(Goodness):
    pass


class NoCode(Overlay):
    pass


class NoFunction(Activation):
    pass


class Endless(nn.Module):
    def forward(self, z):
        return z * np.nan


class Far(Goodness):
    def score(self, h):
        return h.mean(-1) * np.nan


MESSAGES = {
    "no score": (dict(goodness=Empty()), "Empty does not define score"),
    "loss": (dict(goodness=nn.MSELoss()), "goodness=MSELoss.*must be a callable"),
    "dtype": (dict(goodness=lambda h: torch.zeros(h.shape[:-1])), "h.new_zeros"),
    "no code": (dict(overlay=NoCode()), "NoCode does not define code"),
    "no function": (dict(activation=NoFunction()), "NoFunction does not define function"),
    "endless layer": (dict(layers=[Block([4, Module(lambda shape: Endless())])]), "layers of your"),
    "endless loss": (dict(objective=lambda s: s.sum(1) * np.nan), "See that objective of your own"),
    "corruption": (dict(negatives=Corruption(lambda x: x)), "cannot be called with 2 arguments"),
    "not finite": (dict(goodness=Far()), "see that goodness of your own return"),
    "callback": (dict(callbacks=[ProgressBar()]), r"pass it by set_callbacks\(ProgressBar"),
    "layer": (dict(layers=["100"]), "whole number of dense units or Module"),
    "one layer": (dict(prediction_layers=[5]), "the only layer is 0"),
    "entries": (dict(hidden_layer_sizes=(4, 4), dropout=[0.1]), "has 1 entry for 2 layers"),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_refusals_name_the_cause_and_what_helps(kind):
    params, message = MESSAGES[kind]
    sizes = {} if "layers" in params else {"hidden_layer_sizes": 4}
    model = FFClassifier(**{**sizes, "max_iter": 1, **params})
    with pytest.raises((ValueError, NotImplementedError, DivergenceError), match=message):
        model.fit(X, y)


def test_nested_names_and_files_say_what_to_write():
    with pytest.raises(ValueError, match=r"Swish\(sharpness=\.\.\.\)"):
        FFClassifier().set_params(objective__sharpness=5.0)
    with pytest.raises(ValueError, match=r"FFTransformer\(.*then set transformer__max_iter"):
        FFOutlierDetector().set_params(transformer__max_iter=5)
    given = FFOutlierDetector().set_params(transformer=FFTransformer(), transformer__max_iter=5)
    assert given.transformer.max_iter == 5
    with pytest.raises(TypeError, match=r"save\(estimator, path\)"):
        save("model.safetensors", FFClassifier())
