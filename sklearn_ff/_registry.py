"""Names by which files of estimators know functions and classes of the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

__all__ = ["NAMES", "name_of", "register"]

T = TypeVar("T")
NAMES: dict[str, Any] = {}


def register(name: str) -> Callable[[T], T]:
    """Register a function, class or torch module under a name, so that `save` can write it.

    A file holds the name alone: nothing is imported or run from it. The process that loads the file
    has registered the same thing under the same name. Parts that are registered in their family, as
    with ``goodness.register("name")``, need no second name.

    Parameters
    ----------
    name : str
        The name in files. A name that is registered again means the later thing.

    Returns
    -------
    decorator : callable
        It registers its argument and returns it unchanged.

    Examples
    --------
    >>> import torch
    >>> import sklearn_ff
    >>> @sklearn_ff.register("softplus")
    ... def softplus(a):
    ...     return torch.nn.functional.softplus(a)
    >>> clf = sklearn_ff.FFClassifier(activation=softplus)
    """
    if not isinstance(name, str) or not name:
        raise ValueError(
            f"register({name!r}) takes a name first; write register('name')(thing), or "
            f"@register('name') above a function or class."
        )

    def add(thing: T) -> T:
        if not callable(thing):
            raise ValueError(
                f"register({name!r}) was given a {type(thing).__name__}; register a function, a "
                f"class or a torch module."
            )
        NAMES[name] = thing
        return thing

    return add


def name_of(thing: Any) -> str | None:
    """The name of a registered thing, also by a copy of it; None if there is none."""
    return next((name for name, one in NAMES.items() if one is thing or is_copy(one, thing)), None)


def is_copy(one: Any, thing: Any) -> bool:
    """Whether an object, such as the scorer of a clone, is like another one."""
    if isinstance(thing, type) or type(one) is not type(thing) or not hasattr(thing, "__dict__"):
        return False
    if inspect.isroutine(thing) or isinstance(thing, nn.Module):
        return False
    try:
        return bool(vars(one) == vars(thing))
    except ValueError:  # of arrays
        return False
