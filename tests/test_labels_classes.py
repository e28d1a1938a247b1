"""Labels of any kind come back; one class, and classes without weight."""

from datetime import date
from enum import Enum, IntEnum
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import DataConversionWarning

from sklearn_ff import FFClassifier
from sklearn_ff._labels import checked_labels

X, y = load_iris(return_X_y=True)


def classifier(**params):
    return FFClassifier(**{"max_iter": 10, "learning_rate_init": 1e-2, "random_state": 0, **params})


LABELS = {
    "str": np.array(["a", "b", "c"]),
    "object": np.array(["a", "b", "c"], dtype=object),
    "negative": np.array([-5, 0, 7]),
    "huge": np.array([0, 2**60, 2**62]),
    "float": np.array([1.0, 2.0, 3.0]),
}


@pytest.mark.fault("C1")
@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind_come_back(kind):
    labels = LABELS[kind][y]
    fitted = classifier().fit(X, labels)
    assert fitted.predict(X).dtype == labels.dtype
    assert fitted.score(X, labels) > 0.8


@pytest.mark.fault("C1")
def test_bool_categorical_and_column_labels_are_taken():
    assert classifier().fit(X, y == 0).predict(X).dtype == bool
    assert classifier().fit(X, pd.Categorical(np.array(list("abc"))[y])).predict(X)[0] == "a"
    with pytest.warns(DataConversionWarning):
        classifier().fit(X, y[:, None])


class Colour(str, Enum):  # noqa: UP042, whose str is a name
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


TYPES = {
    "boolean": (pd.array([False, True], dtype="boolean"), np.array([False, True])),
    "Int64": (pd.array([2**60, 2**60 + 1], dtype="Int64"), np.array([2**60, 2**60 + 1])),
    "UInt64": (pd.array([1, 2**64 - 1], dtype="UInt64"), np.array([1, 2**64 - 1], dtype="u8")),
    "Float32": (pd.array([0.0, 1.0], dtype="Float32"), np.array([0, 1], dtype="f4")),
    "sparse": (pd.arrays.SparseArray([False, True]), np.array([False, True])),
    "objects": (np.array([1, 2], dtype=object), np.array([1, 2])),
    "object booleans": (np.array([False, True], dtype=object), np.array([False, True])),
    "enumeration": (np.array([*Size], dtype=object), np.array([1, 2])),
    "strings": (np.array(["a", "bb"], dtype=np.dtypes.StringDType()), np.array(["a", "bb"], "O")),
    "dates": (pd.Categorical(pd.to_datetime(["2020", "2021"])), np.array(["2020", "2021"], "M8")),
}


@pytest.mark.fault("C1")
@pytest.mark.parametrize("kind", TYPES)
def test_labels_in_types_of_other_libraries_come_back_equal(kind):
    labels, values = TYPES[kind]
    clf = classifier(hidden_layer_sizes=4, max_iter=1).fit(X, labels[y % 2])
    assert clf.classes_.dtype == values.dtype or kind == "dates"
    np.testing.assert_array_equal(clf.classes_, values)
    assert clf.score(X, labels[y % 2]) == np.mean(clf.predict(X) == values[y % 2])
    frame = pd.DataFrame({"label": labels[y % 2]})
    with pytest.warns(DataConversionWarning):
        np.testing.assert_array_equal(checked_labels(frame, "y"), values[y % 2])


@pytest.mark.parametrize("container", [list, lambda values: np.array(values, dtype=object)])
def test_strings_of_an_enumeration_are_their_values(container):
    labels = container([[*Colour][i] for i in y % 2])
    clf = classifier(hidden_layer_sizes=4, max_iter=1).fit(X, labels)
    assert clf.classes_.tolist() == ["blue", "red"]
    assert {type(label) for label in clf.predict(X).tolist()} <= {str}


@pytest.mark.parametrize(
    "bad, message",
    [
        ([date(2020, 1, 1), date(2021, 1, 1)], r"type date.*numpy.asarray\(y, dtype='datetime64"),
        (pd.to_datetime(["2020", "2021"], utc=True), r"type Timestamp.*datetime64"),
        ([Fraction(1), Fraction(2)], r"type Fraction.*astype\(int\) or astype\(str\)"),
        (pd.array([None, 1], dtype="Int64"), "contains NaN, but no value may be missing; remove"),
    ],
    ids=["dates", "time zone", "fractions", "missing"],
)
def test_labels_that_can_be_converted_are_refused_with_how_to(bad, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, [bad[i] for i in y % 2] if isinstance(bad, list) else bad[y % 2])


@pytest.mark.fault("C2")
@pytest.mark.parametrize(
    "bad",
    [
        np.array([b"a", b"b"])[y % 2],
        np.array([1, "a"], dtype=object)[y % 2],
        np.array([None, 1], dtype=object)[y % 2],
        np.array([np.nan, 1.0])[y % 2],
        np.linspace(0, 1, 150),
        np.eye(3, dtype=int)[y] + np.eye(3, dtype=int)[(y + 1) % 3],
    ],
)
def test_labels_that_are_not_classes_are_refused_readably(bad):
    with pytest.raises((ValueError, TypeError)) as refusal:
        classifier().fit(X, bad)
    assert "'<' not supported" not in str(refusal.value)


@pytest.mark.fault("C3")
def test_one_class_is_refused():
    with pytest.raises(ValueError, match="class"):
        classifier().fit(X, np.zeros(150))
    with pytest.raises(ValueError, match="class"):
        classifier().fit(X, y, sample_weight=(y == 1).astype(float))


@pytest.mark.fault("C9")
def test_names_of_the_classes_do_not_matter():
    p = classifier().fit(X, y).predict_proba(X)
    renamed = classifier().fit(X, np.array(["x", "y", "z"])[y]).predict_proba(X)
    np.testing.assert_array_equal(p, renamed)
    turned = classifier(max_iter=400).fit(X, 2 - y).predict(X)
    straight = classifier(max_iter=400).fit(X, y).predict(X)
    assert np.mean(2 - turned == straight) > 0.95


@pytest.mark.slow
@pytest.mark.fault("C10")
@pytest.mark.parametrize("negatives", ["uniform", "hard", "all"])
@pytest.mark.parametrize("how", ["sample_weight", "class_weight"])
@pytest.mark.parametrize("absent", [0, 7])
def test_a_class_that_weighs_nothing_stays_and_is_never_predicted(negatives, how, absent):
    A, labels = load_digits(return_X_y=True)
    seen = labels != absent
    model = classifier(negatives=negatives, max_iter=10)
    if how == "class_weight":
        model.set_params(class_weight={absent: 0})
    fitted = model.fit(A, labels, sample_weight=1.0 * seen if how == "sample_weight" else None)
    assert fitted.classes_.tolist() == list(range(10))
    assert fitted.class_count_[absent] == 0 and fitted.class_count_.sum() == seen.sum()
    p = fitted.predict_proba(A)
    assert p.shape == (len(A), 10) and np.isfinite(p).all()
    assert fitted.score(A[seen], labels[seen]) > 0.9
    assert not (fitted.predict(A) == absent).any()


@pytest.mark.fault("C10")
def test_a_single_class_that_weighs_something_is_refused():
    with pytest.raises(ValueError, match="two classes with a weight above zero"):
        classifier(class_weight={0: 0, 1: 0}).fit(X, y)
