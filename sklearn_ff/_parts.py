"""The base of a part, checks of its parameters, and the look-up of parts in families."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from ._params import Params, brief
from ._typing import Function

__all__ = [
    "LARGEST",
    "Family",
    "Part",
    "PerLayer",
    "call_intact",
    "check_choice",
    "check_flag",
    "check_number",
    "checked_finite",
    "checked_like",
    "checked_shape",
    "name_publicly",
]


def name_publicly(package: dict[str, Any]) -> None:
    """Make the namespace of a package the home of the classes in its `__all__`.

    Pickles and messages then name the path that users import from, not the file.
    """
    for name in package["__all__"]:
        if isinstance(package[name], type):
            package[name].__module__ = package["__name__"]


P = TypeVar("P", bound="Part")  # the contract of a family
C = TypeVar("C")  # what is registered: a class, or a function that makes a part


class Part(Params):
    """A small description of one choice of the method.

    A part holds constructor parameters only and keeps no state. Its random numbers come from the
    `Draws` that it is given. Its facts are class attributes; tests and errors are derived from
    them.
    """

    entries: Sequence[Part] | None = None  # the parts of the layers, where each layer has its own

    def check(self) -> None:
        """Raise ValueError where a parameter is not valid; called at the beginning of a fit."""

    def changed(self, **params: Any) -> Self:
        """A part of the same class with some parameters changed."""
        return type(self)(**{**self.get_params(deep=False), **params})

    def undefined(self, method: str) -> NotImplementedError:
        """The error of a method that a contract asks for and a class does not have."""
        return NotImplementedError(
            f"{type(self).__name__} does not define {method}, which such a part needs; see the "
            f"docstring of the module of its base class."
        )

    def for_layer(self, index: int) -> Part:
        """The part that layer `index` uses: this one, unless every layer has its own."""
        return self


class PerLayer(Part):
    """A part of one family for every layer."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = parts

    @property
    def entries(self) -> Sequence[Part]:
        return self.parts

    def check(self) -> None:
        for part in self.parts:
            part.check()

    def for_layer(self, index: int) -> Part:
        return self.parts[index]


# Bounds of a part's numbers: products and squares of others do not fit in single precision.
LARGEST, SMALLEST = 1e10, 1e-30


def check_number(
    part: Part,
    name: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float = math.inf,
    whole: bool = False,
) -> None:
    """Raise ValueError unless a part's parameter is a finite number within its bounds."""
    value = getattr(part, name)
    if is_number(value, whole):
        high_enough = above is None or value > above
        if high_enough and (at_least is None or value >= at_least) and value <= at_most:
            if whole or value == 0 or SMALLEST <= abs(value) <= LARGEST:
                return
            raise ValueError(_misfit(part, name, f"of a size from {SMALLEST:g} to {LARGEST:g}"))
    needed = "a whole number" if whole else "a finite number"
    needed += "" if above is None else f" above {above}"
    needed += "" if at_least is None else f" of at least {at_least}"
    needed += "" if at_most == math.inf else f" and at most {at_most:g}"
    raise ValueError(_misfit(part, name, needed))


def check_choice(part: Part, name: str, choices: Sequence[Any]) -> None:
    """Raise ValueError unless a part's parameter is one of `choices`."""
    value = getattr(part, name)
    if not (is_word(value) and value in choices):
        raise ValueError(_misfit(part, name, f"one of {list(choices)}"))


def check_flag(part: Part, name: str) -> None:
    """Raise ValueError unless a part's parameter is True or False."""
    if not isinstance(getattr(part, name), (bool, np.bool_)):
        raise ValueError(_misfit(part, name, "True or False"))


def is_number(value: Any, whole: bool = False) -> bool:
    """Whether this is a finite number; True and False are not."""
    kind: Any = numbers.Integral if whole else numbers.Real
    return isinstance(value, kind) and not isinstance(value, bool) and abs(value) < math.inf


def _misfit(part: Part, name: str, needed: str) -> str:
    value = getattr(part, name)
    return f"{type(part).__name__}({name}={brief(value)}) cannot be used: {name} must be {needed}."


