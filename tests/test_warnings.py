"""Warnings point at the line that the user has written."""

import warnings

import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ff import FFClassifier, FFTransformer, NoEffectWarning
from sklearn_ff.heads import SoftmaxHead

X, y = load_iris(return_X_y=True)
FEW = {"max_iter": 2, "random_state": 0}
CASES = {
    "no effect": (FFClassifier(8, layers=[8], **FEW), NoEffectWarning),
    "no overlay": (FFTransformer(8, overlay="add", **FEW), NoEffectWarning),
    "still falling": (FFClassifier(8, learning_rate="constant", **FEW), ConvergenceWarning),
    "lifeless": (FFClassifier(8, alpha=1e6, random_state=0), ConvergenceWarning),
    "few held out": (
        FFClassifier(8, early_stopping=True, validation_fraction=0.01, **FEW),
        UserWarning,
    ),
}


def line_of(warning):
    with open(warning.filename, encoding="utf-8") as file:
        return file.readlines()[warning.lineno - 1]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("how", ["alone", "in a pipeline", "partial_fit"])
def test_a_warning_of_fit_points_at_the_call(case, how):
    model, kind = CASES[case]
    if how == "in a pipeline":
        model = make_pipeline(StandardScaler(), model)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            if how == "partial_fit":
                model.partial_fit(X, y, classes=[0, 1, 2])  # the user's line
            else:
                model.fit(X, y)  # the user's line
        except ValueError:
            pytest.skip("partial_fit does not support this")
    found = [warning for warning in found if issubclass(warning.category, kind)]
    if how != "partial_fit":
        assert found
    for warning in found:
        assert warning.filename == __file__ and "# the user's line" in line_of(warning)


def test_a_warning_inside_a_search_points_at_the_search():
    with pytest.warns(NoEffectWarning) as found:
        cross_val_score(CASES["no effect"][0], X, y, cv=2)
    assert {warning.filename for warning in found} == {__file__}


def test_a_column_of_labels_is_pointed_at():
    with pytest.warns(DataConversionWarning) as found:
        FFClassifier(8, **FEW).fit(X, y[:, None])
    assert found[0].filename == __file__


def made(cls=FFClassifier, **params):
    return cls(**{"hidden_layer_sizes": (6, 6), "max_iter": 2, "random_state": 0} | params)


@pytest.mark.parametrize("wrap", [lambda est: est, make_pipeline])
@pytest.mark.parametrize(
    "params", [{"head": SoftmaxHead(0.1)}, {"overlay": "add", "goodness": "readout"}]
)
def test_a_warning_points_at_the_line_of_the_user(wrap, params):
    with pytest.warns(NoEffectWarning) as caught:
        wrap(made(**params)).fit(X, y)
    assert [warning.filename for warning in caught] == [__file__]
