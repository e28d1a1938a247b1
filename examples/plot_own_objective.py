"""An objective of your own
========================

A loss whose sharpness rises with the training, and one that learns its sharpness.

    python examples/plot_own_objective.py
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_ff import FFClassifier
from sklearn_ff.objectives import Collaboration, Objective


class Annealed(Objective):
    """−log softmax(β g)⁺, where β rises from a fifth to the whole while the layer learns."""

    def loss(self, scores, layer):
        sharpness = (0.2 + 0.8 * layer.progress) * self.factor(layer)
        return -(sharpness * scores).log_softmax(1)[:, 0]


class Learned(Objective):
    """The same with a β of every layer that it learns itself."""

    def build(self, layer):
        return LearnedLoss([torch.tensor(self.factor(layer))])


class LearnedLoss(torch.nn.ParameterList):
    def loss(self, scores, layer):
        return -(self[0] * scores).log_softmax(1)[:, 0]


X_train, X_test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
for objective in ("softmax", Annealed(), Learned(), Collaboration("softmax")):
    clf = FFClassifier((128, 128), objective=objective, max_iter=20, random_state=0)
    print(f"{objective!r:36} accuracy {clf.fit(X_train, y_train).score(X_test, y_test):.3f}")
