"""Receptive fields
================

What the units of a layer respond to, for dense layers and convolutions, on digits.

    python examples/plot_receptive_fields.py
"""

import sys

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.layers import Conv2d
from sklearn_ff.plotting import ReceptiveFieldDisplay

MAX_ITER = 3 if "--quick" in sys.argv else 30  # --quick only checks that everything runs
X, y = load_digits(return_X_y=True)

# %%
# Weights of the first layer
# --------------------------
#
# The first layer is linear in the pixels, so its weights are images. Without a penalty they keep
# the noise that they started with, in every direction that no digit varies in. A penalty, `alpha`,
# removes it, and strokes remain: red pixels raise the pre-activation of the unit, blue ones lower
# it.

networks = {
    "no penalty": FFClassifier((64, 64), max_iter=MAX_ITER, random_state=0),
    "alpha = 10": FFClassifier((64, 64), alpha=10, max_iter=MAX_ITER, random_state=0),
}
_, axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
for ax, (name, clf) in zip(axes, networks.items(), strict=True):
    ReceptiveFieldDisplay.from_estimator(clf.fit(X, y), units=range(36), ax=ax)
    ax.set_title(f"weights of layer 1, {name}")
    print(f"{name:10} accuracy on the images that were learned from {clf.score(X, y):.3f}")

# %%
# What deeper layers respond to
# -----------------------------
#
# Deeper layers are not linear in the pixels. With rows X, the display shows by how much each pixel
# is brighter, on average, where the activation of the unit is high. It is drawn for both layers of
# the network with a penalty, and for one that has learned without labels. A grey tile is a unit
# that is never active.

unlabelled = FFTransformer(64, max_iter=MAX_ITER, random_state=0).fit(X)
shown = {
    "layer 1": (clf, 0),
    "layer 2": (clf, 1),
    "learned without labels": (unlabelled, 0),
}
_, axes = plt.subplots(1, 3, figsize=(13, 4.8), layout="constrained")
for ax, (name, (model, layer)) in zip(axes, shown.items(), strict=True):
    ReceptiveFieldDisplay.from_estimator(model, X, layer=layer, units=range(36), ax=ax)
    ax.set_title(f"responses, {name}")

# %%
# Kernels of a convolution
# ------------------------
#
# Of a layer that reads images, the display shows the channels at the centre of the image. In the
# first layer these are the kernels, here of five by five pixels.

convolutions = FFClassifier(
    layers=[Conv2d(24, kernel_size=5, pool="max"), 64],
    image_shape=(1, 8, 8),
    goodness="readout",
    alpha=3,
    max_iter=max(2, MAX_ITER // 3),
    random_state=0,
)
ReceptiveFieldDisplay.from_estimator(convolutions.fit(X, y), n_columns=8)
plt.title("kernels of a convolution")
plt.show()
