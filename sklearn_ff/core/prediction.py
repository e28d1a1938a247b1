"""What a prediction rule asks a network for, and what a network answers for raw rows."""

import copy
from types import MethodType

import torch
from torch import nn

from .._parts import checked_shape
from ..predictions import Goodness
from .forward_forward import layer_scores


class Evidence:
    """Rows shown to a network; nothing is computed before a rule asks for it.

    Of the counted `layers` it has those that training has reached; if none, the deepest of these.
    """

    def __init__(self, net, x, layers):
        self.net, self.shown, self.n_classes = net, net.encode(x), net.n_classes
        self.counted = reached(net, layers)

    @property
    def shape(self):
        """(rows, classes); the number of rows may be a symbol while a network is exported."""
        return self.shown.product.shape[0], self.n_classes

    def layers(self, labels=None):
        """Yield (index, g) of the counted layers, for every label or for the given ones."""
        if labels is None:
            labels = self.shown.every(range(self.n_classes))
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
    scores = rule.scores(evidence)
    return checked_shape(scores, evidence.shape, "prediction", "a score per row and class")


def reached(net, layers):
    """Those of `layers` that training has reached; if none, the deepest that it has."""
    return [index for index in layers if index < net.depth] or [net.depth - 1]


def read_features(net, shown, layers, read_out):
    """What `read_out` takes from these layers, side by side: (rows, units).

    Values are those under the neutral label, normalised as between layers.
    """
    neutral = shown.every(range(net.n_classes, net.n_classes + 1))
    found = [
        layer.normalize(read_out(layer, a, h)).squeeze(1)
        for layer, _, a, h in net.activations(shown, neutral, joined=True)
        if layer.index in layers
    ]
    return torch.cat(found, 1)


def activation(layer, a, h):
    """The activations of a layer, as they are passed on."""
    return h


# A network that is called on raw rows ------------------------------------------------------------


class Answer(nn.Module):
    """A network and raw rows -> what it predicts, in training mode too.

    In double precision for rows in that, and for integers that single precision cannot hold.
    """

    predicts = False  # whether it returns log-probabilities of classes

    def forward(self, net, x):
        n_features = net.scaler.shift.shape[0]
        if x.dim() != 2 or x.shape[1] != n_features:
            raise ValueError(
                f"The network takes rows of {n_features} features, (rows, {n_features}), but it is "
                f"given a tensor of shape {tuple(x.shape)}; reshape it."
            )
        double = x.dtype in net.scaler.WIDE and net.scaler.shift.dtype != torch.float64
        if double or net.training:
            net = twin(net, double).eval()
        return net.answer.read(net, net.scaler(x))

    def read(self, net, z):
        """What is predicted for scaled rows."""
        raise NotImplementedError


class Features(Answer):
    """What a transformer reads out of the counted layers."""

    def __init__(self, layers):
        super().__init__()
        self.layers, self.read_out = layers, activation

    def read(self, net, z):
        return read_features(net, net.encode(z), reached(net, self.layers), self.read_out)


class LogProbabilities(Answer):
    """Log-probabilities of the classes by a rule of prediction, as `log_probabilities` has them.

    Scale, slips and prior are no weights: they follow from these and from training rows.
    """

    predicts = True
    scale: torch.Tensor
    slips: torch.Tensor
    prior: torch.Tensor

    def __init__(self, rule, layers, n_classes):
        super().__init__()
        self.rule, self.layers = rule, layers
        first = {"scale": 1.0, "slips": 0.0, "prior": [1 / n_classes] * n_classes}
        for name, value in first.items():
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def set(self, rule, scale, slips, prior):
        self.rule = rule
        for name, value in {"scale": scale, "slips": slips, "prior": prior}.items():
            old = getattr(self, name)
            new = torch.as_tensor(value).to(old)
            if not torch.equal(old, new):  # otherwise kept, for a gradient may need it
                setattr(self, name, new)

    def read(self, net, z):
        learned = net.depth > min(self.layers)  # otherwise the last layer that has learned decides
        rule = self.rule if learned else Goodness()
        scores = checked_scores(rule, Evidence(net, z, self.layers))
        scaled = self.scale * (scores - scores.amax(1, keepdim=True))
        likely, most = scaled.exp(), self.prior.max()
        q = most * likely + self.prior * (1 - likely)
        q = self.slips * q / q.sum(1, keepdim=True)
        sure = torch.log1p(-self.slips) + scaled.log_softmax(1)
        return torch.logaddexp(sure, q.clamp_min(torch.finfo(q.dtype).tiny).log())


def twin(network, double=True):
    """A network whose modules are copies, in double precision if asked to.

    Weights are shared, so that gradients reach them; so are all objects other than modules. Copies,
    where a change for the time of a call would meet other threads.
    """
    twins = {id(module): copy.copy(module) for module in network.modules()}
    for module in twins.values():
        own = vars(module)
        for name, value in own.items():
            if id(getattr(value, "__self__", None)) in twins:  # a method of another module
                own[name] = MethodType(value.__func__, twins[id(value.__self__)])
        if double:
            for name in ("_parameters", "_buffers"):
                own[name] = {k: doubled(t) for k, t in own[name].items()}
        own["_modules"] = {k: m if m is None else twins[id(m)] for k, m in own["_modules"].items()}
    return twins[id(network)]


def doubled(tensor):
    """A tensor of real numbers in double precision."""
    if tensor is None or not tensor.is_floating_point():
        return tensor
    if tensor.device.type == "mps":  # which has no double precision
        tensor = tensor.cpu()
    return tensor.double()
