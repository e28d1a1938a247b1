"""Convolutions and augmentation
=============================

A convolutional network on digits, with and without random shifts of the training images.

    python examples/plot_convolutions.py
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_ff import FFClassifier
from sklearn_ff.augmentations import Shifts
from sklearn_ff.layers import Conv2d
from sklearn_ff.plotting import HistoryDisplay, ReceptiveFieldDisplay

QUICK = "--quick" in sys.argv  # only to check that everything runs
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=300 if QUICK else 1200, stratify=y, random_state=0
)


def moved(X, right, down):
    """Images moved by some pixels; those that leave at one side enter at the other."""
    return np.roll(X.reshape(-1, 8, 8), (down, right), axis=(1, 2)).reshape(len(X), -1)


# %%
# The networks
# ------------
#
# A dense network, and two convolutions with a dense layer above; every layer has a loss of its own.
# `image_shape` tells how a row is read. ``goodness="readout"`` scores all classes in one pass, so
# that no label has to be shown on the image. `Shifts` moves every training image by up to a pixel,
# anew in every batch.

options = dict(max_iter=3 if QUICK else 20, random_state=0)
images = dict(image_shape=(1, 8, 8), **options)
layers = [Conv2d(16, norm="batch"), Conv2d(32, norm="batch", pool="max"), 64]
convolutions = FFClassifier(layers=layers, goodness="readout", **images)
networks = {
    "dense": FFClassifier((128, 128), **options),
    "dense, shifts": FFClassifier((128, 128), augmentation=Shifts(1), **images),
    "convolutions": convolutions,
    "convolutions, shifts": clone(convolutions).set_params(augmentation=Shifts(1)),
}

# %%
# Test images in their places, and moved
# --------------------------------------
#
# The test images are also moved by one pixel to the left and to the right, which hardly cuts off
# anything; digits fill the height of their images.

print(f"{'accuracy':24}{'in place':>10}{'moved':>8}")
accuracy = {}
for name, clf in networks.items():
    clf.fit(X_train, y_train)
    sides = [clf.score(moved(X_test, right, 0), y_test) for right in (-1, 1)]
    accuracy[name] = clf.score(X_test, y_test), np.mean(sides)
    print(f"{name:24}{accuracy[name][0]:10.3f}{accuracy[name][1]:8.3f}", flush=True)

_, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
for place, (still, aside) in enumerate(accuracy.values()):
    ax.plot([aside, still], [place, place], color="#c3cad2", lw=2, zorder=1)
still, aside = np.transpose(list(accuracy.values()))
ax.scatter(still, range(len(networks)), color="#2563a8", label="in place")
ax.scatter(aside, range(len(networks)), color="#d1493f", label="moved by a pixel")
ax.set_yticks(range(len(networks)), networks)
ax.set(xlabel="accuracy on test images", ylim=(len(networks) - 0.5, -0.5))
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

# %%
# Curves and kernels
# ------------------
#
# The convolutions learn from shifted images, so that they never see an image twice.

HistoryDisplay.from_estimator(clf, statistics=["loss", "ranking_accuracy"])
ReceptiveFieldDisplay.from_estimator(clf, n_columns=8)
plt.title("kernels of the first convolution")
plt.show()
