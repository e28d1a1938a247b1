"""What a prediction rule asks a network for: scores by layer, and the head's logits."""

import torch

from .._parts import checked_shape
from .forward_forward import layer_scores


class Evidence:
    """Rows shown to a network; nothing is computed before a rule asks for it.

    Of the counted `layers` it has those that training has reached; if none, the deepest of these.
    """

    def __init__(self, net, x, layers):
        self.net, self.shown, self.n_classes = net, net.encode(x), net.n_classes
        self.counted = reached(net, layers)

    def __len__(self):
        return len(self.shown)

    def layers(self, labels=None):
        """Yield (index, g) of the counted layers, for every label or for the given ones."""
        if labels is None:
            every = torch.arange(self.n_classes, device=self.shown.device)
            labels = every.expand(len(self.shown), -1)
        for index, g in layer_scores(self.net, self.shown, labels):
            if index in self.counted:
                yield index, g.expand(-1, labels.shape[1])  # of one where no label is shown
            if index == self.counted[-1]:
                return

    def logits(self):
        """The logits of the softmax head."""
        if self.net.head is None:
            raise ValueError(
                "A rule of prediction asks for the logits of the softmax head, which does not "
                "exist; declare needs_head = True in the class of the rule."
            )
        return self.net.head(self.net.features(self.shown))

    def sharpness(self, index):
        """Log-odds per unit of a layer's goodness."""
        return sharpness_of(self.net, index)


@torch.no_grad()
def label_scores(net, x, rule, layers):
    """A score for every row and label, (rows, K), by a rule of prediction."""
    return checked_scores(rule, Evidence(net, x, layers))


def checked_scores(rule, evidence):
    """The scores of a rule, if there is one per row and class."""
    shape = len(evidence), evidence.n_classes
    return checked_shape(rule.scores(evidence), shape, "prediction", "a score per row and class")


def sharpness_of(net, index):
    """β of a layer: log-odds per unit of its goodness, as its objective takes it."""
    loss = net.layers[index].objective
    return loss.objective.factor(loss.facts)


def reached(net, layers):
    """Those of `layers` that training has reached; if none, the deepest that it has."""
    return [index for index in layers if index < net.depth] or [net.depth - 1]
