"""Which choices go together: every refusal of a combination.

`check(plan)` raises ValueError with the first refusal; it reads the plan, and changes nothing.
"""

from __future__ import annotations

from typing import Any

import torch

from ._effects import without_effect
from ._machine import check_memory
from ._params import brief
from ._parts import LARGEST, is_name
from ._plan import Plan
from ._settings import Settings
from ._warn import warn
from ._weights import describe
from .exceptions import NoEffectWarning
from .objectives import LayerFacts
from .overlays import is_real
from .predictions import Prediction, checked_rule
from .schedules import checked_schedule

# Parts that fix what the weights mean; a warm start must find them unchanged.
ARCHITECTURE = ("activation", "overlay", "goodness", "normalization", "input_normalization")


def check(plan: Plan, previous: Any = None) -> None:
    """Raise ValueError where the choices of a plan cannot hold together, or after `previous`.

    Warn of parameters without effect.
    """
    for refuse in REFUSALS:
        refuse(plan)
    check_memory(plan.n_weights, plan.dtype, plan.device)
    if previous is not None:
        check_continues(plan, previous.plan)
    if previous is None or not plan.resume:
        for given, why in without_effect(plan):
            warn(f"{given} has no effect: {why}.", NoEffectWarning)


def check_partial_fit(settings: Settings) -> None:
    """Raise ValueError where `partial_fit` cannot do what the parameters ask for."""
    refused = {
        "early_stopping=True": settings.early_stopping,
        "class_weight='balanced'": is_name(settings.class_weight, "balanced"),
        f"schedule={settings.schedule!r}": not checked_schedule(settings.schedule).at_once,
        f"prediction={settings.prediction!r}": checked_rule(settings.prediction).open,
    }
    for name, given in refused.items():
        if given:
            raise ValueError(f"partial_fit does not support {name}; use fit, or another value.")


def why_not(rule: Prediction, plan: Plan) -> str:
    """Why a trained network cannot predict by a rule, as a sentence; empty if it can."""
    if rule.needs_head and not plan.has_head:
        return "needs a softmax head, which the last fit has not trained; fit again with it"
    learns_labels = plan.negatives.labelled or not plan.negatives.of_rows
    if rule.needs_goodness and not learns_labels:
        return "needs layers that learn labels, which the last fit has not trained; use 'head'"
    strange = set(() if rule.asked is None else rule.asked) - set(plan.counted)
    if strange:
        return (
            f"names layers {sorted(map(int, strange))}, which do not count; those that do are "
            f"{[*plan.counted]}"
        )
    asked = plan.counted if rule.asked is None else rule.asked
    random = sorted({int(i) for i in asked if not plan.kinds[i].learned})
    if rule.needs_goodness and random:
        return (
            f"asks for the goodness of layers {random}, which have learned=False, so that it tells "
            f"nothing; choose other layers to count, as Goodness(layers) does, or use 'head'"
        )
    return ""


# What cannot hold -------------------------------------------------------------------------------


def check_supervision(plan: Plan) -> None:
    """What learns labels where there are none, and what learns none where there are."""
    settings, part = plan.settings, plan.negatives
    if settings.predicts:
        return
    given = f"negatives={settings.negatives!r}"
    if not settings.supervised and not part.of_rows:
        raise ValueError(
            f"{given} are negative labels, but without supervised=True no labels are learned; set "
            f"it, or use negatives of rows, such as 'pair_sum', Corruption(function) or "
            f"OwnRows(rows)."
        )
    if settings.supervised and not part.labelled:
        raise ValueError(
            f"{given} tell rows apart without their labels, but supervised=True asks to learn "
            f"these; use supervised=False, or negatives of labels such as 'hard'."
        )
    automatic = is_name(settings.negatives, "auto")
    if automatic and not settings.supervised and plan.goodness.scores_classes:
        raise ValueError(
            f"goodness={settings.goodness!r} scores classes, and without supervised=True there are "
            f"none; set it, or use a goodness with one score per row such as 'mean_square'."
        )


