"""Learning curves of every layer
==============================

Layers do not share a loss, so each has a curve of its own; three fits show how to read them.

    python examples/plot_learning_curves.py
"""

import sys

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_ff import FFClassifier
from sklearn_ff.plotting import HistoryDisplay

MAX_ITER = 3 if "--quick" in sys.argv else 25  # --quick only checks that everything runs
X_train, X_val, y_train, y_val = train_test_split(*load_digits(return_X_y=True), random_state=0)


def learned(**params):
    clf = FFClassifier((128, 128, 128), max_iter=MAX_ITER, random_state=0, **params)
    return clf.fit(X_train, y_train, X_val=X_val, y_val=y_val)


# %%
# All layers at once
# ------------------
#
# All three layers learn from every batch. The ranking accuracy is the share of rows whose positive
# candidate, the row with its true label, scores above the negative one. Deeper layers begin later,
# since what they read changes first. Rows that are passed as `X_val` are scored after every epoch.

together = learned()
HistoryDisplay.from_estimator(together)
print(f"all at once       {together.score(X_val, y_val):.3f}")

# %%
# One after another
# -----------------
#
# With ``schedule="greedy"`` a layer learns when the ones below have finished. It has no curve in
# the epochs in which it rests.

greedy = learned(schedule="greedy")
HistoryDisplay.from_estimator(greedy)
print(f"one after another {greedy.score(X_val, y_val):.3f}")

# %%
# A rate that is too low
# ----------------------
#
# Positive and negative goodness do not part, and the ranking accuracy rises slowly: the layers need
# more epochs or a higher rate. The default, "auto", depends on the number of updates.

slow = learned(learning_rate_init=2e-4)
HistoryDisplay.from_estimator(slow, statistics=["goodness", "ranking_accuracy", "validation"])
print(f"a rate of 0.0002  {slow.score(X_val, y_val):.3f}")
print(f"The rate that 'auto' chose is {together.learning_rate_init_:.2g}.")
plt.show()
