"""Outliers among digits
=====================

A detector learns the digits 0 to 4, without labels, and then sees all ten.

    python examples/plot_outliers.py
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklearn_ff import FFOutlierDetector, FFTransformer

QUICK = "--quick" in sys.argv  # only to check that everything runs
X, y = load_digits(return_X_y=True)
train, new = train_test_split(X[y < 5], test_size=0.5, random_state=0)
strange = X[y > 4]

# %%
# New rows
# --------
#
# The threshold is the score that 5 % of the training rows that were held out are below, so about
# this share of new images of 0 to 4 are called outliers.

network = FFTransformer(negatives="shuffle", max_iter=2 if QUICK else "auto")
detector = FFOutlierDetector(network, random_state=0).fit(train)
print(f"outliers among new digits 0 to 4: {np.mean(detector.predict(new) == -1):6.1%}")
print(f"outliers among digits 5 to 9:     {np.mean(detector.predict(strange) == -1):6.1%}")

familiar = np.repeat([1, 0], [len(new), len(strange)])
for model in (detector, IsolationForest(random_state=0).fit(train)):
    area = roc_auc_score(familiar, model.score_samples(np.concatenate([new, strange])))
    print(f"{type(model).__name__:17} area under the ROC curve {area:.3f}")

_, ax = plt.subplots(figsize=(7, 2.5), layout="constrained")
bins = np.linspace(np.quantile(detector.decision_function(strange), 0.01), -detector.offset_, 50)
for rows, label in ((new, "new digits 0 to 4"), (strange, "digits 5 to 9")):
    ax.hist(detector.decision_function(rows), bins, alpha=0.6, density=True, label=label)
ax.axvline(0, color="black", lw=1)
ax.set(xlabel="decision_function (outliers are below 0)", yticks=[])
ax.legend()

# %%
# Outliers among the training rows
# --------------------------------
#
# Ten of 200 rows are of another kind. `fit_predict` finds the share of outliers that it is given,
# and scores each row by a network that has not learned from it. With so few rows of each digit,
# some are stranger than a 5 or a 6.

mixed = np.concatenate([train[:190], strange[:10]])
found = FFOutlierDetector(network, contamination=0.05, random_state=0).fit_predict(mixed)
print(f"of ten digits 5 to 9 among 190 others, {np.sum(found[190:] == -1)} are found")
_, axes = plt.subplots(1, 10, figsize=(8, 1.1), layout="constrained")
for ax, image in zip(axes, mixed[found == -1], strict=False):
    ax.imshow(image.reshape(8, 8), cmap="gray_r")
    ax.set_axis_off()
plt.show()