def is_word(value: Any) -> bool:
    """Whether it can be a name in a registry; arrays and parts cannot be compared with names."""
    return value is None or isinstance(value, str)


def is_name(value: Any, name: str) -> bool:
    """Whether `value` is this name; arrays and parts cannot be compared with names."""
    return isinstance(value, str) and value == name


def checked_shape(result: Any, shape: Sequence[int], parameter: str, meaning: str) -> Tensor:
    """The result of a user's callable; ValueError unless it is a tensor of the given shape."""
    if not isinstance(result, torch.Tensor):
        raise ValueError(
            f"the callable given as {parameter} must return {meaning}, as a torch tensor, but it "
            f"returned {type(result).__name__}."
        )
    if tuple(result.shape) != tuple(shape):
        raise ValueError(
            f"the callable given as {parameter} must return {meaning}: shape {tuple(shape)} was "
            f"expected, but it returned {tuple(result.shape)}."
        )
    return result


def checked_like(
    result: Any, like: Tensor, shape: Sequence[int], parameter: str, meaning: str
) -> Tensor:
    """As `checked_shape`, with the dtype and layout of `like`, and a gradient if it has one."""
    checked_shape(result, shape, parameter, meaning)
    if result.dtype != like.dtype or result.layout != like.layout:
        raise ValueError(
            f"the callable given as {parameter} returned {result.dtype}, {result.layout}; it must "
            f"return {like.dtype}, {like.layout}, as its argument has; make new tensors from "
            f"that, as by h.new_zeros(shape)."
        )
    check_device(result, like, parameter)
    if like.requires_grad and not result.requires_grad:
        raise ValueError(
            f"the callable given as {parameter} returned a tensor without a gradient, so that "
            f"nothing can be learned; write it with torch operations, without detach()."
        )
    return result


def check_device(result: Tensor, like: Tensor, parameter: str) -> None:
    """Raise ValueError where a user's callable returns a tensor on another device."""
    if result.device != like.device:
        raise ValueError(
            f"the callable given as {parameter} returned a tensor on {result.device}; it must be "
            f"on {like.device}, as its argument is."
        )


def call_intact(function: Function, argument: Tensor, parameter: str) -> Any:
    """function(argument); ValueError if the call has changed its argument."""
    if argument.is_inference():  # inference tensors do not count their changes
        return function(argument)
    before = argument._version
    result = function(argument)
    if argument._version != before:
        raise ValueError(
            f"the callable given as {parameter} overwrites its argument, which is needed later; "
            f"write it without operations in place, such as h.square() for h.square_()."
        )
    return result


def checked_finite(result: Tensor, parameter: str, what: str) -> Tensor:
    """The result of a user's callable; ValueError unless it is finite."""
    if not torch.isfinite(result).all():
        raise ValueError(
            f"the callable given as {parameter} returned {what} with NaN or infinity; let it "
            f"return finite numbers."
        )
    return result


def rebuilt(part: P) -> P:
    """A copy of a part, with copies of parts, lists and arrays in it, but not of rows of data."""
    params = part.get_params(deep=False).items()
    return part.changed(**{k: v if k in type(part).data else own_copy(v) for k, v in params})


def own_copy(value: Any) -> Any:
    """A copy of what a user may change in place; functions and modules stay as they are."""
    if isinstance(value, Part):
        return rebuilt(value)
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if type(value) in (list, tuple, set):
        return type(value)(map(own_copy, value))
    if type(value) is dict:
        return {key: own_copy(entry) for key, entry in value.items()}
    return value


def check_arguments(
    function: Callable[..., Any], parameter: str, signature: str, hint: str = ""
) -> None:
    """Raise ValueError where a callable does not accept the arguments of the signature."""
    n = signature[: signature.index(")")].count(",") + 1
    try:
        # The __call__ of a module takes anything, and hands it on.
        called = function.forward if isinstance(function, torch.nn.Module) else function
        taken = inspect.signature(called)
    except (TypeError, ValueError):  # built-in functions may have no signature
        return
    try:
        taken.bind(*range(n))
    except TypeError as error:
        raise ValueError(
            f"{parameter}={brief(function)} must be a callable {signature}, but it cannot be "
            f"called with {n} argument{'s' if n > 1 else ''}: {error}{hint}."
        ) from None


