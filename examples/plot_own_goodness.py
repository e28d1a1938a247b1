"""A goodness of your own
======================

A function and a class as goodness, and a search over the parameter of the class.

    python examples/plot_own_goodness.py
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_ff import FFClassifier
from sklearn_ff.goodness import Goodness


def mean_absolute(h):
    """g = mean_j |h_j|: from activations (..., units) to scores (...)."""
    return h.abs().mean(-1)


class Power(Goodness):
    """g = mean_j |h_j|^p."""

    def __init__(self, p=2.0):
        self.p = p

    def score(self, h):
        return (h.abs() + 1e-6).pow(self.p).mean(-1)


X_train, X_test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
for name, goodness in {"mean square": "mean_square", "mean absolute": mean_absolute}.items():
    clf = FFClassifier(goodness=goodness, max_iter=20, random_state=0).fit(X_train, y_train)
    print(f"{name:14} accuracy {clf.score(X_test, y_test):.3f}")

clf = FFClassifier(goodness=Power(), max_iter=5, random_state=0)
search = GridSearchCV(clf, {"goodness__p": [1.5, 2.0, 3.0]}, cv=2).fit(X_train, y_train)
print(f"The search selects {search.best_params_}; accuracy {search.score(X_test, y_test):.3f}.")

# %%
# Test images and the goodness of all labels, by the selected power. Circles are true labels.

import matplotlib.pyplot as plt

from sklearn_ff.plotting import GoodnessDisplay

GoodnessDisplay.from_estimator(search, X_test[:12], y_test[:12], kind="heatmap")
plt.show()
