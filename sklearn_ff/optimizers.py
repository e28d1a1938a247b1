"""Any torch optimizer by name or class, if it takes dense gradients of any shape, in one call."""

import inspect
import warnings

import torch

__all__ = ["optimizer_class"]


def optimizer_class(optimizer, params=None):
    """The class and its options; ValueError where the Forward-Forward step cannot use it."""
    cls = _by_name(optimizer) if isinstance(optimizer, str) else optimizer
    if not (inspect.isclass(cls) and issubclass(cls, torch.optim.Optimizer)):
        raise ValueError(
            f"optimizer={optimizer!r} is not an optimizer; give the name of a class of torch.optim,"
            f" such as 'adam' or 'sgd', or such a class."
        )
    options = dict(params or {})
    if "fused" in inspect.signature(cls).parameters and "foreach" not in options:
        options.setdefault("fused", True)  # one pass over the weights instead of several
    _try(cls, options)
    return cls, options


def _by_name(name):
    classes = {key.lower(): value for key, value in vars(torch.optim).items()}
    return classes.get(name.lower())


def _try(cls, options):
    """One step on a matrix, a vector and an image kernel, without a closure."""
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,), (2, 2, 1, 1))]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cls([{"params": weights, "lr": 0.01, "weight_decay": 0.0}], **options).step()
    except Exception as error:
        raise ValueError(
            f"optimizer={cls.__name__} with {options} cannot train the layers: {error}. Use one "
            f"that takes dense gradients of any shape and needs no closure, as 'adam' does."
        ) from error
