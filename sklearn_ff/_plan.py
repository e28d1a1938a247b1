"""What a plan of layers is made of: sizes, shapes and overlays as they are given, checked."""

import inspect
import sys
import warnings

import numpy as np
import torch

from ._images import is_image_shape
from ._params import brief
from ._parts import LARGEST, is_name
from .exceptions import NoEffectWarning
from .overlays import is_real

LIBRARIES = ("sklearn_ff.", "sklearn.", "joblib.", "contextlib")  # in which no user's line is
HEAD = ("head_alpha", "head_learning_rate_init", "head_optimizer_params")
DEFAULT_UNITS = 256  # of hidden_layer_sizes, which stands there when nobody asks for sizes


def check_overlay(plan):
    """Refuse an overlay that nobody or not all of the first layer sees, or that has no room."""
    if not plan.shows_labels:
        _check_default(plan)
        return
    plan.overlay.check_room(plan.n_features, plan.n_classes)
    _check_code(plan)
    if plan.overlay.overwrites and plan.input_normalization.centers:
        raise ValueError(
            f"{plan.input_normalization!r} as input_normalization moves a row's mean, and with it "
            f"the columns that {plan.overlay!r} has overwritten; use 'rms'."
        )
    first = plan.kinds[0]
    seen = not first.reads_images or first.sees_all(plan.image_shape)
    if not seen and (plan.overlay.local or in_few_columns(plan)):
        raise ValueError(
            f"{plan.overlay!r} shows the label in columns of its own, which most receptive fields "
            f"of {first!r} do not see; use overlay='channel' or 'spatial', or goodness='readout', "
            f"which needs no label shown."
        )


def _check_code(plan):
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


def _check_default(plan):
    """Warn of an overlay other than the default where no label is shown."""
    if plan.overlay.is_default:
        return
    if plan.goodness.scores_classes:
        why, other = f"goodness {plan.goodness!r} scores all classes at once", "goodness"
    else:
        why, other = f"negatives {plan.negatives!r} let rows compete without labels", "negatives"
    warn_unused(
        f"overlay={plan.overlay!r}",
        f"{why}, so that no label is shown; leave overlay='append', which is the default, or use "
        f"other {other}",
    )


def warn_unused(given, why):
    """Tell that a parameter has no effect, and why."""
    warnings.warn(f"{given} has no effect: {why}.", NoEffectWarning, stacklevel=user_level())


def user_level():
    """How far up the stack, seen from the caller, the user's line is: outside of the libraries."""
    frame, level = sys._getframe(1), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith(LIBRARIES):
        frame, level = frame.f_back, level + 1
    return level


def warn_of_replaced(estimator):
    """Warn of a parameter in whose place another one stands, where both are given."""
    listed = not isinstance(estimator.schedule, str)
    if listed and not is_name(estimator.max_iter, "auto"):
        warn_unused(
            f"max_iter={estimator.max_iter}",
            "schedule is a list, which holds its epochs; leave max_iter='auto', or name a schedule",
        )
    sizes = estimator.hidden_layer_sizes
    if estimator.layers is not None and numbers_of(sizes).tolist() != [DEFAULT_UNITS]:
        warn_unused(
            f"hidden_layer_sizes={brief(sizes)}",
            f"layers says which there are; leave hidden_layer_sizes=({DEFAULT_UNITS},), which is "
            f"the default, or give no layers",
        )


def warn_of_unused(estimator, plan, resume):
    """Warn of a parameter other than its default that acts only beside others, where these are not.

    `resume` is whether this is a partial_fit, for which nothing of how training ends is meant.
    """
    if not plan.head:
        for name in HEAD:
            warn_if_changed(
                estimator, name, "there is no softmax head", "use prediction='head' or 'hybrid'"
            )
    if not reads_images(plan):
        why = "no layer, overlay, negatives or augmentation reads rows as images"
        warn_if_changed(estimator, "image_shape", why, "give such a part, as layers=[Conv2d(32)]")
    if is_name(getattr(estimator, estimator.LAYERS), "skip_first") and len(plan.units) == 1:
        why = "there is one layer, which counts"
        warn_if_changed(estimator, estimator.LAYERS, why, "give more layers")
    if resume:
        return
    if not estimator.early_stopping:
        why = "no rows are held out"
        warn_if_changed(estimator, "validation_fraction", why, "set early_stopping=True")
    if not (estimator.early_stopping or estimator._may_be_flat()):
        why = f"learning_rate={estimator.learning_rate!r} spends all epochs"
        why = "tol=None lets training run all epochs" if estimator.tol is None else why
        why = "a list as schedule runs all epochs" if estimator._listed() else why
        stop = "set early_stopping=True" if hasattr(estimator, "validation_fraction") else ""
        stop = stop or "set learning_rate='constant' and a number as tol"
        if estimator.tol is not None:  # which asks for nothing
            warn_if_changed(estimator, "tol", why, stop)
        warn_if_changed(estimator, "n_iter_no_change", why, stop)


