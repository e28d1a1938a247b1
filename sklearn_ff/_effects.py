"""Parameters that have no effect beside others, and why."""

from __future__ import annotations

from collections.abc import Iterator

from ._params import brief
from ._parts import is_name
from ._per_layer import numbers_of
from ._plan import Plan
from .schedules import checked_rate

DEFAULT_UNITS = 256  # of hidden_layer_sizes

# Pairs: a parameter as it is given, and why it has no effect; or triples, with a remedy.
Effects = Iterator[tuple[str, ...]]


def without_effect(plan: Plan) -> Effects:
    """Pairs: a parameter as it is given, and why it has no effect."""
    yield from replaced(plan)
    yield from unseen_overlay(plan)
    yield from still_norms(plan)
    for name, why, remedy in [*without_place(plan), *without_end(plan)]:
        value, default = plan.settings.given(name), plan.settings.defaults.get(name)
        known = name in plan.settings.defaults
        if known and value is not default and (default is None or value != default):
            yield f"{name}={brief(value)}", f"{why}; leave {name}={default!r}, or {remedy}"


def replaced(plan: Plan) -> Effects:
    """Parameters in whose place another one stands."""
    settings = plan.settings
    if plan.schedule.holds_epochs and not is_name(settings.max_iter, "auto"):
        yield (
            f"max_iter={settings.max_iter}",
            "schedule is a list, which holds its epochs; leave max_iter='auto', or name a schedule",
        )
    sizes = settings.hidden_layer_sizes
    if settings.layers is not None and numbers_of(sizes).tolist() != [DEFAULT_UNITS]:
        yield (
            f"hidden_layer_sizes={brief(sizes)}",
            f"layers says which there are; leave hidden_layer_sizes=({DEFAULT_UNITS},), which is "
            f"the default, or give no layers",
        )


def unseen_overlay(plan: Plan) -> Effects:
    """An overlay other than the default where no label is shown."""
    if plan.shows_labels or plan.overlay.is_default:
        return
    if plan.goodness.scores_classes:
        why, other = f"goodness {plan.goodness!r} scores all classes at once", "goodness"
    else:
        why, other = f"negatives {plan.negatives!r} let rows compete without labels", "negatives"
    yield (
        f"overlay={plan.overlay!r}",
        f"{why}, so that no label is shown; leave overlay='append', which is the default, or use "
        f"other {other}",
    )


def still_norms(plan: Plan) -> Effects:
    """Batch normalisation in layers that never learn, whose statistics stand still."""
    for kind in plan.kinds:
        inner = getattr(kind, "inner", [kind])
        if not kind.learned and any(one.whole_batches for one in inner):
            yield (
                f"norm='batch' of {brief(kind)}",
                "statistics move with the batches that a layer learns from, and it does not learn; "
                "leave norm=None, or normalise what it passes on by normalization=BatchNorm()",
            )


def without_place(plan: Plan) -> Effects:
    """Names of parameters that act beside others alone, why these are not there, and a remedy."""
    if not plan.has_head:
        yield "head", "there is no softmax head", "use prediction='head' or 'hybrid'"
    if not reads_images(plan):
        why = "no layer, overlay, negatives or augmentation reads rows as images"
        yield "image_shape", why, "give such a part, as layers=[Conv2d(32)]"
    if plan.settings.compile is True and not plan.captures:
        why = f"steps are recorded on a GPU alone, and the device is {plan.device!r}"
        yield "compile", why, "set device='cuda'"
    if is_name(plan.settings.counted, "skip_first") and len(plan.units) == 1:
        yield plan.settings.counted_name, "there is one layer, which counts", "give more layers"


def reads_images(plan: Plan) -> bool:
    """Whether anything reads rows as images; an overlay that is not shown has its own warning."""
    asked = any(hasattr(part, "image_shape") for part in (plan.overlay, plan.negatives))
    kinds = any(kind.reads_images or kind.composite for kind in plan.kinds)
    return asked or kinds or plan.augmentation is not None


def without_end(plan: Plan) -> Effects:
    """The same of how a fit ends, which `partial_fit` does not look at."""
    settings = plan.settings
    if plan.resume:
        return
    if not (settings.early_stopping or plan.prediction.open):
        yield "validation_fraction", "no rows are held out", "set early_stopping=True"
    if settings.early_stopping or may_be_flat(plan):
        return
    why = f"learning_rate={settings.learning_rate!r} spends all epochs"
    why = "tol=None lets training run all epochs" if settings.tol is None else why
    why = "a list as schedule runs all epochs" if plan.schedule.holds_epochs else why
    stop = "set learning_rate='constant' and a number as tol"
    stop = "set early_stopping=True" if settings.predicts else stop
    if settings.tol is not None:  # None asks for nothing
        yield "tol", why, stop
    yield "n_iter_no_change", why, stop


def may_be_flat(plan: Plan) -> bool:
    """Whether a loss that falls no more ends a stage: a budget is meant to be spent."""
    settings = plan.settings
    constant = checked_rate(settings.learning_rate).constant and settings.tol is not None
    return constant and not plan.schedule.holds_epochs and not plan.resume
