"""Cases for the property tests: an estimator's parameters, and what it is fitted to.

Parameters come from `_parameter_constraints`, so that a choice that is added later is drawn without
an edit. Where a constraint does not say enough, as "array-like" does not, `special` does.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from random_parts import NUMBERS, Context, parts
from random_tables import (
    BAD_LABELS,
    BAD_TABLES,
    BAD_WEIGHTS,
    LABELS,
    WEIGHTS,
    chance,
    class_codes,
    now_and_then,
    tables,
)
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import Callback, GradientNormClipping

from sklearn_ff._automatic import AUTOMATIC
from sklearn_ff._families import NAMED
from sklearn_ff.heads import SoftmaxHead
from sklearn_ff.layers import layer_kinds
from sklearn_ff.schedules import (
    Cosine,
    Drops,
    Greedy,
    Simultaneous,
    Stages,
    checked_schedule,
    rates,
)

PHASES = st.sampled_from(["together", "by_epoch"])
SCHEDULES = st.sampled_from(
    ["simultaneous", "greedy", "in_turn", Greedy("by_epoch"), Simultaneous("by_epoch"), Greedy()]
)

# Parameters -------------------------------------------------------------------------------------


def special(name, context):
    """What constraints do not tell: lists, dicts, and what is to stay small."""
    n = context.n_layers
    each = st.lists(st.sampled_from([1e-3, 1e-2, 1.0]), min_size=n, max_size=n)
    epochs = st.lists(
        st.tuples(st.sampled_from(["all", "all", 0, [-1], "head"]), st.integers(1, 2)),
        min_size=1,
        max_size=2,
    )
    found = {
        "hidden_layer_sizes": sizes,
        "layers": st.one_of(st.none(), layer_lists(context)),
        "image_shape": st.sampled_from([None, context.image_shape]),
        "schedule": st.one_of(SCHEDULES, epochs, st.builds(Stages, epochs, PHASES)),
        "learning_rate": st.sampled_from([*rates.names, Cosine(0.1), Drops([0.5], share=0.5)]),
        "head": st.sampled_from(
            [None, SoftmaxHead(), SoftmaxHead(0.1, 0.01), SoftmaxHead(None, 1.0)]
        ),
        "optimizer": st.sampled_from(
            ["adam", "sgd", "adamw", "rmsprop", torch.optim.SGD, ["adam"] * n]
        ),
        "optimizer_params": st.sampled_from([None, {}, {"foreach": False}, [None] * n]),
        "callbacks": st.sampled_from(
            [None, [], [GradientNormClipping(1.0)], [("flat", Callback())], (Callback(),)]
        ),
        "device": st.sampled_from(["auto", "cpu"]),
        "max_iter": st.integers(1, 4),
        "n_threads": st.sampled_from([None, 1]),
        "verbose": st.just(False),
        "random_state": st.integers(0, 3),
        "learning_rate_init": st.one_of(st.sampled_from(["auto", 1e-3, 0.03, 1.0, 1e3, 1e6]), each),
        "prediction_layers": st.sampled_from(["all", "skip_first", [0], [-1]]),
        "output_layers": st.sampled_from(["all", "skip_first", [0], [-1]]),
        "class_weight": st.sampled_from(
            [None, "balanced", {label: 2.0 for label in context.labels[:1]}]
        ),
    }
    return found.get(name)


@st.composite
def layer_lists(draw, context):
    """Layers that read images before those that do not, as a network must have them."""
    kinds = st.one_of(st.integers(1, 5), parts(layer_kinds, context))
    kinds = draw(st.lists(kinds, min_size=context.n_layers, max_size=context.n_layers))
    kinds = [layer_kinds.get(k) if isinstance(k, str) else k for k in kinds]
    for kind in kinds:
        if hasattr(kind, "n_channels"):
            kind.n_channels = min(kind.n_channels, 3)
    return sorted(kinds, key=lambda kind: not getattr(kind, "reads_images", False))


sizes = st.one_of(st.integers(1, 8), st.lists(st.integers(1, 8), min_size=1, max_size=3))


def numbers(interval):
    """Some numbers of an interval, and its ends."""
    if interval.type.__name__ == "Integral":
        found = [*range(-1, 9), 100]
    else:
        ends = [end for end in (interval.left, interval.right) if end is not None]
        found = [*NUMBERS, 1e-6, 0.9, 0.999, *ends]
    return st.sampled_from([n for n in found if n in interval and abs(n) < math.inf])


def from_constraint(constraint):
    """Values that a constraint allows; None where it does not say enough."""
    if isinstance(constraint, Interval):
        return numbers(constraint)
    if isinstance(constraint, StrOptions):
        return st.sampled_from(sorted(constraint.options))
    if constraint is None:
        return st.none()
    return st.booleans() if constraint == "boolean" else None


def values(estimator, name, context):
    """Values that the estimator's parameter may have."""
    if name in NAMED:
        automatic = name in AUTOMATIC
        found = parts(NAMED[name], context)
        if name == "augmentation":
            return st.one_of(st.none(), found)
        return st.one_of(st.just("auto"), found) if automatic else found
    found = special(name, context)
    if found is None:
        told = [from_constraint(c) for c in estimator._parameter_constraints[name]]
        told = [one for one in told if one is not None]
        assert told, f"`special` says nothing about {name}, and neither do its constraints"
        found = st.one_of(told)
    return found


