"""The plan of a fit: every choice definite, every number known, before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from . import _automatic as automatic
from ._automatic import LARGE_LAYER, Facts
from ._families import FAMILIES
from ._images import checked_image_shape, told_shape
from ._input import Data
from ._machine import multiplies_bfloat16, pick_device
from ._open_columns import OpenColumns, open_columns
from ._params import brief, has_params
from ._parts import is_name
from ._per_layer import check_lengths, each, each_number, numbers_of, optimizers_of
from ._scaling import (
    Scaler,
    column_statistics,
    largest,
    scaler_of,
)
from ._settings import Settings
from ._typing import Shape
from .augmentations import augmentations
from .core.engine import Group
from .core.passes import PASSES
from .core.rows import n_parts
from .heads import SoftmaxHead, checked_head
from .layers import built, checked_layers, live
from .objectives import LayerFacts
from .predictions import Prediction, checked_rule
from .schedules import Schedule, Stage, checked_rate, checked_schedule, learning_stages


@dataclass(frozen=True)
class Plan:
    """Everything "auto" or by name, made definite.

    Attributes
    ----------
    settings : Settings
        The parameters as they are given, for messages.
    resume : bool
        Whether this is a call of `partial_fit`: one epoch, by the state of the last call.
    n_features, n_classes : int
        Columns of X, and classes; 1 class where no labels are learned.
    activation, overlay, negatives, goodness, objective, normalization, input_normalization : Part
        The choices of the method.
    augmentation : Augmentation or None
        How training images are varied.
    schedule : Schedule
        Which layers learn when.
    head_settings : SoftmaxHead
        How the softmax head learns, if there is one.
    kinds : tuple of LayerKind
        The layers.
    image_shape : tuple of int or None
        How a row is read as an image.
    units : tuple of int
        Numbers that each layer passes on.
    width, n_products : int
        Numbers that the widest layer holds at once per candidate, such as its units before pooling,
        and most multiply-adds of a layer per row.
    n_weights : int
        Weights of all layers, without the head's and those of readouts.
    whole_batches : bool
        Whether a layer compares the rows of a batch.
    counted : tuple of int
        Layers that count for prediction and features, and that the head reads.
    prediction : Prediction
        The rule of prediction.
    shows_labels, has_head : bool
        Whether labels are shown to layers, and whether there is a softmax head.
    dropout : tuple of float
        Of every layer.
    peer_normalization : float
        As given.
    device, dtype : str
        Where and in which precision the network computes.
    low_precision : bool
        Whether it multiplies in bfloat16 while training.
    captures : bool or "asked"
        Whether training steps are recorded and replayed on a GPU; "asked" if the user asks for it.
    scaling : str or None
        The kind of scaling; `scaler` is its state, as `Scaler.state` gives it.
    open_columns : OpenColumns or None
        Columns whose scale is not fixed yet; `scaled_anew` is whether a call of `partial_fit` has
        changed that of all columns.
    strength : float
        Of the label.
    batch_size, max_iter : int
        Rows of a batch, and epochs.
    learning_rate_init : float or list of float
        Initial rate.
    optimizers : tuple of pairs
        An optimizer and its options, for all layers or for each.
    groups : tuple of Group
        Rate and penalties of every layer, and of the head.
    stages : tuple of Stage
        The schedule, made definite.
    taught : int
        Layers that the last fit has taught.
    n_updates : int
        Updates of each stage until the end of this fit, over all calls of `partial_fit`.
    """

    settings: Settings
    resume: bool
    n_features: int
    n_classes: int
    activation: Any
    overlay: Any
    negatives: Any
    goodness: Any
    objective: Any
    normalization: Any
    input_normalization: Any
    augmentation: Any
    schedule: Schedule
    head_settings: SoftmaxHead
    kinds: tuple
    image_shape: tuple | None
    units: tuple
    width: int
    n_products: int
    n_weights: int
    whole_batches: bool
    counted: tuple
    prediction: Prediction
    shows_labels: bool
    has_head: bool
    dropout: tuple
    peer_normalization: float
    device: str
    dtype: str
    low_precision: bool
    captures: bool | str
    scaling: str | None
    scaler: dict
    open_columns: OpenColumns | None
    scaled_anew: bool
    strength: float
    batch_size: int
    max_iter: int
    learning_rate_init: Any
    optimizers: tuple
    groups: tuple
    stages: tuple
    taught: int
    n_updates: int = 0

    @property
    def passes(self) -> tuple[Any, ...]:
        """The passes over the rows of which an epoch consists."""
        return PASSES[self.schedule.phases]


def make_plan(settings: Settings, data: Data, previous: Any = None, resume: bool = False) -> Plan:
    """The plan for the rows of `data`; what the `previous` fit has fixed stays."""
    old = None if previous is None else previous.plan
    n_features, n_classes = data.X.shape[1], data.n_classes
    scale = scale_of(settings, data, old)
    facts = Facts(data.n_rows, n_classes, scale.kind if old is None else old.scaling)
    parts = parts_of(settings, facts, old)
    shape = checked_image_shape(settings.image_shape, n_features)
    for name in ("overlay", "negatives"):
        parts[name] = told_shape(parts[name], shape, n_features)
    sizes = sizes_of(settings, parts, shape or (n_features,), n_classes)
    negatives, prediction, learned = parts["negatives"], parts["prediction"], learned_of(sizes)
    has_head = negatives.needs_head or prediction.needs_head
    course = course_of(settings, parts["schedule"], sizes, has_head, data.n_rows, previous, resume)
    optimizers = optimizers_of(
        settings.optimizer,
        automatic.optimizer_params(settings, facts),
        len(learned),
        has_head,
        parts["head_settings"].optimizer_params,
    )
    rate = course.learning_rate_init
    return Plan(
        settings=settings,
        resume=resume,
        n_features=n_features,
        n_classes=n_classes,
        image_shape=shape,
        counted=counted_layers(settings, prediction, learned),
        shows_labels=negatives.labelled and n_classes > 1 and not parts["goodness"].scores_classes,
        has_head=has_head,
        dropout=tuple(each_number("dropout", settings.dropout, len(learned), below=1)),
        peer_normalization=settings.peer_normalization,
        scaling=scale.kind,
        scaler=scale.scaler.state(),
        open_columns=scale.open,
        scaled_anew=old is not None and scale.rms is not None,
        strength=strength_of(parts["overlay"], scale, data, old),
        optimizers=optimizers,
        groups=groups_of(settings, parts, sizes, rate, optimizers, has_head, data),
        **parts,
        **sizes._asdict(),
        **course._asdict(),
        **machine_of(settings, facts, parts, sizes, optimizers, old)._asdict(),
    )


class Course(NamedTuple):
    """The stages of a fit, how long they are, and the rate that it begins with; see `Plan`."""

    batch_size: int
    max_iter: int
    learning_rate_init: Any
    stages: tuple
    taught: int
    n_updates: int


def course_of(
    settings: Settings,
    schedule: Schedule,
    sizes: Sizes,
    has_head: bool,
    n_rows: int,
    previous: Any,
    resume: bool,
) -> Course:
    """The course of a fit of `n_rows`, which goes on from the `previous` one."""
    taught = 0 if previous is None else previous.network.depth
    batch_size = automatic.batch_size(settings, n_rows)
    n_batches = n_parts(n_rows, batch_size) * len(PASSES[schedule.phases])
    max_iter = 1 if resume else automatic.max_iter(settings, schedule, n_batches)
    learned = learned_of(sizes)
    stages = learning_stages(schedule.stages(len(learned), max_iter, taught), learned, has_head)
    epochs = epochs_of(settings, sizes, stages, resume)
    rate = automatic.learning_rate(settings, epochs, n_batches)
    before = previous.plan.n_updates if resume and previous is not None else 0
    n_updates = before + n_batches * max_iter
    return Course(batch_size, max_iter, rate, tuple(stages), taught, n_updates)


class Scale(NamedTuple):
    """The scaler of the columns and its kind, the root mean square of the scaled rows, where all
    columns have their scale from these, and the columns that stay open."""

    scaler: Scaler
    kind: str | None
    rms: Any  # a number, or None
    open: OpenColumns | None


def scale_of(settings: Settings, data: Data, old: Any) -> Scale:
    """The scale of the columns; what the rows before have fixed stays."""
    if old is None:
        columns = column_statistics(data.X, data.weight, data.ranks)
        scaler, kind, rms = scaler_of(columns, settings.scaling)
        return Scale(scaler, kind, rms, open_columns(scaler, kind, columns))
    if old.open_columns is None:
        return Scale(Scaler(**old.scaler), old.scaling, None, None)
    rows = data.X, data.weight
    return Scale(*old.open_columns.settled(*rows, old.scaler, old.scaling, settings.scaling))


def strength_of(overlay: Any, scale: Scale, data: Data, old: Any) -> float:
    """The strength of the label, fixed by the training rows that have fixed the scale."""
    if old is not None and scale.rms is None:
        return old.strength
    if overlay.strength == "max":
        highest = data.ranks.most(largest(scale.scaler, data.X))
        return float(highest if highest > 0 else scale.rms)
    return float(scale.rms if overlay.strength == "auto" else overlay.strength)


def parts_of(settings: Settings, facts: Facts, old: Any) -> dict[str, Any]:
    """The part that each parameter means, by its field of the plan."""
    found = {name: part_of(name, settings, facts, old) for name in FAMILIES}
    found["augmentation"] = None
    if settings.augmentation is not None:
        found["augmentation"] = augmentations.get(settings.augmentation)
        found["augmentation"].check()
    found["prediction"] = checked_rule(settings.prediction)
    found["schedule"] = checked_schedule(settings.schedule)
    found["head_settings"] = checked_head(settings.head)
    return found


def part_of(name: str, settings: Settings, facts: Facts, old: Any) -> Any:
    """The part of a family; what "auto" has come to in the `old` plan stays."""
    value, may_be_automatic = getattr(settings, name), name in automatic.AUTOMATIC
    if may_be_automatic and is_name(value, "auto"):
        fresh = old is None or not is_name(getattr(old.settings, name), "auto")
        value = automatic.automatic_part(name, settings, facts) if fresh else getattr(old, name)
    part = FAMILIES[name].get(value, name, may_be_automatic)
    part.check()
    return part


class Sizes(NamedTuple):
    """The layers, and how large they are; see `Plan`."""

    kinds: tuple
    units: tuple
    width: int
    n_products: int
    n_weights: int
    whole_batches: bool


def learned_of(sizes: Sizes) -> list[bool]:
    """Whether each layer learns."""
    return [kind.learned for kind in sizes.kinds]


def sizes_of(settings: Settings, parts: dict[str, Any], shape: Shape, n_classes: int) -> Sizes:
    """Sizes of the layers on rows of a `shape`, from a network without memory."""
    kinds = checked_layers(settings.layers, checked_units(settings.hidden_layer_sizes))
    check_lengths(parts, len(kinds))
    with torch.device("meta"):
        found = built(kinds, shape, [0] * len(kinds), False)
    own = n_classes * sum(t.n_units if parts["overlay"].plane else t.n_biases for t in found)
    return Sizes(
        kinds=tuple(kinds),
        units=tuple(affine.n_outputs for affine in found),
        width=max(live(affine) for affine in found),
        n_products=max(affine.n_products for affine in found),
        n_weights=own + sum(p.numel() for affine in found for p in affine.parameters()),
        whole_batches=any(
            affine.whole_batches or parts["normalization"].for_layer(index).whole_batches
            for index, affine in enumerate(found)
        ),
    )


def checked_units(sizes: Any) -> list[int]:
    """The numbers of units, one positive integer per layer."""
    units = numbers_of(sizes)
    if units.ndim != 1 or not len(units) or units.dtype.kind not in "iu" or units.min() < 1:
        raise ValueError(
            f"hidden_layer_sizes={brief(sizes)} must be a positive integer, or a sequence of them "
            f"with one per layer; layers of other kinds are given as layers=[...]."
        )
    return units.tolist()


def counted_layers(
    settings: Settings, rule: Prediction, learned: Sequence[bool]
) -> tuple[int, ...]:
    """Indices of the layers that count: "all", "skip_first", or the indices themselves.

    By name, random layers count only where their goodness is not asked for.
    """
    choice, parameter, n_layers = settings.counted, settings.counted_name, len(learned)
    if isinstance(choice, str):
        named = range(1 if choice == "skip_first" and n_layers > 1 else 0, n_layers)
        useful = [i for i in named if learned[i] or not (settings.predicts and rule.needs_goodness)]
        return tuple(useful or named)
    given = numbers_of(choice)
    whole = given.ndim == 1 and len(given) and given.dtype.kind in "iu"
    if not whole or given.min() < -n_layers or given.max() >= n_layers:
        raise ValueError(
            f"{parameter}={brief(choice)} names no layer, or one that is not there; "
            + ("the only layer is 0." if n_layers == 1 else f"layers are 0 to {n_layers - 1}.")
        )
    return tuple(sorted({int(i) % n_layers for i in given}))


class Machine(NamedTuple):
    """Where and how numbers are computed; see `Plan`."""

    device: str
    dtype: str
    low_precision: bool
    captures: bool | str


def machine_of(
    settings: Settings,
    facts: Facts,
    parts: dict[str, Any],
    sizes: Sizes,
    optimizers: tuple[Any, ...],
    old: Any,
) -> Machine:
    """The machine of a fit; the precision of the `old` plan stays."""
    device = pick_device(settings.device)
    used = [*(parts[name] for name in FAMILIES), *sizes.kinds, *(cls for cls, _ in optimizers)]
    precision = precision_of(settings, facts, sizes, device, old)
    return Machine(device, *precision, captures_of(settings, device, used))


def precision_of(
    settings: Settings, facts: Facts, sizes: Sizes, device: str, old: Any
) -> tuple[str, bool]:
    """The dtype of the network, and whether it multiplies in bfloat16 while training."""
    if old is not None and settings.precision == "auto":
        return old.dtype, old.low_precision
    dtype = "float64" if automatic.double_precision(settings, facts.n_rows) else "float32"
    if settings.precision != "auto":
        return dtype, settings.precision == "bfloat16"
    pays = dtype == "float32" and facts.scaling == "shared" and sizes.n_products >= LARGE_LAYER
    return dtype, pays and multiplies_bfloat16(device)


def captures_of(settings: Settings, device: str, parts: Sequence[Any]) -> bool | str:
    """Whether steps are recorded on a GPU: unasked where no part is the user's own, which may do
    something else in every step.
    """
    if not settings.compile or torch.device(device).type != "cuda":
        return False
    return all(map(of_package, parts)) if settings.compile == "auto" else "asked"


def of_package(value: Any) -> bool:
    """Whether an object, and what it is made of, comes from this package or from torch."""
    if isinstance(value, (list, tuple)):
        return all(map(of_package, value))
    named = value if callable(value) and not has_params(value) else type(value)
    home = (named.__module__ or "torch").split(".")[0]  # torch's own in C++ have none
    if has_params(value):
        inner = value.get_params(deep=False).values()
        return home == __name__.split(".")[0] and all(map(of_package, inner))
    return not callable(value) or home in ("torch", __name__.split(".")[0])


def epochs_of(
    settings: Settings, sizes: Sizes, stages: Sequence[Stage], resume: bool
) -> int | None:
    """Epochs of the longest stage of layers, in which the rate falls once.

    None where the rate is careful: it does not fall to an end, or layers of images or blocks learn;
    and where none learns.
    """
    course = checked_rate(settings.learning_rate)
    careful = resume or course.constant or course.endless
    if careful or any(kind.reads_images or kind.composite for kind in sizes.kinds):
        return None
    longest = max((stage.epochs for stage in stages if stage.layers), default=None)
    return longest or sum(stage.epochs for stage in stages) or None


def groups_of(
    settings: Settings,
    parts: dict[str, Any],
    sizes: Sizes,
    rate: Any,
    optimizers: tuple[Any, ...],
    has_head: bool,
    data: Data,
) -> tuple[Group, ...]:
    """Rate and penalties of every layer, and of the head."""
    n_rows, n_layers = float(max(data.total_weight, data.n_rows)), len(sizes.kinds)
    rates = checked_rates(rate, settings.learning_rate_init, n_layers)
    penalties = [
        alpha * steepness(parts, sizes.units[index], index, data.n_classes) / n_rows
        for index, alpha in enumerate(each_number("alpha", settings.alpha, n_layers))
    ]
    if has_head:
        head = parts["head_settings"]
        rates.append(head.learning_rate_init or rates[-1])
        penalties.append(head.alpha / n_rows)
    options = [options or {} for _, options in optimizers]
    options = options * len(rates) if len(options) == 1 else options
    return tuple(
        Group(float(rate), l2, own.get("weight_decay", 0.0))  # none unasked, as of AdamW
        for rate, l2, own in zip(rates, penalties, options, strict=True)
    )


def checked_rates(rate: Any, given: Any, n_layers: int) -> list[float]:
    """A positive rate for each layer."""
    rates = numbers_of(rate)
    numeric = rates.ndim == 1 and rates.dtype.kind in "iuf"
    if not (numeric and (rates > 0).all() and np.isfinite(rates).all()):
        raise ValueError(
            f"learning_rate_init={brief(given)} must be a positive number, or one per layer."
        )
    return each("learning_rate_init", rate, n_layers)


def steepness(parts: dict[str, Any], n_units: int, index: int, n_classes: int) -> float:
    """How steeply the loss of a layer answers to one of its units.

    Penalties are multiplied by it, so that they weigh against the loss as they do in a network of
    plain log-losses, for every width of the layer and scale of its scores.
    """
    goodness, objective = (parts[name].for_layer(index) for name in ("goodness", "objective"))
    slope = objective.slope(LayerFacts(index, n_units, goodness.sharpness))
    return slope * goodness.unit_share(n_units, n_classes)
