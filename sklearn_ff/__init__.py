"""scikit-learn compatible estimators that learn without backpropagation: Forward-Forward."""

from . import recipes
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
    NoEffectWarning,
)

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
    "NoEffectWarning",
    "__version__",
    "recipes",
]
