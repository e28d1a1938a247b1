"""Errors and warnings of the package."""

__all__ = [
    "DivergenceError",
    "FFError",
    "FFMemoryError",
    "FFWarning",
    "InterruptedFitWarning",
    "ModelFileError",
    "NoEffectWarning",
    "OverfittingWarning",
    "RankError",
    "VersionWarning",
]


class FFError(Exception):
    """Base of every error that this package defines."""


class DivergenceError(FFError, ValueError):
    """Losses or weights are not finite; the estimator keeps the last finite weights."""


class FFMemoryError(FFError, MemoryError):
    """The network or the rows do not fit in the memory that the process may use."""


class ModelFileError(FFError, ValueError):
    """A file holds no estimator, is damaged, or cannot hold what it is given."""


class RankError(FFError, RuntimeError):
    """Another process of a fit in several has failed, or cannot be reached."""


class FFWarning(UserWarning):
    """Base of every warning that this package defines."""


class InterruptedFitWarning(FFWarning):
    """Ctrl-C has interrupted training; the estimator keeps what it has learned."""


class NoEffectWarning(FFWarning):
    """A parameter has no effect beside the others; a search over combinations may silence it."""


class OverfittingWarning(FFWarning):
    """The loss of held-out rows has risen for long while that of training rows fell."""


class VersionWarning(FFWarning):
    """A pickle, or another snapshot, was made by another version of the package."""