ODD = [None, "nonsense", "", -1, 0, 2.5, np.nan, np.inf, -np.inf, 10**15, True, [], [0], [-5]]
ODD += [{}, {"lr": 1}, {"a": np.inf}, (), ("all",), [("all", 0)], [None], ["nonsense"], [[1, 2], 3]]
ODD += [np.float32(1), np.int64(1), np.array([]), np.array([[1, 2]]), 1 + 1j, b"adam", np.bool_(1)]
ODD += [int, object(), len, Callback, torch.optim.LBFGS, torch.ones(2), [Callback], "meta"]


def is_heavy(name, value):
    """What is legal, but would take long or print."""
    names = ("max_iter", "verbose", "n_threads", "schedule")
    return name in names and value in (10**15, True)


@st.composite
def parameters(draw, estimator, context, odd=True):
    """Some of the estimator's parameters at random, the others as they come; few epochs."""
    names = [n for n in estimator._parameter_constraints if n not in ("max_iter", "random_state")]
    names = draw(st.lists(st.sampled_from(names), unique=True, min_size=2, max_size=8))
    if "hidden_layer_sizes" in names or draw(st.booleans()):
        chosen = draw(sizes)
        context.n_layers = 1 if isinstance(chosen, int) else len(chosen)
        params = {"hidden_layer_sizes": chosen}
    else:
        params = {"hidden_layer_sizes": 8}
    params |= {"max_iter": draw(st.integers(1, 4)), "random_state": draw(st.integers(0, 3))}
    for name in sorted(set(names) - {"hidden_layer_sizes"}):
        params[name] = draw(values(estimator, name, context))
    if not chance(draw, 20):
        params = harmonised(estimator, params, context)
    if odd and chance(draw, 12):
        name = draw(st.sampled_from([*estimator._parameter_constraints]))
        value = draw(st.sampled_from(range(len(ODD))).map(ODD.__getitem__))
        if not (isinstance(value, (int, bool)) and is_heavy(name, value)):
            params[name] = value
    return params


