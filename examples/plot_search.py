"""A pipeline and a search
=======================

Parameters of parts are searched through a pipeline, as those of any estimator.

    python examples/plot_search.py
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from sklearn_ff import FFClassifier
from sklearn_ff.objectives import Swish
from sklearn_ff.plotting import HistoryDisplay

QUICK = "--quick" in sys.argv  # only to check that everything runs
X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# The grid
# --------
#
# A part that is given as an object has parameters: ``objective__sharpness`` is that of `Swish`. A
# step of the pipeline can be searched as well. The cross-validation uses training rows alone.

model = make_pipeline(
    QuantileTransformer(n_quantiles=50, output_distribution="normal", random_state=0),
    FFClassifier(64, objective=Swish(), max_iter=3 if QUICK else 30, random_state=0),
)
grid = {
    "quantiletransformer": [model[0], "passthrough"],
    "ffclassifier__objective__sharpness": [5.0] if QUICK else [2.5, 5.0, 10.0, 20.0],
    "ffclassifier__alpha": [0.0] if QUICK else [0.0, 1.0, 10.0],
}
search = GridSearchCV(model, grid, cv=3, scoring="neg_log_loss").fit(X_train, y_train)
print("The search selects")
for name, value in search.best_params_.items():
    print(f"  {name.split('__')[-1]} = {value}")
print(f"Log-loss in cross-validation {-search.best_score_:.3f}")
print(f"Log-loss on test rows        {-search.score(X_test, y_test):.3f}")

# %%
# What the parameters do
# ----------------------
#
# Log-loss of every combination; lower is better. The deviation between the three folds is printed
# below: smaller differences are not to be trusted.

sizes = [len(grid[name]) for name in sorted(grid)]  # the order in which a grid is walked through
losses = -search.cv_results_["mean_test_score"].reshape(sizes)
deviation = np.median(search.cv_results_["std_test_score"])
print(f"Deviation between folds      {deviation:.3f}")
_, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for step, title in enumerate(["normal quantiles", "columns as they are"]):
    ax, shown = axes[step], losses[:, :, step]
    ax.imshow(shown, cmap="Blues", vmin=losses.min(), vmax=losses.max())
    for (row, column), loss in np.ndenumerate(shown):
        color = "white" if 2 * loss > losses.min() + losses.max() else "black"
        ax.text(column, row, f"{loss:.3f}", ha="center", va="center", color=color)
    ax.set_xticks(range(sizes[1]), grid["ffclassifier__objective__sharpness"])
    ax.set_yticks(range(sizes[0]), grid["ffclassifier__alpha"])
    ax.set(title=title, xlabel="sharpness of the objective", ylabel="alpha")

# %%
# The best network
# ----------------
#
# A display takes the search as it is, and finds the network inside.

HistoryDisplay.from_estimator(search, statistics=["loss", "goodness", "ranking_accuracy"])
plt.show()
