"""Errors and warnings of the package."""

__all__ = [
    "DivergenceError",
    "FFError",
    "FFMemoryError",
    "FFWarning",
    "InterruptedFitWarning",
    "NoEffectWarning",
]


class FFError(Exception):
    """Base of every error that this package defines."""


class DivergenceError(FFError, ValueError):
    """Losses or weights are not finite; the estimator keeps the last finite weights."""


class FFMemoryError(FFError, MemoryError):
    """The network or the rows do not fit in the memory that the process may use."""


class FFWarning(UserWarning):
    """Base of every warning that this package defines."""


class InterruptedFitWarning(FFWarning):
    """Ctrl-C has interrupted training; the estimator keeps what it has learned."""


class NoEffectWarning(FFWarning):
    """A parameter has no effect beside the others; a search over combinations may silence it."""