def check_images(plan: Plan) -> None:
    settings = plan.settings
    if plan.augmentation is not None and not plan.negatives.varied:
        raise ValueError(
            f"augmentation={brief(settings.augmentation)} varies the rows that are learned from, "
            f"but not the negative ones of negatives={settings.negatives!r}, which would be told "
            f"by this alone; use one without the other."
        )
    if plan.augmentation is not None and plan.image_shape is None:
        raise ValueError(
            f"augmentation={brief(settings.augmentation)} varies images, but rows are read as "
            f"images only by a shape; set image_shape=(channels, height, width)."
        )
    alone = [kind for kind in plan.kinds if not kind.has_peers]
    if plan.peer_normalization and alone:
        raise ValueError(
            f"peer_normalization={plan.peer_normalization!r} compares units that see the same, "
            f"and {alone[0]!r} has no such units; set it to 0, or use dense layers or "
            f"LocallyConnected2d without pooling and norm."
        )


def check_reach(plan: Plan) -> None:
    """A goodness that cannot reach a threshold, or that would fall without end."""
    for index, n_units in enumerate(plan.units):
        goodness, objective = (getattr(plan, n).for_layer(index) for n in ("goodness", "objective"))
        asked = objective.score_targets(LayerFacts(index, n_units))
        if goodness.quiet and any(threshold >= 0 for threshold in asked):
            raise ValueError(
                f"objective={objective!r} asks for goodness above {max(asked)}, and "
                f"{goodness!r} is never above 0; give negative thresholds, such as "
                f"Logistic(-0.5), or use objective='symba'."
            )
        if goodness.endless and objective.falls_without_end:
            raise ValueError(
                f"objective={objective!r} rewards a negative candidate's score for falling, and "
                f"that of {goodness!r} can fall without end; use penalty=0, or "
                f"goodness='mean_square'."
            )


def check_negative_rows(plan: Plan) -> None:
    """What cannot be learned or predicted where layers see no labels."""
    settings = plan.settings
    if not plan.negatives.of_rows:
        return
    given = f"negatives={settings.negatives!r}"
    if plan.goodness.scores_classes:
        raise ValueError(
            f"goodness={settings.goodness!r} scores the classes of one row, and {given} lets two "
            f"rows compete, for which there is no true class; use another goodness, such as "
            f"'mean_square', or negatives of labels, such as 'hard'."
        )
    if plan.negatives.labelled or plan.n_classes == 1:
        return
    if plan.prediction.needs_goodness:
        raise ValueError(
            f"layers that learn from the corrupted rows of {given} are never shown labels, so "
            f"that only the head can predict; use prediction='head'."
        )
    skipped = set(range(max(plan.counted))) - set(plan.counted)
    if settings.early_stopping and not plan.schedule.at_once and skipped:
        raise ValueError(
            f"early_stopping cannot judge a layer that learns alone, to which neither {given} nor "
            f"the head shows the labels; use prediction_layers='all', or "
            f"schedule='simultaneous'."
        )


def check_overlay(plan: Plan) -> None:
    """An overlay that not all of the first layer sees, or that has no room."""
    if not plan.shows_labels:
        return
    plan.overlay.check_room(plan.n_features, plan.n_classes)
    check_code(plan)
    check_label_inputs(plan)
    if plan.overlay.overwrites and plan.input_normalization.centers:
        raise ValueError(
            f"{plan.input_normalization!r} as input_normalization moves a row's mean, and with it "
            f"the columns that {plan.overlay!r} has overwritten; use 'rms'."
        )
    first = plan.kinds[0].entry
    seen = not first.reads_images or first.sees_all(plan.image_shape)
    if not seen and (plan.overlay.local or in_few_columns(plan)):
        raise ValueError(
            f"{plan.overlay!r} shows the label in columns of its own, which most receptive fields "
            f"of {first!r} do not see; use overlay='channel' or 'spatial', or goodness='readout', "
            f"which needs no label shown."
        )


