"""Which layers learn in which epochs: a schedule, made definite as a list of stages."""

from numbers import Integral
from typing import NamedTuple

import numpy as np


class Stage(NamedTuple):
    """So many epochs in which `layers` learn (none: the head alone), the first `depth` existing."""

    layers: tuple
    epochs: int
    depth: int


def stages_of(schedule, n_layers, epochs, head=False, depth=0):
    """The stages of "simultaneous", "greedy", or a list of pairs (layers, epochs).

    In a list, layers that the last fit has taught, the first `depth`, exist from the beginning.
    """
    every = tuple(range(n_layers))
    if schedule == "simultaneous":
        return [Stage(every, epochs, n_layers)]
    if schedule == "greedy":
        return [Stage((layer,), epochs, layer + 1) for layer in every]
    stages = []
    for layers, n_epochs in pairs_of(schedule):
        taught = taught_layers(schedule, layers, n_layers, head)
        depth = max([depth, *(layer + 1 for layer in taught)])
        stages.append(Stage(taught, int(n_epochs), depth or n_layers))
    return stages


def pairs_of(schedule):
    """The list itself, if it is one of pairs whose epochs are positive whole numbers."""
    pairs = [entry for entry in schedule if isinstance(entry, (tuple, list)) and len(entry) == 2]
    if not pairs or len(pairs) != len(schedule):
        raise ValueError(
            f"schedule={schedule!r} is not a list of stages; give pairs (layers, epochs), such as "
            f"[('all', 10), ('head', 5)]."
        )
    for _, epochs in pairs:
        if not isinstance(epochs, Integral) or isinstance(epochs, bool) or epochs < 1:
            raise ValueError(
                f"schedule={schedule!r} has a stage of {epochs!r} epochs; give a positive whole "
                f"number."
            )
    return pairs


def taught_layers(schedule, layers, n_layers, head):
    """Indices of the layers that an entry of the list names; none where it names the head."""
    if isinstance(layers, str) and layers == "head":
        if not head:
            raise ValueError(
                f"schedule={schedule!r} teaches the head, but neither prediction nor negatives "
                f"want one; leave that stage out, use negatives='hard', or in a classifier "
                f"prediction='head' or 'hybrid'."
            )
        return ()
    if isinstance(layers, str) and layers == "all":
        return tuple(range(n_layers))
    layers = layers.tolist() if isinstance(layers, np.ndarray) else layers
    given = [layers] if isinstance(layers, Integral) else layers
    whole = isinstance(given, (list, tuple, range)) and len(given) > 0
    whole = whole and all(isinstance(i, Integral) and not isinstance(i, bool) for i in given)
    if not whole or not all(-n_layers <= i < n_layers for i in given):
        raise ValueError(
            f"schedule={schedule!r} names {layers!r}, which is no layer; the {n_layers} layers are "
            f"0 to {n_layers - 1}, 'all' means all of them, and 'head' the softmax head."
        )
    return tuple(sorted({int(i) % n_layers for i in given}))


def check_taught(schedule, stages, counted):
    """Raise ValueError where a list leaves out a layer that counts for prediction."""
    untaught = sorted(set(counted) - {layer for stage in stages for layer in stage.layers})
    if untaught:
        raise ValueError(
            f"schedule={schedule!r} never teaches layers {untaught}, which count for prediction; "
            f"add a stage for them, or choose other layers to count."
        )
