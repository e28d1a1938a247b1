"""What a named run of `run.py` is, and backpropagation on the same layers."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from sklearn_ff import FFClassifier, recipes
from sklearn_ff.layers import Module
from sklearn_ff.normalizations import normalizations

HEAD, BOTH = ("head",), ("goodness", "head")
# Parameters that mean the same with backpropagation.
SHARED = ("activation", "augmentation", "batch_size", "dropout", "image_shape", "max_iter")


@dataclass
class Run:
    """One named run; errors are shares, published figures as they were published."""

    make: Callable  # random state -> estimator
    rules: tuple = ("goodness",)  # prediction rules to score; empty: `predict`
    data: str = "mnist"
    classes: tuple = ()  # that are scored; empty: all
    learned: tuple = ()  # classes of the training rows; empty: all
    n_train: int = 0  # training rows, of which the others are held out; 0: all
    every: int = 0  # epochs between scores; 0: none
    watch_test: bool = False  # score test rows, for a maximum over epochs as published
    train_error: bool = False
    published: dict = field(default_factory=dict)  # rule: text
    epochs: int = 0  # of the recipe, where they are more than ours
    by: str = ""  # what predicts, where it is not the rule of that name
    instead: dict = field(default_factory=dict)  # rule: why there is no figure of ours
    against: str = ""  # the run of backpropagation on the same layers


def beside(run):
    """Backpropagation on the layers of a run: in one block, with its epochs, batches and images.

    Normalisation between layers, which hides goodness from the next layer, is left out. Where it
    centres activations too, as batch normalisation does, every layer gets that of its own, without
    which deep networks learn less well.
    """

    def make(seed):
        clf = run.make(seed)
        same = {name: getattr(clf, name) for name in SHARED} | {"max_iter": epochs_of(clf)}
        layers = list(clf.layers or np.atleast_1d(clf.hidden_layer_sizes).tolist())
        if centers(clf.normalization):
            layers = [normalized(kind) for kind in layers]
        if clf.dropout:  # that of the block drops the units of its last layer only
            layers = [part for kind in layers for part in (kind, Module(dropout(clf.dropout)))][:-1]
        return recipes.backpropagation(layers, **same, random_state=seed)

    common = {"data": run.data, "n_train": run.n_train, "epochs": run.epochs}
    return Run(make, **common, by="backpropagation")


def centers(normalization):
    """Whether activations are centred between layers."""
    part = normalizations.get(normalization)
    return part.centers or part.local


def normalized(kind):
    """A layer with batch normalisation before its activation, or a block of such layers."""
    if kind.composite:
        return kind.changed(kinds=[normalized(inner) for inner in kind.kinds])
    return kind.changed(norm="batch")


def epochs_of(clf):
    """Epochs of an estimator, over all stages of its schedule."""
    if isinstance(clf.schedule, list):
        return sum(stage[1] for stage in clf.schedule)
    return clf.max_iter


def with_backpropagation(runs):
    """Each run, and backpropagation below it."""
    found = {}
    for name, run in runs.items():
        run.against = f"{name}_backprop"
        found |= {name: run, run.against: beside(run)}
    return found


class dropout:
    """A function that makes a torch layer of dropout, and is written as it is called."""

    def __init__(self, share):
        self.share = share

    def __call__(self, shape):
        return nn.Dropout(self.share)

    def __repr__(self):
        return f"dropout({self.share})"


def network_of(clf):
    """The network of this package that an estimator is, or a pipeline begins with; or None."""
    first = clf[0] if hasattr(clf, "steps") else clf
    return first if hasattr(first, "negatives") else None


def learner_of(clf):
    """The estimator that has `max_iter`: a network, or the member of an ensemble."""
    clf = getattr(clf, "estimator", clf)
    network = network_of(clf)
    return clf if network is None else network


def losses_of(clf):
    """The loss of every epoch; of an ensemble the means of its members'."""
    if hasattr(clf, "estimators_"):
        return np.mean([losses_of(one) for one in clf.estimators_], 0)
    return learner_of(clf).loss_curve_


def is_classifier(clf):
    """Whether the estimator itself predicts by the rules of this package."""
    return isinstance(clf, FFClassifier)
