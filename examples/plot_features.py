"""Features for another model
==========================

FFTransformer learns features of digits without labels, and another model reads them.

    python examples/plot_features.py

The features are compared with pixels, and with those of the same network before it has learned, by
a linear classifier that is given few labels, or many.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import train_test_split

from sklearn_ff import FFClassifier, FFTransformer

QUICK = "--quick" in sys.argv  # only to check that everything runs
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=600, train_size=300 if QUICK else None, stratify=y, random_state=0
)

# %%
# What learning adds
# ------------------
#
# `FFTransformer` sees all training images, and no label. With a rate of almost zero its network
# stays as it was drawn. Logistic regression then learns from some labelled images, which are drawn
# several times.

layers = (32, 32) if QUICK else (500, 500)
learned = FFTransformer(layers, max_iter=2 if QUICK else "auto", random_state=0)
untrained = FFTransformer(layers, max_iter=1, learning_rate_init=1e-12, random_state=0)
images = {"pixels": (X_train / X_train.std(), X_test / X_train.std())}
for name, features in {"untrained": untrained, "FFTransformer": learned}.items():
    images[name] = features.fit(X_train).transform(X_train), features.transform(X_test)

sizes, draws = ([50, 100], 1) if QUICK else ([50, 100, 300, 1000], 6)
accuracy = {name: np.zeros((draws, len(sizes))) for name in images}
for draw, place in np.ndindex(draws, len(sizes)):
    some, _ = train_test_split(
        np.arange(len(y_train)), train_size=sizes[place], stratify=y_train, random_state=draw
    )
    for name, (rows, new) in images.items():
        model = LogisticRegression(max_iter=1000).fit(rows[some], y_train[some])
        accuracy[name][draw, place] = model.score(new, y_test)

print(f"{'labels':14}" + "".join(f"{size:14}" for size in sizes))
for name, found in accuracy.items():
    columns = zip(found.mean(0), found.std(0), strict=True)
    print(f"{name:14}" + "".join(f"{mean:8.3f} ±{spread:.3f}" for mean, spread in columns))

# %%
# The features that were learned are ahead of those of the untrained network, and of pixels, for any
# number of labels, and most with few. The untrained network is ahead of pixels where labels are
# many: a part of the gain is due to the architecture alone.

_, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
for name, found in accuracy.items():
    ax.errorbar(sizes, found.mean(0), found.std(0), marker="o", capsize=3, label=name)
ax.set(xscale="log", xlabel="labelled images", ylabel="accuracy on new images")
ax.set_xticks(sizes, map(str, sizes))
ax.minorticks_off()
ax.legend()

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
    "FFTransformer, no labels": images["FFTransformer"][1],
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
