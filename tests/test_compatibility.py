"""Combinations of parameters: what has no effect is told, what would be wrong is refused."""

import re
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.activations import activations
from sklearn_ff.augmentations import Shifts
from sklearn_ff.exceptions import FFWarning, NoEffectWarning
from sklearn_ff.goodness import goodness
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.layers import Block, Conv2d, Dense
from sklearn_ff.negatives import Uniform, negatives
from sklearn_ff.normalizations import normalizations
from sklearn_ff.objectives import objectives
from sklearn_ff.overlays import Add, Append, overlays
from sklearn_ff.schedules import Greedy, Simultaneous

X, Y = load_iris(return_X_y=True)
IMAGE = {"image_shape": (1, 2, 2)}


def made(cls=FFClassifier, **params):
    return cls(**{"hidden_layer_sizes": (6, 6), "max_iter": 2, "random_state": 0} | params)


CLASSES = {"goodness": "readout"}
ROWS = {"negatives": "noise", "prediction": "head"}
ONE, CONSTANT = {"hidden_layer_sizes": 6}, {"learning_rate": "constant"}
STAGES = {"schedule": [(0, 2), (1, 2)], "max_iter": "auto"}
NO_EFFECT = [
    (FFClassifier, {"overlay": "every_layer"} | CLASSES, "overlay"),
    (FFClassifier, {"overlay": "replace"} | CLASSES, "overlay"),
    (FFClassifier, {"overlay": Append(strength=2.0)} | CLASSES, "overlay"),
    (FFClassifier, {"overlay": Add(np.eye(3, 4)), "goodness": "class_groups"}, "overlay"),
    (FFClassifier, {"overlay": "add"} | ROWS, "overlay"),
    (FFTransformer, {"overlay": "channel"}, "overlay"),
    (FFTransformer, {"overlay": "every_layer", "supervised": True} | CLASSES, "overlay"),
    (FFClassifier, {"schedule": [("all", 2)], "max_iter": 7}, "max_iter"),
    (FFTransformer, {"schedule": [(0, 2), (1, 2)], "max_iter": 7}, "max_iter"),
    (FFClassifier, {"layers": [6], "hidden_layer_sizes": (3, 3)}, "hidden_layer_sizes"),
    (FFTransformer, {"layers": [6], "hidden_layer_sizes": 255}, "hidden_layer_sizes"),
    (FFClassifier, {"head": SoftmaxHead(alpha=0.1)}, "head"),
    (FFClassifier, {"image_shape": (1, 2, 2)}, "image_shape"),
    (FFTransformer, {"image_shape": (1, 2, 2)}, "image_shape"),
    (FFClassifier, {"prediction_layers": "skip_first"} | ONE, "prediction_layers"),
    (FFTransformer, {"output_layers": "skip_first"} | ONE, "output_layers"),
    (FFClassifier, {"tol": 1e-3}, "tol"),
    (FFTransformer, {"tol": 1e-3}, "tol"),
    (FFClassifier, {"n_iter_no_change": 3}, "n_iter_no_change"),
    (FFClassifier, {"n_iter_no_change": 3, "tol": None, **CONSTANT}, "n_iter_no_change"),
    (FFTransformer, {"n_iter_no_change": 3, **STAGES, **CONSTANT}, "n_iter_no_change"),
    (FFClassifier, {"validation_fraction": 0.3}, "validation_fraction"),
]
QUIET_MORE = {
    "head": None,
    "image_shape": None,
    "prediction_layers": "all",
    "output_layers": "all",
    "tol": 1e-4,
    "n_iter_no_change": 10,
    "validation_fraction": 0.1,
}
QUIET = QUIET_MORE | {"overlay": "append", "max_iter": "auto", "hidden_layer_sizes": (256,)}


@pytest.mark.parametrize(("cls", "params", "name"), NO_EFFECT)
def test_a_parameter_without_effect_is_reported_and_changes_nothing(cls, params, name):
    with pytest.warns(NoEffectWarning, match=f"(?s)^{name}=.*has no effect: .*;"):
        est = made(cls, **params).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoEffectWarning)
        quiet = made(cls, **params | {name: QUIET[name]}).fit(X, Y)
    np.testing.assert_array_equal(est.history_["loss"], quiet.history_["loss"])


@pytest.mark.parametrize(
    "still", [Dense(6, norm="batch", learned=False), Block([Dense(6, norm="batch")], learned=False)]
)
def test_batch_normalisation_in_a_layer_that_does_not_learn_is_reported(still):
    with pytest.warns(NoEffectWarning, match=r"norm='batch' of .* has no effect: .* not learn;"):
        made(layers=[still, 6], hidden_layer_sizes=256).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoEffectWarning)
        kinds = [Dense(6, learned=False), Dense(6, norm="batch")]
        made(layers=kinds, hidden_layer_sizes=256).fit(X, Y)


SILENT = [
    {"early_stopping": True, "validation_fraction": 0.3},
    {"prediction": "head", "head": SoftmaxHead(0.1, 0.1)},
    {"negatives": "hard", "head": SoftmaxHead(optimizer_params={"eps": 1e-7})},
    {"early_stopping": True, "tol": 1e-3, "n_iter_no_change": 3},
    {"learning_rate": "constant", "tol": 1e9, "n_iter_no_change": 1},
    {"tol": None},
    {"tol": 1e-4, "n_iter_no_change": 10, "validation_fraction": 0.1, "head": None},
    {"image_shape": (1, 2, 2), "augmentation": lambda image: image},
    {"image_shape": (1, 2, 2), "overlay": "spatial"},
    {"prediction_layers": "skip_first", "hidden_layer_sizes": (6, 6)},
    {"prediction_layers": [0]},
    {"schedule": [("all", 2)], "max_iter": "auto"},
    {"layers": [6], "hidden_layer_sizes": (256,)},
    {"layers": [6], "hidden_layer_sizes": 256},
    CLASSES,
    ROWS,
]


