"""Forward-Forward beside backpropagation
======================================

The same three layers, with a loss in each, and with one loss and backpropagation, in one package.

    python examples/plot_backpropagation.py
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_validate

from sklearn_ff import FFClassifier
from sklearn_ff.plotting import HistoryDisplay
from sklearn_ff.recipes import backpropagation

QUICK = "--quick" in sys.argv  # only to check that everything runs
X, y = load_digits(return_X_y=True)
X, y = (X[:300], y[:300]) if QUICK else (X, y)
LAYERS = (128, 128, 128)

# %%
# Three ways to train three layers
# --------------------------------
#
# - With the default goodness, the mean square, every layer is shown the row with a label.
# - With the goodness "readout" every layer has a linear classifier of its own, and sees no labels.
# - `recipes.backpropagation` puts the three layers into one block with one readout. Inside of a
#   block gradients flow, so this is backpropagation.

options = dict(max_iter=2 if QUICK else 20, random_state=0)
models = {
    "Forward-Forward": FFClassifier(LAYERS, **options),
    "Forward-Forward, readouts": FFClassifier(LAYERS, goodness="readout", **options),
    "backpropagation": backpropagation(LAYERS, **options),
}

# %%
# Five folds
# ----------
#
# All images are test images once, and all models have the same folds.

folds = StratifiedKFold(2 if QUICK else 5, shuffle=True, random_state=0)
found = {
    name: cross_validate(
        model,
        X,
        y,
        cv=folds,
        scoring=["accuracy", "neg_log_loss"],
        return_estimator=True,
        return_indices=True,
    )
    for name, model in models.items()
}
print(f"{'':26}{'accuracy':>15}{'log-loss':>16}")
for name, result in found.items():
    values = result["test_accuracy"], -result["test_neg_log_loss"]
    told = [f"{value.mean():.3f} ± {value.std():.3f}" for value in values]
    print(f"{name:26}{told[0]:>15}{told[1]:>16}")

# %%
# Every layer predicts
# --------------------
#
# In Forward-Forward the goodness of a single layer is a prediction, and the sum over the layers is
# the model's own. Backpropagation has one score, at its end. Points are folds.


def accuracy_of(layer, result):
    """Accuracy by the goodness of one layer, in every fold."""
    pairs = zip(result["estimator"], result["indices"]["test"], strict=True)
    return [
        np.mean(clf.layer_scores(X[test])[:, layer].argmax(1) == y[test]) for clf, test in pairs
    ]


shown = {}
for name, result in found.items():
    n_layers = result["estimator"][0].history_["loss"].shape[1]
    for layer in range(n_layers) if n_layers > 1 else ():
        shown[f"{name}, layer {layer + 1}"] = accuracy_of(layer, result)
    shown[f"{name}, whole"] = result["test_accuracy"]

_, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
for place, (name, values) in enumerate(shown.items()):
    color = "#2563a8" if name.endswith("whole") else "#8a97a6"
    ax.plot(values, [place] * len(values), "o", color=color, alpha=0.5)
    ax.plot(np.mean(values), place, "|", color="black", ms=14)
ax.set_yticks(range(len(shown)), shown)
ax.set(xlabel="accuracy on test images (a line at the mean)")
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)
ax.spines[["top", "right"]].set_visible(False)

# %%
# Curves
# ------
#
# Of the last fold. Three layers have three losses, backpropagation has one.

for name, result in found.items():
    last = result["estimator"][-1]
    display = HistoryDisplay.from_estimator(last, statistics=["loss", "ranking_accuracy"])
    display.figure_.suptitle(name)
plt.show()