class Family(Generic[P]):
    """The registered parts for one parameter; `base` is the class of their contract.

    A part may be registered under None, and is then the meaning of None. `wrap`, if given, makes a
    part of a user's callable with the `signature`, and `per_layer` makes one of a list with a part
    for every layer, or `in_turn` one of a list of parts that act one after another. Refusals of
    callables end with the `hint`. `also` names what else may be given, in refusals.
    """

    def __init__(
        self,
        parameter: str,
        base: type[P],
        wrap: Callable[[Any], P] | None = None,
        signature: str = "",
        per_layer: Callable[[list[P]], Any] | None = None,
        hint: str = "",
        in_turn: Callable[[list[P]], P] | None = None,
        also: str = "",
    ) -> None:
        self.parameter, self.base, self.wrap = parameter, base, wrap
        self.signature, self.per_layer, self.hint = signature, per_layer, hint
        self.in_turn, self.also = in_turn, also
        self.registry: dict[str | None, Callable[[], P]] = {}

    def register(self, name: str | None) -> Callable[[C], C]:
        """Class decorator that registers a part under `name`, a string or None."""

        def add(cls: C) -> C:
            self.registry[name] = cls  # type: ignore[assignment]  # a class is such a function
            return cls

        return add

    @property
    def names(self) -> list[str | None]:
        return sorted(self.registry, key=lambda name: (name is None, name))

    @property
    def constraint(self) -> list[Any]:
        """The constraint for scikit-learn's validation of parameters; `get` checks the rest."""
        return [str, callable, self.base, "array-like", *[None] * (None in self.registry)]

    def get(self, value: Any, parameter: str | None = None, automatic: bool = False) -> P:
        """The part for `value`: a registered name, a part, a callable, or a list of them.

        A refusal names the `parameter`, if given, and lists "auto" if the value is `automatic`.
        """
        name = parameter or self.parameter
        whole = self.per_layer or self.in_turn
        if whole is not None and isinstance(value, (list, tuple)):
            return whole(self._entries(value, name))
        return self._one(value, name, automatic)

    def _one(self, value: Any, name: str, automatic: bool = False) -> P:
        if is_word(value) and value in self.registry:
            return self.registry[value]()
        if isinstance(value, self.base) and not self._is_base(value):
            return rebuilt(value)  # so that later changes of the user's part have no effect
        usable = callable(value) and not inspect.isclass(value) and not self._is_base(value)
        if self.wrap is not None and usable:
            check_arguments(value, name, self.signature, self.hint)
            return self.wrap(value)
        raise ValueError(self._refusal(value, name, [*["auto"] * automatic, *self.names]))

    def _is_base(self, value: Any) -> bool:
        """Whether this is a contract without an implementation."""
        contract = type(value) is self.base and self.wrap is not self.base
        return contract or vars(type(value)).get("abstract", False)

    def _entries(self, values: Sequence[Any], name: str) -> list[P]:
        try:
            return [self._one(value, f"{name}[{index}]") for index, value in enumerate(values)]
        except ValueError as error:
            raise ValueError(f"{name}={brief(values)} has a wrong entry: {error}") from None

    def _refusal(self, value: Any, name: str, names: list[str | None]) -> str:
        if inspect.isclass(value):
            return (
                f"{name}={value.__name__} is a class; pass an instance of it: "
                f"{name}={value.__name__}(...)."
            )
        if self._is_base(value):
            return f"{name}={brief(value)} is the base class of such parts; pass one of {names}."
        article = "an" if self.base.__name__[0] in "AEIOU" else "a"
        allowed = f"one of {names} or {article} {self.base.__name__} object"
        if self.wrap is not None:
            allowed += f" or a callable {self.signature}{self.hint}"
        if self.also:
            allowed += f" or {self.also}"
        if self.per_layer is not None:
            allowed += ", or a list with one of these per layer"
        if self.in_turn is not None:
            allowed += ", or a list of these, which act in turn"
        several = isinstance(value, (list, tuple)) and len(value) > 1
        shown = brief(value, data=several and not all(isinstance(one, str) for one in value))
        return f"{name}={shown} is not known; {name} must be {allowed}."
