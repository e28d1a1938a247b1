"""scikit-learn compatible estimators that learn without backpropagation: Forward-Forward."""

from ._classifier import FFClassifier
from .exceptions import DivergenceError, FFError, FFMemoryError, FFWarning, InterruptedFitWarning
from ._version import __version__


__all__ = [
    "DivergenceError",
    "FFClassifier",
    "FFError",
    "FFMemoryError",
    "FFWarning",
    "InterruptedFitWarning",
    "__version__",
]
