"""Small fitted networks of many kinds, for the tests of a network that is called on raw rows."""

import warnings
from functools import cache

import torch
from devices import DEVICE
from sklearn.datasets import load_digits

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.layers import Block, Conv2d, LocallyConnected2d, Module
from sklearn_ff.predictions import EarlyExit, Hybrid

DIGITS, DIGIT = (part[:300] for part in load_digits(return_X_y=True))
IMAGES = {"image_shape": (1, 8, 8), "overlay": "channel"}


def factory(shape):
    return torch.nn.Sequential(torch.nn.Linear(shape[0], 12), torch.nn.Tanh())


MAPS = [Conv2d(8, norm="batch", pool="max"), Conv2d(8, norm="group", pool="mean"), 20]
RESIDUAL = [Block([Conv2d(4), Conv2d(1)], residual=True), Block([16, 16])]
CLASSIFIERS = {
    "dense": {},
    "conv": {"layers": MAPS, **IMAGES},
    "local": {"layers": [LocallyConnected2d(4, pool="max")], **IMAGES},
    "readout": {"goodness": "readout"},
    "head": {"prediction": "head"},
    "hybrid": {"prediction": "hybrid"},
    "hybrid of three": {"prediction": Hybrid(3)},
    "last": {"prediction": "last"},
    "softmax_sum": {"prediction": "softmax_sum"},
    "early_exit": {"prediction": EarlyExit(0.5)},
    "second layer": {"prediction_layers": [1]},
    "normalised rows": {"input_normalization": "unit", "overlay": "add"},
    "replaced columns": {"overlay": "replace", "goodness": "top_k"},
    "labels in all layers": {"overlay": "every_layer", "goodness": "neg_mean_square"},
    "groups": {"goodness": "class_groups"},
    "prototypes": {"goodness": "prototypes"},
    "blocks": {
        "layers": RESIDUAL,
        "goodness": "readout",
        "objective": "softmax",
        "image_shape": (1, 8, 8),
    },
    "module": {"layers": [20, Module(factory)]},
    "fixed layer": {"layers": [Conv2d(4, learned=False), 20], **IMAGES},
}
TRANSFORMERS = {
    "rows": {},
    "labels": {"supervised": True},
    "triangle": {"output": "triangle"},
    "maps": {"layers": [Conv2d(4, pool="max"), 20], "image_shape": (1, 8, 8)},
    "one layer": {"output_layers": [1]},
}
FIRST = {"hidden_layer_sizes": (30, 20), "max_iter": 2, "precision": "float32", "random_state": 0}


def classifier(**params):
    return FFClassifier(**{**FIRST, **params})


def transformer(**params):
    return FFTransformer(**{**FIRST, **params})


def quietly(estimator, X, y):
    """A fit too short to converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y)


def fitted(name, device=DEVICE):
    """A classifier of digits; not to be changed."""
    return _fitted(name, device)


@cache
def _fitted(name, device):
    return quietly(classifier(**CLASSIFIERS[name], device=device), DIGITS, DIGIT)
