"""Digits with fifty labels
========================

Of 1,200 images of digits only fifty have labels. Three ways to use the others, beside none.

    python examples/plot_few_labels.py
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.plotting import GoodnessDisplay

QUICK = "--quick" in sys.argv  # only to check that everything runs
N_LABELS, DRAWS = 50, 1 if QUICK else 4
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, train_size=400 if QUICK else 1200, stratify=y, random_state=0
)

# %%
# The methods
# -----------
#
# - `FFClassifier` learns from the fifty images alone, and so does logistic regression on pixels.
# - `FFTransformer` learns features from all images, without labels; logistic regression reads them.
# - `SelfTrainingClassifier` of scikit-learn lets `FFClassifier` label the images of which it is
#   most certain, 200 at a time, and learn from them too.
# - `LabelSpreading` of scikit-learn passes labels on between neighbours; there is no network.

features = FFTransformer((256, 256), output="triangle", random_state=0)
features.set_params(max_iter=2 if QUICK else "auto").fit(X_train)
networks = dict(max_iter=10 if QUICK else 20, random_state=0)
methods = {
    "logistic regression on pixels": LogisticRegression(max_iter=3000),
    "FFClassifier, 50 images": FFClassifier(random_state=0),
    "logistic regression on features": make_pipeline(features, LogisticRegression(max_iter=3000)),
    "FFClassifier, self-training": SelfTrainingClassifier(
        FFClassifier(**networks), criterion="k_best", k_best=200, max_iter=1 if QUICK else 6
    ),
    "LabelSpreading": LabelSpreading(kernel="knn", n_neighbors=7),
}
whole = {"FFClassifier, self-training", "LabelSpreading"}  # learn from rows without labels as well

# %%
# Results
# -------
#
# The accuracy on the test images depends on which fifty images have labels, so these are drawn
# several times. `FFTransformer` is fitted once: it reads no labels.


def learned(name, known):
    """A method that knows the labels of some training rows; -1 stands for no label."""
    method = methods[name]
    if name == "logistic regression on features":
        method[-1].fit(features.transform(X_train[known]), y_train[known])
        return method
    if name in whole:
        labels = np.full(len(y_train), -1)
        labels[known] = y_train[known]
        return method.fit(X_train, labels)
    return method.fit(X_train[known], y_train[known])


draws = [
    train_test_split(
        np.arange(len(y_train)), train_size=N_LABELS, stratify=y_train, random_state=draw
    )[0]
    for draw in range(DRAWS)
]
accuracy = {
    name: [learned(name, known).score(X_test, y_test) for known in draws] for name in methods
}
for name, values in accuracy.items():
    print(f"{name:32} {np.mean(values):.3f} ± {np.std(values):.3f}")

_, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for place, values in enumerate(accuracy.values()):
    ax.plot(values, [place] * len(values), "o", color="#2563a8", alpha=0.5)
    ax.plot(np.mean(values), place, "|", color="black", ms=16)
ax.set_yticks(range(len(methods)), methods)
ax.set(xlabel="accuracy on test images (a point per draw, a line at the mean)")
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)
ax.spines[["top", "right"]].set_visible(False)

# %%
# What self-training changes
# --------------------------
#
# Test images that `FFClassifier` mistakes with fifty labels, and how it scores all labels of them
# after self-training, for the last draw.

before = methods["FFClassifier, 50 images"]
after = methods["FFClassifier, self-training"].estimator_
mistaken = np.flatnonzero(before.predict(X_test) != y_test)[:4]
display = GoodnessDisplay.from_estimator(before, X_test[mistaken], y_test[mistaken])
display.figure_.suptitle("fifty labels")
display = GoodnessDisplay.from_estimator(after, X_test[mistaken], y_test[mistaken])
display.figure_.suptitle("after self-training")
plt.show()