def warn_if_changed(estimator, name, why, remedy):
    """Warn of a parameter of the estimator's that is not its default."""
    known = inspect.signature(type(estimator).__init__).parameters
    if name not in known:
        return
    value, default = getattr(estimator, name), known[name].default
    if value is default or (default is not None and value == default):
        return
    warn_unused(f"{name}={brief(value)}", f"{why}; leave {name}={default!r}, or {remedy}")


def reads_images(plan):
    """Whether anything reads rows as images; an overlay that is not shown has its own warning."""
    asked = any(hasattr(part, "image_shape") for part in (plan.overlay, plan.negatives))
    kinds = any(kind.reads_images for kind in plan.kinds)
    return asked or kinds or plan.augmentation is not None


def in_few_columns(plan):
    """Whether a code differs between classes in less than half of the columns."""
    code = plan.overlay.code(plan.n_features, plan.n_classes)
    return code is not None and 2 * int((code != code[:1]).any(0).sum()) < plan.n_features


def told_shape(part, plan):
    """A part that reads rows as images as the estimator does, unless it says so itself."""
    own = checked_image_shape(getattr(part, "image_shape", None), plan.n_features)
    if own is not None and own != (plan.image_shape or own):
        raise ValueError(
            f"{part!r} reads rows as other images than image_shape={plan.image_shape!r}; give the "
            f"shape once, to the estimator."
        )
    known = own is not None or plan.image_shape is None
    return part if known else part.for_images(plan.image_shape)


def checked_units(sizes):
    """The numbers of units, one positive integer per layer."""
    units = numbers_of(sizes)
    if units.ndim != 1 or not len(units) or units.dtype.kind not in "iu" or units.min() < 1:
        raise ValueError(
            f"hidden_layer_sizes={brief(sizes)} must be a positive integer, or a sequence of them "
            f"with one per layer."
        )
    return units.tolist()


def checked_image_shape(shape, n_features):
    """(channels, height, width), if that is what `shape` is and the rows have so many columns."""
    if shape is None:
        return None
    if not is_image_shape(shape):
        raise ValueError(
            f"image_shape={shape!r} is no shape of an image; give (channels, height, width), such "
            f"as (1, 28, 28)."
        )
    channels, height, width = (int(n) for n in shape)
    if channels * height * width != n_features:
        raise ValueError(
            f"image_shape={tuple(shape)!r} means {channels * height * width} pixels, but X has "
            f"{n_features} features; give (channels, height, width) of the images in X."
        )
    if min(channels, height) > 4 >= width:
        warnings.warn(
            f"image_shape={tuple(shape)!r} means {channels} channels of {height} x {width} pixels; "
            f"channels come first, so give ({width}, {channels}, {height}) if X holds images of "
            f"{channels} x {height}.",
            UserWarning,
            stacklevel=2,
        )
    return channels, height, width


def numbers_of(value):
    """An array of at least one dimension; of objects, where `value` is ragged."""
    try:
        return np.atleast_1d(np.asarray(value))
    except ValueError:
        return np.empty(0, dtype=object)


def counted_layers(choice, n_layers, parameter="prediction_layers"):
    """Indices of the layers that count: "all", "skip_first", or the indices themselves."""
    if isinstance(choice, str):
        return list(range(1 if choice == "skip_first" and n_layers > 1 else 0, n_layers))
    given = numbers_of(choice)
    whole = given.ndim == 1 and len(given) and given.dtype.kind in "iu"
    if not whole or given.min() < -n_layers or given.max() >= n_layers:
        raise ValueError(
            f"{parameter}={brief(choice)} names no layer, or one that is not there; the "
            f"{n_layers} layers are 0 to {n_layers - 1}."
        )
    return sorted({int(i) % n_layers for i in given})
