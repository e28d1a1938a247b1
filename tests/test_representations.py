"""What estimators and parts are shown as: their parameters, never the values of data."""

import functools
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.negatives import Corruption, OwnRows
from sklearn_ff.objectives import Logistic
from sklearn_ff.overlays import Add, Overlay, Replace

X, Y = load_iris(return_X_y=True)
SECRET = 123456.789
ROWS = np.full((5, 4), SECRET)
KINDS = {
    "array": np.asarray,
    "list": np.ndarray.tolist,
    "tuples": lambda rows: tuple(map(tuple, rows)),
    "sparse": csr_array,
    "data frame": pd.DataFrame,
    "tensor": torch.from_numpy,
    "one row": lambda rows: rows[:1],
}


class Shown(Overlay):
    def __init__(self, codes):
        self.codes = codes

    def code(self, n_features, n_classes):
        return torch.as_tensor(self.codes)


def added(rows, n_features, n_classes):
    return np.asarray(rows)[:n_classes]


PARTS = {
    "rows": lambda rows: {"negatives": OwnRows(rows), "prediction": "head"},
    "matrix": lambda rows: {"overlay": Add(matrix=rows)},
    "own part": lambda rows: {"overlay": Shown(rows)},
    "function in a part": lambda rows: {"overlay": Add(functools.partial(added, rows))},
    "function in negatives": lambda rows: {
        "negatives": Corruption(functools.partial(added, rows)),
        "prediction": "head",
    },
}


def representations(thing):
    yield from (repr(thing), str(thing), f"{thing}", f"{[thing]}", f"{ {'a': thing} }")
    for changed_only in (True, False):
        with sklearn.config_context(print_changed_only=changed_only):
            yield repr(thing)
            yield estimator_html_repr(thing)


def holders(params):
    clf = FFClassifier(4, max_iter=1, **params)
    yield clf
    yield from (part for part in params.values() if not isinstance(part, str))
    yield make_pipeline(clf)
    yield GridSearchCV(clf, {"negatives": [*params.values()], "overlay": [*params.values()]})
    yield VotingClassifier([("a", clf), ("b", FFClassifier(**params))])
    yield make_pipeline(FFTransformer(**{k: v for k, v in params.items() if k != "prediction"}))


@pytest.mark.fault("G10")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", PARTS)
def test_no_representation_shows_values_of_data(part, kind):
    for holder in holders(PARTS[part](KINDS[kind](ROWS))):
        for text in representations(holder):
            assert "12345" not in text and "1.2345" not in text


@pytest.mark.fault("G10")
@pytest.mark.filterwarnings("ignore:Layers")  # nothing is learned in an epoch
def test_fitted_estimators_and_logs_show_no_values_either(capsys):
    for params in (PARTS["rows"](ROWS), PARTS["matrix"](ROWS[:3] + np.eye(3, 4))):
        clf = FFClassifier(4, max_iter=1, verbose=1, input_normalization="rms", **params).fit(X, Y)
        texts = [*representations(clf), repr(clf.overlay_), repr(clf.negatives_), repr(clf.net_)]
        for text in (*texts, *capsys.readouterr()):
            assert "12345" not in text and "1.2345" not in text


REFUSED = [
    *({name: ROWS} for name in ("overlay", "negatives", "goodness", "objective", "activation")),
    *({name: ROWS.tolist()} for name in ("overlay", "negatives", "goodness", "augmentation")),
    {"overlay": Add(matrix=ROWS)},
    {"overlay": Replace(features=ROWS)},
    {"overlay": functools.partial(added, ROWS, 1)},
    {"negatives": OwnRows(ROWS[:, :2]), "prediction": "head"},
    {"negatives": OwnRows(np.where(np.eye(5, 4), np.nan, ROWS)), "prediction": "head"},
    {"negatives": OwnRows(ROWS)},
    {"hidden_layer_sizes": ROWS},
    {"prediction_layers": ROWS},
    {"learning_rate_init": ROWS},
]


@pytest.mark.parametrize("params", REFUSED, ids=lambda params: "-".join(params))
def test_errors_show_shapes_instead_of_values(params):
    with pytest.raises(ValueError) as error:
        FFClassifier(**{"hidden_layer_sizes": 4, "max_iter": 1} | params).fit(X, Y)
    assert re.search("|".join([*params, "overlay", "features"]), str(error.value))
    assert "12345" not in str(error.value) and "1.2345" not in str(error.value)


def test_a_part_is_shown_by_what_was_changed():
    assert repr(OwnRows(ROWS)) == "OwnRows(rows=<ndarray of shape (5, 4)>)"
    assert repr(Add(matrix=ROWS.tolist(), strength=2.0)) == (
        "Add(matrix=<list of shape (5, 4)>, strength=2.0)"
    )
    assert repr(Add()) == "Add()"
    assert repr(Logistic((0.5, 1.0))) == "Logistic((0.5, 1.0))".replace("((", "(threshold=(")
    assert repr(Replace([3, 1, 2])) == "Replace(features=[3, 1, 2])"


def test_parameters_are_kept_as_given():
    part = OwnRows(ROWS)
    assert part.get_params()["rows"] is ROWS
    assert FFClassifier(negatives=part).get_params()["negatives__rows"] is ROWS
    for again in (clone(part), pickle.loads(pickle.dumps(part))):
        assert type(again) is OwnRows
        np.testing.assert_array_equal(again.rows, ROWS)
    assert part.set_params(rows=ROWS[:2]) is part and len(part.rows) == 2
