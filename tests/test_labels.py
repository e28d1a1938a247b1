"""Labels, and rows held out, that cannot be learned from: one sentence that names the argument."""

from datetime import time, timedelta
from decimal import Decimal
from enum import IntEnum

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import DataConversionWarning

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.negatives import HeldOutClasses

pl = pytest.importorskip("polars")
X, y = load_iris(return_X_y=True)
y2 = y % 2
FRAME = pd.DataFrame(X, columns=list("abcd"))


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


def classifier(**params):
    return FFClassifier(**{"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0, **params})


def transformer(**params):
    return FFTransformer(**{"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0, **params})


def of(*values):
    return [values[i % len(values)] for i in range(150)]


def objects(*values):
    return np.array(of(*values), dtype=object)


MISSING = {
    "None": of(None, "1"),
    "None among numbers": of(None, 1),
    "nan among strings": of("a", np.nan),
    "nan": np.array(of(0.0, 1.0, np.nan)),
    "objects": objects("a", None),
    "nullable integers": pd.array(of(0, 1, None), dtype="Int64"),
    "nullable strings": pd.Series(of("a", "b", None), dtype="string"),
    "nullable bool": pd.Series(of(True, False, None), dtype="boolean"),
    "categorical": pd.Categorical(of("a", "b", None)),
    "categorical numbers": pd.Categorical(of(0, 1, None)),
    "polars": pl.Series(of("a", "b", None)),
    "dates": np.array(of("2020-01-01", "NaT"), dtype="M8[D]"),
    "masked": np.ma.array(y2, mask=y2 == 1),
}
MIXED = {
    "list": of("0", 1),
    "tuple": tuple(of("0", 1)),
    "column": [[label] for label in of("0", 1)],
    "bool": of(True, "a"),
    "objects": objects("0", 1),
    "categorical": pd.Categorical(of("0", 1)),
}
NO_LIST = {
    "set": {0, 1},
    "keys": dict.fromkeys([0, 1]).keys(),
    "dict": {0: 1, 1: 2},
    "map": map(int, "01"),
    "str": "01",
    "int": 2,
}
OTHER = {
    "Decimal": objects(Decimal(0), Decimal(1)),
    "complex": np.array(of(0j, 1j)),
    "two columns": np.column_stack([y2, y2]),
    "ragged": [*([[0]] * 75), *([[0, 1]] * 75)],
    "infinite": np.array(of(0.0, np.inf)),
    "structured": np.array(of((0, 1.0), (1, 1.0)), dtype=[("a", int), ("b", float)]),
    "scalar": np.array(1),
}
BAD = {
    **{f"missing {name}": (value, "contains") for name, value in MISSING.items()},
    **{f"mixed {name}": (value, "mixes labels of types") for name, value in MIXED.items()},
    **{f"no list {name}": (value, "given as a list") for name, value in NO_LIST.items()},
    **{f"other {name}": (value, "") for name, value in OTHER.items()},
}


def fit_with_y_val(labels):
    classifier().fit(X, y2, X_val=X, y_val=labels)


CALLS = {
    "fit": ("y", lambda labels: classifier().fit(X, labels)),
    "partial_fit": ("y", lambda labels: classifier().partial_fit(X, labels, classes=[0, 1])),
    "y_val": ("y_val", fit_with_y_val),
    "classes": ("classes", lambda labels: classifier().partial_fit(X, y2, classes=labels)),
    "classes, later": (
        "classes",
        lambda labels: classifier().partial_fit(X, y2, [0, 1]).partial_fit(X, y2, labels),
    ),
    "supervised": ("y", lambda labels: transformer(supervised=True).fit(X, labels)),
    "supervised classes": (
        "classes",
        lambda labels: transformer(supervised=True).partial_fit(X, y2, classes=labels),
    ),
    "held out": ("y", lambda labels: transformer(negatives=HeldOutClasses([1])).fit(X, labels)),
    "HeldOutClasses": (
        "HeldOutClasses",
        lambda labels: transformer(negatives=HeldOutClasses(labels)).fit(X, y2),
    ),
}


def check_refusal(error, name, message):
    text = str(error)
    assert text.startswith((name, f"Input {name} ", "Sparse")), text
    assert "\n" not in text and len(text) < 300, text
    assert message in text or name == "HeldOutClasses"


@pytest.mark.filterwarnings("ignore:A column-vector")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("bad", BAD)
def test_invalid_labels_are_refused_in_one_sentence(call, bad):
    name, function = CALLS[call]
    labels, message = BAD[bad]
    with pytest.raises(ValueError) as refusal:
        function(labels)
    check_refusal(refusal.value, name, message)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("labels", [np.array(of(b"a", b"b")), of(b"a", b"b"), of(b"a", "b")])
def test_bytes_are_refused_as_by_scikit_learn(call, labels):
    name, function = CALLS[call]
    with pytest.raises(TypeError, match=f"^{name} holds labels represented as bytes"):
        function(labels)


@pytest.mark.parametrize(
    "labels, expected",
    [
        (objects(0, 1), [0, 1]),
        (objects(0, 1.0), [0, 1]),
        (objects(True, False), [False, True]),
        (pd.Series(of(0, 1), dtype="Int64"), [0, 1]),
        (pd.Series(of("a", "b"), dtype="string"), ["a", "b"]),
        (pd.Series(of("a", "b")), ["a", "b"]),
        (pd.Categorical(of(1, 0)), [0, 1]),
        (pl.Series(of("a", "b")), ["a", "b"]),
        (torch.tensor(y2), [0, 1]),
        (np.array(of("2020-01-01", "2021-01-01"), dtype="M8[D]"), None),
        (tuple(of("a", "b")), ["a", "b"]),
        (range(150), None),
    ],
)
@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_labels_of_other_containers_are_learned(labels, expected):
    model = classifier().fit(X, labels)
    expected = model.classes_.tolist() if expected is None else expected
    assert model.classes_.tolist() == expected
    assert set(model.predict(X).tolist()) <= set(expected)
    later = classifier().partial_fit(X, labels, classes=model.classes_)
    assert later.classes_.tolist() == expected
    assert classifier().fit(X, labels, X_val=X, y_val=labels).validation_scores_


@pytest.mark.parametrize(
    "classes",
    [
        (0, 1, 2),
        range(3),
        [2, 1, 0, 0, 1],
        np.array([0, 1, 2], dtype=object),
        pd.Index([0, 1, 2]),
        pd.Series([0, 1, 2], index=[5, 6, 7]),
        pd.Categorical([0, 1, 2]),
        pl.Series([0, 1, 2]),
        [0.0, 1.0, 2.0],
    ],
)
def test_classes_come_in_any_list_or_array(classes):
    for model in (classifier(), transformer(supervised=True)):
        assert model.partial_fit(X, y, classes=classes).classes_.tolist() == [0, 1, 2]
        model.partial_fit(X, y, classes=classes)
    held_out = transformer(negatives=HeldOutClasses(classes[:1]))
    assert held_out.fit(X, np.where(y == next(iter(classes)), y, 5)).n_iter_ == 1


@pytest.mark.parametrize(
    "classes, message",
    [
        ([0], "leaves 1 to learn, but at least two"),
        ([], "leaves 0 to learn, but at least two"),
        ([1, 1], "leaves 1 to learn"),
        ([0, 0.5, 1], "fractions"),
        ([[0, 1, 2]], "1d array"),
    ],
)
@pytest.mark.parametrize("make", [classifier, lambda: transformer(supervised=True)])
def test_classes_too_few_or_of_no_kind_are_refused(make, classes, message):
    with pytest.raises(ValueError, match=rf"^classes.*{message}"):
        make().partial_fit(X, y2, classes=classes)


STRINGS = np.array(["a", "b"])[y2]
DIGITS = np.array(["0", "1"])[y2]


@pytest.mark.parametrize("labels", [STRINGS, DIGITS, DIGITS.astype(object)])
def test_labels_of_another_type_than_the_classes_are_refused(labels):
    number, string = r"numbers, such as 0", r"strings, such as '[a0]'"
    for call, message in (
        (
            lambda: classifier().partial_fit(X, y2, classes=np.unique(labels)),
            f"y .*{number}.*{string}",
        ),
        (lambda: classifier().partial_fit(X, labels, classes=[0, 1]), f"y .*{string}.*{number}"),
        (lambda: classifier().fit(X, y2, X_val=X, y_val=labels), f"y_val .*{string}.*{number}"),
        (lambda: classifier().fit(X, labels, X_val=X, y_val=y2), f"y_val .*{number}.*{string}"),
        (lambda: classifier(warm_start=True).fit(X, y2).fit(X, labels), f"y .*{string}.*{number}"),
        (
            lambda: transformer(negatives=HeldOutClasses([0])).fit(X, labels),
            f"HeldOutClasses .*{number}.*{string}",
        ),
        (
            lambda: transformer(supervised=True).partial_fit(X, labels, classes=[0, 1]),
            f"y .*{string}.*{number}",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{message}; give labels of one type"):
            call()


def test_a_second_call_with_classes_of_another_type_is_refused():
    model = classifier().partial_fit(X, y2, classes=[0, 1])
    with pytest.raises(ValueError, match="not the same as on the last call"):
        model.partial_fit(X, y2, classes=["0", "1"])


def test_bool_and_numbers_are_of_one_kind():
    assert classifier().partial_fit(X, y2 == 1, classes=[0, 1]).classes_.tolist() == [0, 1]
    assert classifier().fit(X, y2 == 1, X_val=X, y_val=y2).classes_.dtype == bool


def test_unseen_labels_of_y_val_are_named():
    with pytest.raises(
        ValueError, match=r"^y_val contains labels .* \[2\]; the classes are \[0 1\]"
    ):
        classifier().fit(X, y2, X_val=X, y_val=y)


@pytest.mark.parametrize("name", ["y", "y_val"])
def test_a_column_is_taken_with_a_warning(name):
    with pytest.warns(DataConversionWarning, match=f"A column-vector {name} was passed"):
        if name == "y":
            classifier().fit(X, y[:, None])
        else:
            classifier().fit(X, y, X_val=X, y_val=y[:, None])


# Rows held out ----------------------------------------------------------------------------------


def changed(value):
    rows = X.copy()
    rows[3, 1] = value
    return rows


@pytest.mark.parametrize(
    "rows, message",
    [
        (changed(np.nan), "^Input X_val contains NaN"),
        (changed(np.inf), "^Input X_val contains infinity"),
        (changed(1e300), "^Input X_val contains infinity or a value too large"),
        (X[:, :2], "^X_val has 2 features, but FFClassifier is expecting 4"),
        (X[:9], "^X_val has 9 rows, but y_val has 150 labels"),
        (X[:, 0], "^X_val: Expected 2D array"),
        (X[:0], "^X_val: Found array with 0 sample"),
        (X[:, :, None], "^X_val: Found array with dim 3"),
        ([*X.tolist()[:-1], ["a"] * 4], "^X_val holds text"),
        (X + 1j, "^X_val: Complex data not supported"),
        ({1}, "^X_val"),
        (FRAME.rename(columns={"a": "z"}), "^X_val: The feature names should match"),
        (FRAME[list("dcba")], "^X_val: The feature names should match"),
    ],
)
def test_errors_about_X_val_name_it(rows, message):
    with pytest.raises((ValueError, TypeError), match=message):
        classifier().fit(FRAME if hasattr(rows, "columns") else X, y, X_val=rows, y_val=y)


def test_errors_about_images_of_X_val_name_it():
    with pytest.raises(ValueError, match=r"^X_val has 4 dimensions, but images come as flat rows"):
        classifier(image_shape=(1, 2, 2)).fit(X, y, X_val=X.reshape(150, 1, 2, 2), y_val=y)


@pytest.mark.parametrize("given", [{"X_val": X}, {"y_val": y}])
def test_rows_held_out_need_labels_and_labels_rows(given):
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        classifier().fit(X, y, **given)


# Weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weight",
    [
        *("balanced", {1.0}, {0: 1.0}, map(float, range(150)), np.nan, np.inf, -1.0),
        *(of(1, None), of(1, np.nan), of(1, np.inf), of(1, -1), of("a"), of(1j), of([1], [1, 2])),
        *([1.0] * 9, [], np.ones((150, 1)), np.zeros(150), np.array(1.0)),
        *(pd.array(of(1, None), dtype="Int64"), np.ma.array(np.ones(150), mask=y == 1)),
    ],
)
def test_invalid_weights_are_refused_by_name(weight):
    for call in (
        lambda: classifier().fit(X, y, sample_weight=weight),
        lambda: classifier().partial_fit(X, y, classes=[0, 1, 2], sample_weight=weight),
    ):
        with pytest.raises((ValueError, TypeError), match="sample_weight") as refusal:
            call()
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("make", [classifier, lambda **p: transformer(supervised=True, **p)])
def test_a_warm_start_without_some_class_is_refused_as_by_scikit_learn(make):
    model = make(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"classes of the last fit, \[0 1 2\], but it has \[0 1\]"):
        model.fit(X[:100], y[:100])
    assert model.partial_fit(X[:100], y[:100]).classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("make", [of, objects])
@pytest.mark.parametrize("values", [(2**63, -1), (2**70, 1)])
def test_integers_that_no_type_holds_together_are_refused(values, make):
    with pytest.raises(ValueError, match=r"no type of 64 bits .*astype\(str\)"):
        classifier().fit(X, make(*values))
    with pytest.raises(ValueError, match=r"^classes holds integers that no type of 64 bits"):
        classifier().partial_fit(X, y2, classes=list(values))


@pytest.mark.parametrize("make", [of, objects])
def test_large_integers_without_a_sign_are_exact(make):
    labels = make(2**64 - 1, 1)
    fitted = classifier(hidden_layer_sizes=(16,), max_iter=20).fit(X, labels)
    assert fitted.classes_.tolist() == [1, 2**64 - 1]
    assert fitted.score(X, labels) == np.mean(fitted.predict(X) == np.array(labels, dtype=object))


def test_members_of_an_enumeration_in_a_column_of_objects_are_scored():
    sizes = pl.Series(of(*Size), dtype=pl.Object)
    assert 0 <= classifier().fit(X, sizes).score(X, sizes) <= 1


NOT_SCORED = {
    "None": (of(1, None), "contains None, .*; remove"),
    "None among objects": (objects(1, None), "contains None, .*; remove"),
    "two types": (objects("a", 1), "mixes labels .*; give"),
    "NA": (pd.array(of(1, None), dtype="Int64"), "contains NaN, .*; remove"),
    "null of polars": (pl.Series(of(1, None)), "contains NaN, .*; remove"),
    "null among categories": (pl.Series(of("a", None), dtype=pl.Categorical), "contains None, "),
    "NaT": (np.array(of("2020", "NaT"), dtype="datetime64[D]"), "contains .*NaT.*; remove"),
    "masked": (np.ma.masked_equal(y2, 1), "contains masked values, .*; remove"),
    "strings": (of("a", "b"), "holds strings, .* the classes are numbers, .*; give"),
    "dates": (np.array(of("2020", "2021"), dtype="datetime64[D]"), "holds dates, .*; give"),
    "times": (of(time(1), time(2)), "holds objects of type time, .*; convert"),
    "large integers": (of(2**70, 1), "holds integers that no type .*; convert"),
}


@pytest.fixture(scope="module")
def of_numbers():
    return classifier().fit(X, y2)


@pytest.mark.parametrize("values, words", NOT_SCORED.values(), ids=NOT_SCORED)
def test_what_cannot_be_compared_with_the_classes_is_not_scored(of_numbers, values, words):
    with pytest.raises(ValueError, match=f"^(Input )?y {words}"):
        of_numbers.score(X, values)


@pytest.mark.parametrize(
    "value, remedy", [(timedelta(1), "'timedelta64"), (time(1), r"by astype\(str")], ids=range(2)
)
def test_the_remedy_for_labels_suits_their_type(value, remedy):
    with pytest.raises(ValueError, match=f"type {type(value).__name__}, .*{remedy}"):
        classifier().fit(X, of(value))
