"""The softmax head: a linear classifier of a row's features under the neutral label."""

import torch
from torch.nn.functional import cross_entropy

from ..goodness import LinearReadout

# Bytes for the features of all layers; larger ones are read in parts of the batch, so that memory
# does not grow with depth.
FEATURE_BYTES = 2**25


class Head(LinearReadout):
    """V z + v with detached features z: its loss has no gradient for the layers."""

    def learn(self, net, shown, y, weight, update, draws):
        """Descend Σ w · −log softmax(V z + v)_y once; return the logits, for hard negatives."""
        size = max(1, FEATURE_BYTES // (self.weight[0].numel() * self.weight.element_size()))
        logits = []
        for part in (slice(start, start + size) for start in range(0, len(y), size)):
            with torch.no_grad():  # no gradient reaches the layers
                z = net.features(shown[part], draws)
            logits.append(self(z))
            (weight[part] @ cross_entropy(logits[-1], y[part], reduction="none")).backward()
        update(self)
        return torch.cat(logits).detach()


def step_head(net, negatives, x, y, weight, update, draws, drawn=None):
    """Train the head alone; return its loss and its logits, the true label first, as of a layer."""
    shown = net.encode(negatives.candidates(x, draws)).positive()
    logits = net.head.learn(net, shown, y, weight, update, draws)
    loss = weight @ cross_entropy(logits, y, reduction="none")
    others = torch.arange(1, logits.shape[1], device=y.device)
    labels = torch.cat([y[:, None], (y[:, None] + others) % logits.shape[1]], 1)
    return [(loss, logits.gather(1, labels))]
