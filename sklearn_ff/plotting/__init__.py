"""Pictures of fitted estimators, as Display objects in the convention of scikit-learn.

``Display.from_estimator(estimator, ...)`` computes what is drawn, and draws it; ``plot`` draws it
once more, and ``ax=`` says where. After ``plot``, `ax_` holds the axes and `figure_` the figure.
An estimator may stand at the end of a pipeline, or be the best one of a search. matplotlib is
needed to draw, and not installed with the package: ``pip install matplotlib``.
"""

from .._parts import name_publicly
from ._familiarity import FamiliarityDisplay
from ._fields import ReceptiveFieldDisplay
from ._goodness import GoodnessDisplay
from ._history import HistoryDisplay

__all__ = [
    "FamiliarityDisplay",
    "GoodnessDisplay",
    "HistoryDisplay",
    "ReceptiveFieldDisplay",
]

name_publicly(globals())
