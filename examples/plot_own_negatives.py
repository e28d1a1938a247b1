"""Negatives of your own
=====================

Negative labels that look alike, and negative rows that are shifted images.

    python examples/plot_own_negatives.py
"""

import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff.negatives import Corruption

LOOK_ALIKE = torch.tensor([6, 7, 3, 8, 9, 3, 0, 1, 1, 4])  # of the digits 0 to 9


def look_alike(y, n_classes, draws):
    """Two negative labels per row, (rows, 2): the most similar digit, and a random one."""
    other = 1 + ((n_classes - 1) * draws.uniform(len(y))).long()
    return torch.stack([LOOK_ALIKE.to(y.device)[y], (y + other) % n_classes], 1)


def shifted(x, draws):
    """Images moved to the right by a random number of one to seven pixels."""
    by = 1 + (7 * draws.uniform(len(x), 1, 1)).long()
    source = (torch.arange(8, device=x.device) - by) % 8
    return x.view(-1, 8, 8).gather(2, source.expand(-1, 8, -1)).flatten(1)


X_train, X_test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
for name, negatives in {"uniform": "uniform", "look-alike": look_alike}.items():
    clf = FFClassifier(negatives=negatives, max_iter=20, random_state=0).fit(X_train, y_train)
    print(f"negative labels {name:10} accuracy {clf.score(X_test, y_test):.3f}")
for name, negatives in {"pair_sum": "pair_sum", "shifted": Corruption(shifted)}.items():
    features = FFTransformer(negatives=negatives, max_iter=20, random_state=0)
    model = make_pipeline(features, LogisticRegression(max_iter=2000)).fit(X_train, y_train)
    print(f"negative rows   {name:10} accuracy {model.score(X_test, y_test):.3f}")

# %%
# Look-alike digits are harder to tell apart than random ones, and so are the curves of the last
# classifier; the rows below are images that are moved.

import matplotlib.pyplot as plt

from sklearn_ff.plotting import HistoryDisplay, ReceptiveFieldDisplay

HistoryDisplay.from_estimator(clf)
ReceptiveFieldDisplay.from_estimator(model[0], X_train, units=range(32), n_columns=8)
plt.show()
