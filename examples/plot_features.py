"""Features for another model
==========================

FFTransformer learns features of digits without labels, and another model reads them.

    python examples/plot_features.py

The features stand in a pipeline before LogisticRegression; a grid search selects the layers and
their output. They are compared with raw pixels and PCA.
"""

import sys

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_ff import FFClassifier, FFTransformer

QUICK = "--quick" in sys.argv  # only to check that everything runs
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=600, train_size=300 if QUICK else None, stratify=y, random_state=0
)

# %%
# A linear classifier on the features
# -----------------------------------
#
# A grid reaches inside the features. The choice is made on folds of the training
# images.


def search(features, grid):
    """Logistic regression on these features; the grid sets nested parameters."""
    steps = [
        ("scale", MinMaxScaler()),
        ("features", features),
        ("classify", LogisticRegression(max_iter=2000)),
    ]
    grid = {**grid, "classify__C": [0.1, 1.0]}
    return GridSearchCV(Pipeline(steps), grid, cv=3)


layers = {
    "features__hidden_layer_sizes": [(32,)] if QUICK else [(256,), (256, 256)],
    "features__output": ["triangle"] if QUICK else ["activations", "triangle"],
}
features = FFTransformer(max_iter=1 if QUICK else 20, random_state=0)
components = {"features__n_components": [16] if QUICK else [16, 32, 48]}
searches = {
    "raw pixels": search("passthrough", {}),
    "PCA": search(PCA(random_state=0), components),
    "FFTransformer": search(features, layers),
}
print(f"{'features':14}{'cross-validated':>16}{'test':>8}  chosen")
for name, model in searches.items():
    accuracy = model.fit(X_train, y_train).score(X_test, y_test)
    chosen = {key.split("__")[1]: value for key, value in model.best_params_.items()}
    print(f"{name:14}{model.best_score_:16.3f}{accuracy:8.3f}  {chosen}", flush=True)
error = 2 * (accuracy * (1 - accuracy) / len(y_test)) ** 0.5
print(f"The error of a test accuracy is about {error:.3f}; a smaller difference is not ranked.")

# %%
# A picture of the features
# -------------------------
#
# t-SNE places test images beside each other where their features are alike. Beside the pixels and
# the features learned without labels stand those of `FFClassifier`, which has learned from the
# labels of the training images; its `transform` returns them.

classifier = FFClassifier(max_iter=2 if QUICK else 20, random_state=0).fit(X_train, y_train)
shown = {
    "pixels": X_test,
    "FFTransformer, no labels": searches["FFTransformer"].best_estimator_[:-1].transform(X_test),
    "FFClassifier, with labels": classifier.transform(X_test),
}
_, axes = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
for ax, (name, rows) in zip(axes, shown.items(), strict=True):
    n_rows, n_steps = (60, 250) if QUICK else (len(rows), 1000)
    tsne = TSNE(perplexity=15, max_iter=n_steps, init="pca", random_state=0)
    x = tsne.fit_transform(rows[:n_rows])
    drawn = ax.scatter(*x.T, c=y_test[:n_rows], cmap="tab10", vmin=-0.5, vmax=9.5, s=10)
    ax.set(title=name, xticks=[], yticks=[])
plt.colorbar(drawn, ax=axes, label="digit", ticks=range(10))
plt.show()
