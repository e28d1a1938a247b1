"""scikit-learn compatible estimators that learn without backpropagation: Forward-Forward."""

from ._classifier import FFClassifier
from ._version import __version__
from .exceptions import DivergenceError, FFError, FFMemoryError, FFWarning, InterruptedFitWarning

__all__ = [
    "DivergenceError",
    "FFClassifier",
    "FFError",
    "FFMemoryError",
    "FFWarning",
    "InterruptedFitWarning",
    "__version__",
]
