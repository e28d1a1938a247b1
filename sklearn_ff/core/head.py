"""The softmax head: a linear classifier of a row's features under the neutral label."""

import torch
from torch.nn import functional as F

from ..goodness import LinearReadout
from ..layers import add_gradient
from .record import Record

# Bytes for the features of all layers; larger ones are read in parts of the batch, so that memory
# does not grow with depth.
FEATURE_BYTES = 2**25


class Head(LinearReadout):
    """V z + v with detached features z: its loss has no gradient for the layers."""

    formulas = False  # as of layers: the gradient by a formula, or by autograd

    def learn(self, net, shown, y, weight, update, draws):
        """Descend Σ w · −log softmax(V z + v)_y once; return the logits, for hard negatives."""
        size = max(1, FEATURE_BYTES // (self.weight.shape[1] * self.weight.element_size()))
        if len(y) <= size:
            logits = self._learn_part(net, shown, y, weight, draws)
        else:  # in room taken before: between the features of parts they would split the heap
            logits = self.weight.new_empty(len(y), len(self.weight))
            for part in (slice(start, start + size) for start in range(0, len(y), size)):
                logits[part] = self._learn_part(net, shown[part], y[part], weight[part], draws)
        update(self)
        return logits

    def _learn_part(self, net, shown, y, weight, draws):
        """Add the gradient of some rows; their features are freed when this returns."""
        with torch.no_grad():  # no gradient reaches the layers
            z = net.features(shown, draws)
        with torch.set_grad_enabled(not self.formulas):
            own = self(z)
        logits = own.detach()
        descent = slopes(logits, y, weight)
        if self.formulas:
            self.add_gradients(z, descent)
        else:
            own.backward(descent)
        return logits

    def add_gradients(self, z, slopes):
        """∂L/∂V = slopesᵀ z, zero for layers that do not exist yet, and ∂L/∂v."""
        missing = self.weight.shape[1] - z.shape[1]
        found = slopes.T @ z
        add_gradient(self.weight, F.pad(found, (0, missing)) if missing else found)
        add_gradient(self.bias, slopes.sum(0))


def slopes(logits, y, weight):
    """The gradient of Σ w · −log softmax(logits)_y: w softmax(logits), at y less by w."""
    found, weight = logits.softmax(1), weight[:, None]
    return found.mul_(weight).scatter_add_(1, y[:, None], -weight)


def step_head(net, negatives, x, y, weight, update, draws, drawn=None):
    """Train the head alone; return its loss and its logits, the true label first, as of a layer."""
    shown = net.encode(negatives.candidates(x, draws)).positive()
    logits = net.head.learn(net, shown, y, weight, update, draws)
    loss = weight @ F.cross_entropy(logits, y, reduction="none")
    others = torch.arange(1, logits.shape[1], device=y.device)
    labels = torch.cat([y[:, None], (y[:, None] + others) % logits.shape[1]], 1)
    record = Record(1)
    record.add(loss, logits.gather(1, labels))
    return record