def check_label_inputs(plan: Plan) -> None:
    """An overlay with weights of its own in a layer that has no place for them."""
    where = plan.overlay.label_layers
    if where is None:
        return
    for kind in plan.kinds if where == "all" else plan.kinds[:1]:
        if not kind.label_inputs:
            raise ValueError(
                f"{plan.overlay!r} adds inputs for the label to {kind!r}, which has no place for "
                f"them; put another layer first, as in Block([Dense(100), Module(factory)]), or "
                f"use overlay='add', or goodness='readout', which needs no label shown."
            )


def check_code(plan: Plan) -> None:
    code = plan.overlay.code(plan.n_features, plan.n_classes)
    if code is None:
        return
    shape = plan.n_classes, plan.n_features
    if not isinstance(code, torch.Tensor) or not is_real(code) or tuple(code.shape) != shape:
        given = f"shape {tuple(code.shape)}" if hasattr(code, "shape") else type(code).__name__
        raise ValueError(
            f"overlay={plan.overlay!r} has a code of {given}; it must be a tensor of real numbers, "
            f"of shape (n_classes, n_features) = {shape}."
        )
    if not (code.abs() <= LARGEST).all():
        raise ValueError(
            f"The label code of {plan.overlay!r} holds {code.abs().max():.4g}; its numbers must be "
            f"finite, and at most {LARGEST:g} in size."
        )
    n_codes = len(torch.unique(code.double().round(decimals=9), dim=0))
    if n_codes < plan.n_classes:
        raise ValueError(
            f"{plan.overlay!r} shows {plan.n_classes} classes by {n_codes} different codes, and "
            f"classes of one code cannot be told apart; give every class its own, or use "
            f"overlay='append' (waves over an image of few pixels can be alike)."
        )


def in_few_columns(plan: Plan) -> bool:
    """Whether a code differs between classes in less than half of the columns."""
    code = plan.overlay.code(plan.n_features, plan.n_classes)
    return code is not None and 2 * int((code != code[:1]).any(0).sum()) < plan.n_features


def check_batches(plan: Plan) -> None:
    """Batches of one row where rows need others beside them."""
    if plan.batch_size >= 2:
        return
    if plan.negatives.of_rows and plan.negatives.mixes_rows:
        raise ValueError(
            f"negatives={plan.settings.negatives!r} let a row compete with another one, but a "
            f"batch holds 1 sample; give at least two rows, and batch_size=2 or more."
        )
    if plan.whole_batches:
        raise ValueError(
            "Batch normalisation compares a row with the others of its batch, but a batch holds 1 "
            "sample; give batch_size=2 or more, or use layers, and a normalization, without it."
        )
    for part in each_objective(plan):
        if part.compares_rows:
            raise ValueError(
                f"objective={part!r} compares a row with the others of its batch, but a batch "
                f"holds 1 sample; give batch_size=2 or more."
            )


def each_objective(plan: Plan) -> list[Any]:
    """The objective of every layer."""
    return [plan.objective.for_layer(index) for index in range(len(plan.units))]


def check_objectives(plan: Plan) -> None:
    """Objectives that read what is not there, or what must not be shown."""
    for part in each_objective(plan):
        if part.matches_labels and plan.n_classes == 1:
            raise ValueError(
                f"objective={part!r} compares activations with the labels of rows, of which there "
                f"are none; use another one, such as 'symba', or learn labels."
            )
        if part.ignores_scores and plan.settings.predicts and plan.prediction.needs_goodness:
            raise ValueError(
                f"objective={part!r} does not teach the scores by which the classifier decides; "
                f"use prediction='head', or an objective that does, such as Similarity(0.99)."
            )
        if part.matches_labels and not plan.goodness.scores_classes:
            raise ValueError(
                f"objective={part!r} compares activations with the labels of rows, which layers "
                f"must not be shown; use a goodness that scores classes, such as 'readout'."
            )
        if part.needs_others and plan.negatives.selects:
            raise ValueError(
                f"objective={part!r} adds the goodness of other layers, and each layer draws "
                f"candidates of its own by negatives={plan.settings.negatives!r}; use other "
                f"negatives, such as 'hard'."
            )


