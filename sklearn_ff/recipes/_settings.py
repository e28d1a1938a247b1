"""What recipes share: settings, and those that an override leaves without effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from .._base import BaseFF
from .._classifier import FFClassifier
from .._params import brief
from .._parts import is_number
from ..goodness import goodness
from ..negatives import negatives
from ..predictions import checked_rule
from ..schedules import checked_schedule

E = TypeVar("E", bound=BaseFF)


def ready(
    settings: dict[str, Any],
    overrides: dict[str, Any],
    estimator: type[E] = FFClassifier,  # type: ignore[assignment]
) -> E:
    """The estimator, without settings that have no effect beside an override."""
    unused = _replaced_by(overrides) | _without_place({**settings, **overrides})
    kept = {name: value for name, value in settings.items() if name not in unused}
    return estimator(**{**kept, **overrides})


def stages(pairs: Sequence[Any], overrides: dict[str, Any], otherwise: str) -> Any:
    """The schedule of these stages, or another one for other epochs or layers than theirs."""
    return otherwise if overrides.keys() & {"max_iter", "layers"} else [*pairs]


def refuse_sizes(name: str, overrides: dict[str, Any], instead: str = "n_channels") -> None:
    """Raise TypeError where `overrides` give the sizes of layers that are not dense."""
    if "hidden_layer_sizes" in overrides:
        how = f"{instead}, or layers" if instead else "layers"
        raise TypeError(f"{name} has no hidden_layer_sizes; give {how}.")


def shown_as(image_shape: Any, overrides: dict[str, Any]) -> dict[str, Any]:
    """The shape of the images, for dense layers only where an augmentation reads it."""
    return {} if overrides.get("augmentation") is None else {"image_shape": image_shape}


def checked_sizes(name: str, sizes: Any, n: int | None = None, alone: bool = False) -> list[int]:
    """Positive whole numbers, one per layer, `n` of them if given; `alone`: or a number for one."""
    given = [sizes] if alone and is_number(sizes) else sizes
    listed = [*given] if isinstance(given, (list, tuple, range, np.ndarray)) else []
    if not listed or not all(is_number(one, whole=True) and one > 0 for one in listed):
        listed = []
    if not listed or len(listed) != (n or len(listed)):
        many = "a list of" if n is None else n
        raise ValueError(
            f"{name}={brief(sizes)} must be {many} positive whole numbers, one per layer; other "
            f"networks are given as layers."
        )
    return [int(one) for one in listed]


def _replaced_by(overrides: dict[str, Any]) -> set[str]:
    """Names of the settings that an override replaces."""
    unused = set()
    if _holds_epochs(overrides.get("schedule", "greedy")):
        unused.add("max_iter")
    if overrides.get("layers") is not None:
        unused.add("hidden_layer_sizes")
    if not _shows_labels(overrides):
        unused.add("overlay")
    return unused


def _holds_epochs(schedule: Any) -> bool:
    """Whether a schedule states its epochs, as a list does."""
    try:
        return checked_schedule(schedule).holds_epochs
    except ValueError:  # fit raises the error
        return False


def _without_place(settings: dict[str, Any]) -> set[str]:
    """Names of settings of a head, or of several layers, where these do not exist."""
    unused, layers = set(), settings.get("layers")
    layers = settings["hidden_layer_sizes"] if layers is None else layers
    if isinstance(layers, int) or len(layers) == 1:
        unused |= {"prediction_layers", "output_layers"}
    try:
        needs_head = negatives.get(settings.get("negatives", "hard")).needs_head
        needs_head |= checked_rule(settings.get("prediction", "goodness")).needs_head
    except ValueError:  # fit says what is not known
        return unused
    if not needs_head:
        unused.add("head")
    return unused


def _shows_labels(overrides: dict[str, Any]) -> bool:
    """Whether layers are shown labels with these overrides."""
    try:
        scores = goodness.get(overrides.get("goodness", "mean_square")).scores_classes
        rows = negatives.get(overrides.get("negatives", "hard"))
    except ValueError:  # fit raises the error
        return True
    return not scores and (rows.labelled or not rows.of_rows)