def harmonised(estimator, params, context):
    """The same, with what the facts of the chosen parts ask of other parameters."""
    given = {**estimator().get_params(deep=False), **params}
    goodness, negatives, overlay = (Facts(given, n) for n in ("goodness", "negatives", "overlay"))
    images = any(getattr(kind, "reads_images", False) for kind in given["layers"] or [])
    one_pass, of_rows, out = goodness.scores_classes, negatives.of_rows, dict(params)
    if one_pass:
        out["hidden_layer_sizes"] = len(context.labels) + 4
        out.pop("layers", None)
        images = False
    if of_rows and one_pass:
        out["negatives"] = "all"
        of_rows = False
    if of_rows and "prediction" in given:
        out["prediction"] = "head"
    if "supervised" in given:
        out["supervised"] = one_pass or (negatives.part is not None and not of_rows)
    if one_pass or of_rows:
        out.pop("overlay", None)
    elif images:
        out["overlay"] = "channel"
    kinds = [kind for kind in given["layers"] or [] if not isinstance(kind, int)]
    alone = not one_pass and not all(kind.label_inputs for kind in kinds)
    if alone and not of_rows:
        out["overlay"] = "spatial" if images else "add"
    if images or not all(kind.has_peers for kind in kinds):
        out.pop("peer_normalization", None)
    if min(context.image_shape[1:]) < 5:  # which random shifts may empty
        given["augmentation"] = None
        out.pop("augmentation", None)
    if images or given["augmentation"] is not None or overlay.needs_image:
        out["image_shape"] = context.image_shape
    if goodness.quiet:
        out["objective"] = "symba"
    schedule = checked_schedule(given["schedule"])
    if schedule.phases == "by_epoch":
        out |= {"objective": "logistic", "goodness": "mean_square"}
    if overlay.overwrites or Facts(given, "input_normalization").local:
        out.pop("input_normalization", None)
    if schedule.holds_epochs:
        stages = [stage for stage in schedule.pairs if stage[0] != "head"]
        out["schedule"] = Stages([("all", 1), *stages], schedule.phases)
    return out


class Facts:
    """What the part that a parameter stands for declares, or the first of a list; else False."""

    def __init__(self, params, name):
        value = params[name]
        value = value[0] if isinstance(value, list) else value
        by_name = isinstance(value, str) and value in NAMED[name].registry
        self.part = NAMED[name].get(value) if by_name else value
        self.part = None if self.part == "auto" else self.part

    def __getattr__(self, fact):
        return getattr(self.part, fact, False)


# Cases ------------------------------------------------------------------------------------------


@dataclass
class Case:
    """An estimator's parameters and what it is to be fitted to."""

    estimator: type
    params: dict
    X: object
    y: object
    sample_weight: object = None
    validated: bool = False


@st.composite
def image_shapes(draw, d):
    """(channels, height, width) of d pixels."""
    height = draw(st.sampled_from([n for n in range(1, d + 1) if d % n == 0]))
    return (1, height, d // height)


@st.composite
def cases(draw, estimator, odd=True):
    X = draw(tables())
    n, d = X.shape
    codes = draw(class_codes(n))
    kinds = {**LABELS, **BAD_LABELS}
    kind = now_and_then(draw, BAD_LABELS if odd else LABELS, LABELS)
    y = kinds[kind](codes)
    rng = np.random.default_rng(0)
    weigh = now_and_then(draw, BAD_WEIGHTS if odd else WEIGHTS, WEIGHTS)
    weight = {**WEIGHTS, **BAD_WEIGHTS}[weigh](rng, codes)
    labels = np.ravel(LABELS.get(kind, LABELS["whole"])(np.unique(codes))).tolist()
    context = Context(d, labels, None)
    context.image_shape = draw(image_shapes(d))
    params = draw(parameters(estimator, context, odd))
    if odd and isinstance(X, np.ndarray) and chance(draw, 30):
        X = draw(st.sampled_from([*BAD_TABLES.values()]))(X)
    return Case(estimator, params, X, y, weight, validated=chance(draw, 6))


@dataclass
class Life:
    """A case, and what is then asked of the estimator: steps (method, parameters, rows)."""

    case: Case
    steps: list


@st.composite
def lives(draw, estimator):
    """A case with some more fits, with other parameters and rows, some of them not to be had."""
    case = draw(cases(estimator, odd=False))
    d, labels = case.X.shape[1], np.unique(np.ravel(case.y)).tolist()
    context = Context(d, labels, draw(image_shapes(d)))
    rows = st.sampled_from(["same", "same", "first_half", "fewer_columns", "unseen_label"])
    steps = []
    methods = st.sampled_from(["fit", "warm", "partial_fit"])
    for method in draw(st.lists(methods, min_size=1, max_size=3)):
        params = draw(parameters(estimator, context)) if draw(st.booleans()) else {}
        if params and draw(st.booleans()):
            params.pop("hidden_layer_sizes")
        if method != "partial_fit":
            params["warm_start"] = method == "warm"
        steps.append((method, params, draw(rows)))
    return Life(case, steps)