@pytest.mark.parametrize("params", SILENT)
def test_defaults_and_parameters_that_wait_for_another_one_are_not_warned_of(params):
    with warnings.catch_warnings():
        warnings.simplefilter("error", FFWarning)
        made(**params).fit(X, Y)


def test_partial_fit_reports_it_in_the_first_call():
    clf = made(layers=[6], hidden_layer_sizes=(3, 3))
    with pytest.warns(NoEffectWarning, match="hidden_layer_sizes"):
        clf.partial_fit(X, Y, classes=[0, 1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoEffectWarning)
        clf.partial_fit(X, Y)


def test_a_search_silences_the_warning_by_its_category():
    assert issubclass(NoEffectWarning, UserWarning)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)
        made(overlay="add", goodness="readout").fit(X, Y)


WRONG = {
    "labels in few columns of images": dict(layers=[Conv2d(4, 1)], **IMAGE),
    "overwritten columns moved": dict(overlay="replace", input_normalization="layer_norm"),
    "corrupted rows by goodness": dict(negatives="noise"),
    "corrupted rows and scores of classes": dict(negatives="noise", goodness="readout"),
    "quiet goodness above a threshold": dict(goodness="neg_mean_square", objective="logistic"),
    "sides that are compared": dict(schedule=Simultaneous("by_epoch"), objective="swish"),
    "peers that see other pixels": dict(
        layers=[Conv2d(4, 1)], overlay="channel", peer_normalization=0.1, **IMAGE
    ),
    "images of no shape": dict(augmentation="shifts"),
    "waves over no image": dict(overlay="spatial"),
    "a stage of a head that is not there": dict(schedule=[("all", 1), ("head", 1)]),
    "a layer that counts and never learns": dict(schedule=[(0, 1)]),
    "two kinds of goodness": dict(goodness=["readout", "mean_square"]),
    "more classes than units": dict(goodness="class_groups", hidden_layer_sizes=(2,)),
    "rows alone in a batch": dict(negatives="pair_sum", prediction="head", batch_size=1),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.filterwarnings("ignore::sklearn_ff.exceptions.NoEffectWarning")
def test_what_would_give_wrong_results_is_refused(case):
    with pytest.raises(ValueError):
        made(**WRONG[case]).fit(X, Y)


CHOICES = {
    "overlay": [*overlays.names, Append(2.0)],
    "negatives": ["auto", *negatives.names, Uniform(2)],
    "goodness": goodness.names,
    "objective": objectives.names,
    "activation": activations.names,
    "normalization": normalizations.names,
    "input_normalization": ["auto", *normalizations.names],
    "scaling": ["auto", "standard", "shared", "global", "running", None],
    "schedule": [
        "simultaneous",
        "greedy",
        [(0, 1), (1, 1)],
        Greedy("by_epoch"),
        Simultaneous("by_epoch"),
    ],
    "prediction": ["goodness", "head", "hybrid"],
    "prediction_layers": ["all", "skip_first"],
    "learning_rate": ["linear", "cosine", "drops", "constant", "invscaling"],
    "image_shape": [None, (1, 2, 2)],
    "augmentation": [None, Shifts(1)],
    "early_stopping": [False, True],
    "layers": [None, [6, 6]],
    "batch_size": [20, "all"],
}
REFUSALS = (
    "so that only the head can predict|for which there is no true class|is never above 0|"
    "can fall without end|learns from positive candidates without negative ones|moves a row's mean|"
    "set image_shape|early_stopping cannot judge|must not be shown|no channels to act on|"
    "each layer draws candidates of its own"
)


@pytest.mark.parametrize("seed", range(100))
def test_a_random_combination_is_fitted_or_refused_for_a_wrong_result(seed):
    rng = np.random.default_rng(seed)
    drawn = {name: values[rng.integers(len(values))] for name, values in CHOICES.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf = made(**drawn)
        try:
            clf.fit(X[::2], Y[::2])
        except ValueError as error:
            assert re.search(REFUSALS, str(error)), error
        else:
            assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize(
    "params, message",
    [
        ({}, "prediction='head'"),
        ({"prediction": "hybrid"}, "prediction='head'"),
        ({"prediction": "head", "goodness": "readout"}, "no true class; use another goodness"),
        (
            {
                "prediction": "head",
                "hidden_layer_sizes": (8, 8),
                "prediction_layers": "skip_first",
                "schedule": "greedy",
                "early_stopping": True,
            },
            "prediction_layers='all'",
        ),
    ],
    ids=["goodness", "hybrid", "scores classes", "unjudged layer"],
)
def test_data_negatives_are_refused_where_they_cannot_serve(params, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        FFClassifier(**{"max_iter": 2, "negatives": "shuffle", **params}).fit(X, y)


@pytest.mark.parametrize(
    "params",
    [
        {"negatives": "pair_sum", "prediction": "head", "overlay": "channel"},
        {"negatives": "pair_sum", "prediction": "head", "overlay": "spatial"},
        {"goodness": "readout", "overlay": "replace"},
        {"goodness": "readout", "overlay": Append(strength=50.0)},
    ],
)
def test_an_overlay_without_effect_is_reported(params):
    X, y = load_iris(return_X_y=True)
    with pytest.warns(NoEffectWarning, match=r"no effect: .* leave overlay='append'"):
        FFClassifier(8, max_iter=2, **params).fit(X, y)


def test_the_default_overlay_may_be_given_as_an_object():
    X, y = load_iris(return_X_y=True)
    FFClassifier(8, max_iter=10, goodness="readout", overlay=Append()).fit(X, y)
