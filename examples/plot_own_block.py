"""Your own torch module as a layer
================================

A layer of attention between the lines of a digit, beside the same layer without it.

    python examples/plot_own_block.py
"""

from functools import partial

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from sklearn_ff import FFClassifier
from sklearn_ff.layers import Module


class Lines(nn.Module):
    """The eight lines of a digit as tokens: (rows, 64) to (rows, 8, width)."""

    def __init__(self, shape, width=24, attends=True):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.attend = nn.MultiheadAttention(width, num_heads=4, batch_first=True)
        self.attends = attends

    def forward(self, z):
        tokens = self.embed(z.reshape(len(z), 8, -1))
        if self.attends:
            tokens = tokens + self.attend(tokens, tokens, tokens, need_weights=False)[0]
        return tokens


X_train, X_test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
for name, attends in {"without": False, "with": True}.items():
    layers = [Module(partial(Lines, attends=attends))]
    clf = FFClassifier(layers=layers, goodness="readout", max_iter=30, random_state=0)
    clf.fit(X_train, y_train)
    print(f"{name:7} attention: accuracy {clf.score(X_test, y_test):.3f}")

# %%
# What every second output of the module with attention responds to: a row of tiles for each line.

import matplotlib.pyplot as plt

from sklearn_ff.plotting import ReceptiveFieldDisplay

ReceptiveFieldDisplay.from_estimator(clf, X_train, units=range(0, 192, 2), n_columns=12)
plt.show()
