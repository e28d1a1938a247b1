"""scikit-learn compatible estimators that learn without backpropagation: Forward-Forward."""

from . import persistence, recipes
from ._base import BaseFF
from ._classifier import FFClassifier
from ._outliers import FFOutlierDetector
from ._transformer import FFTransformer
from ._version import __version__
from .exceptions import (
    DivergenceError,
    FFError,
    FFMemoryError,
    FFWarning,
    InterruptedFitWarning,
    ModelFileError,
    NoEffectWarning,
    OverfittingWarning,
    VersionWarning,
)
from .persistence import load, register, save

__all__ = [
    "BaseFF",
    "DivergenceError",
    "FFClassifier",
    "FFError",
    "FFMemoryError",
    "FFOutlierDetector",
    "FFTransformer",
    "FFWarning",
    "InterruptedFitWarning",
    "ModelFileError",
    "NoEffectWarning",
    "OverfittingWarning",
    "VersionWarning",
    "__version__",
    "load",
    "persistence",
    "recipes",
    "register",
    "save",
]
