"""What a prediction rule asks a network for: scores by layer, and the head's logits."""

import torch
from torch import nn
from torch.func import functional_call

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
        return self.net.layers[index].objective.sharpness


@torch.no_grad()
def label_scores(net, x, rule, layers):
    """A score for every row and label, (rows, K), by a rule of prediction."""
    return checked_scores(rule, Evidence(net, x, layers))


def checked_scores(rule, evidence):
    """The scores of a rule, if there is one per row and class."""
    shape = len(evidence), evidence.n_classes
    return checked_shape(rule.scores(evidence), shape, "prediction", "a score per row and class")


def reached(net, layers):
    """Those of `layers` that training has reached; if none, the deepest that it has."""
    return [index for index in layers if index < net.depth] or [net.depth - 1]


class Answer(nn.Module):
    """A network and raw rows -> what it predicts; in double precision for rows in that."""

    def forward(self, net, x):
        if x.dtype == torch.float64 and net.scaler.shift.dtype != torch.float64:
            return functional_call(net, doubled(net), (x,))
        return self.read(net, net.scaler(x))

    def read(self, net, z):
        """What is predicted for scaled rows."""
        raise NotImplementedError


def doubled(net):
    """Weights and buffers of a network by name, in double precision."""
    named = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    return {name: t.double() for name, t in named.items() if t.is_floating_point()}


class Features(Answer):
    """The activations that a transformer returns."""

    def read(self, net, z):
        return net.features(net.encode(z))


class LogProbabilities(Answer):
    """Log-probabilities of the classes by a rule of prediction, as `log_probabilities` has them.

    Scale, slips and prior are no weights: they follow from these and from training rows.
    """

    scale: torch.Tensor
    slips: torch.Tensor
    prior: torch.Tensor

    def __init__(self, rule, layers, n_classes):
        super().__init__()
        self.rule, self.layers = rule, layers
        first = {"scale": 1.0, "slips": 0.0, "prior": [1 / n_classes] * n_classes}
        for name, value in first.items():
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def set(self, scale, slips, prior):
        for name, value in {"scale": scale, "slips": slips, "prior": prior}.items():
            getattr(self, name).copy_(torch.as_tensor(value))

    def read(self, net, z):
        scores = checked_scores(self.rule, Evidence(net, z, self.layers))
        scaled = self.scale * (scores - scores.detach().amax(1, keepdim=True))
        likely, most = scaled.exp(), self.prior.max()
        q = most * likely + self.prior * (1 - likely)
        q = self.slips * q / q.sum(1, keepdim=True)
        sure = torch.log1p(-self.slips) + scaled.log_softmax(1)
        return torch.logaddexp(sure, q.clamp_min(torch.finfo(q.dtype).tiny).log())