def check_normalization(plan: Plan) -> None:
    if plan.input_normalization.local:
        raise ValueError(
            f"{plan.input_normalization!r} as input_normalization has no channels to act on; use "
            f"'rms', or scale the pixels."
        )


def check_phases(plan: Plan) -> None:
    """Objectives that cannot act on positive and negative candidates apart."""
    if len(plan.passes) == 1:
        return
    for part in each_objective(plan):
        if not part.splits:
            raise ValueError(
                f"phases='by_epoch' learns from positive candidates without negative ones, which "
                f"objective={part!r} cannot, since it compares them; use objective='logistic', or "
                f"one with a threshold below zero, such as Logistic(-0.5), where goodness is."
            )


def check_rule(plan: Plan) -> None:
    """A rule of prediction that asks for layers which do not count."""
    if plan.settings.predicts and (reason := why_not(plan.prediction, plan)):
        raise ValueError(f"prediction={plan.prediction!r} {reason}.")


def check_stages(plan: Plan) -> None:
    """Stages that train a head which does not exist, or leave out a layer which counts."""
    given = plan.settings.schedule
    if not plan.has_head and any(not stage.layers for stage in plan.stages):
        raise ValueError(
            f"schedule={given!r} trains the head, but neither prediction nor negatives use one; "
            f"leave that stage out, use negatives='hard', or in a classifier prediction='head' or "
            f"'hybrid'."
        )
    if not plan.stages:
        every = not any(kind.learned for kind in plan.kinds)
        taught = (
            f"all of layers={brief(plan.settings.layers)}"
            if every
            else f"those of schedule={given!r}"
        )
        raise ValueError(
            f"No layer learns, since {taught} have learned=False, and there is no head; let one "
            f"learn, or in a classifier use prediction='head'."
        )
    learned = {index for index in plan.counted if plan.kinds[index].learned}
    untaught = learned - {layer for stage in plan.stages for layer in stage.layers}
    if untaught and not plan.taught:
        raise ValueError(
            f"schedule={given!r} never teaches layers {sorted(untaught)}, which "
            f"count for prediction; add a stage for them, or choose other layers to count."
        )


REFUSALS = (
    check_supervision,
    check_images,
    check_reach,
    check_negative_rows,
    check_overlay,
    check_batches,
    check_objectives,
    check_normalization,
    check_phases,
    check_stages,
    check_rule,
)


def check_continues(plan: Plan, old: Any) -> None:
    """Weights of an `old` fit that would not mean the same."""
    changed = [
        name
        for name in ARCHITECTURE
        if describe(getattr(plan, name)) != describe(getattr(old, name))
    ]
    if [*map(describe, plan.kinds)] != [*map(describe, old.kinds)]:
        changed.append("hidden_layer_sizes or layers")
    if plan.image_shape != old.image_shape:
        changed.append("image_shape")
    if plan.settings.scaling not in ("auto", old.scaling):
        changed.append("scaling")
    if plan.dtype != old.dtype:
        changed.append("precision")
    if (plan.shows_labels, plan.n_classes) != (old.shows_labels, old.n_classes):
        changed.append("negatives or supervised (with or without labels)")
    if plan.has_head != old.has_head or plan.counted != old.counted:
        changed.append("prediction, prediction_layers or negatives (with or without a head)")
    if changed:
        raise ValueError(
            f"The architecture has changed since the last fit ({', '.join(changed)}), and its "
            f"weights cannot be kept; set warm_start=False, or make a new estimator."
        )
