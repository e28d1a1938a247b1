"""What a prediction rule asks a network for: scores by layer, and the head's logits."""

import torch

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
                yield index, g
            if index == self.counted[-1]:
                return

    def logits(self):
        """The logits of the softmax head."""
        return self.net.head(self.net.features(self.shown))

    def sharpness(self, index):
        """Log-odds per unit of a layer's goodness."""
        return self.net.layers[index].objective.facts.sharpness


@torch.no_grad()
def label_scores(net, x, rule, layers):
    """A score for every row and label, (rows, K), by a rule of prediction."""
    return rule.scores(Evidence(net, x, layers))


def reached(net, layers):
    """Those of `layers` that training has reached; if none, the deepest that it has."""
    return [index for index in layers if index < net.depth] or [net.depth - 1]
