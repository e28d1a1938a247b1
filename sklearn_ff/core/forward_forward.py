"""The Forward-Forward algorithm (Hinton, 2022): a network that learns without backpropagation.

Each layer turns its activities into scores of candidates (a row shown with its own or a wrong
label, or a row and a corrupted one) and a local objective makes it score the right candidate
higher. Nothing flows back to the layer below.

x scaled rows of features, y their labels; z a layer's input, W its weights, U[c] those of label c,
b its bias; a = W z + s U[c] + b; h = f(a) its activity, g its goodness. Shapes: labels and g (rows,
candidates), the right one first in training; a and h (rows, candidates, units).
"""

import torch
from torch import nn
from torch.nn.functional import embedding

from ..activities import Peers, dropped, overwriting
from ..overlays import with_neutral
from .head import learn_head

SHORTLIST = 2  # labels that "hybrid" looks at closely


class Layer(nn.Module):
    """h = f(W z + s U[c] + b), judged by its own goodness and taught by its own objective."""

    def __init__(self, index, transform, n_classes, parts, label_strength=None):
        super().__init__()
        self.index, self.transform, self.n_units = index, transform, transform.n_outputs
        self.activation, self.objective = parts.activation.build(), parts.objective
        self.normalization = parts.normalization
        part, self.learning = parts.goodness, True
        self.goodness = part.build_for(transform.shape, n_classes)
        self.scores_classes, self.sharpness = part.scores_classes, part.sharpness
        self.dropout, self.peers = parts.dropout, Peers(self.n_units, parts.peer_normalization)
        self.in_place = None if parts.peer_normalization else overwriting(parts, transform)
        self.bias = nn.Parameter(torch.zeros(transform.n_biases))
        self.label_strength = label_strength
        if label_strength is not None:
            width = transform.n_units if parts.overlay.plane else transform.n_biases
            self.label_weight = nn.Parameter(torch.empty(n_classes, width))

    def label_codes(self):
        """s·U[c] for every label c, and for the neutral label, their mean, as the last row."""
        return self.transform.expand(with_neutral(self.label_strength * self.label_weight))

    def forward(self, z, labels):
        """W z + b + s U[c]."""
        a, shows = self.transform(z, self.bias), self.label_strength is not None
        return a + embedding(labels, self.label_codes()) if shows and labels is not None else a

    def activate(self, a, draws=None):
        """h = f(a); in training some units are dropped, the same for all candidates of a row."""
        function = self.in_place if self.training and self.in_place else self.activation
        return dropped(self.transform.activity(a, function), self.dropout, draws)

    def gradients(self):
        """Where autograd listens: to a layer that learns, unless it is off altogether."""
        return torch.set_grad_enabled(self.learning and torch.is_grad_enabled())

    def scores(self, h, labels):
        """g of the candidates: of each shown label, or of each class, picked by label."""
        g = self.goodness(h)
        return g.squeeze(1).gather(1, labels) if self.scores_classes else g


class Network(nn.Module):
    """Layers that learn alone, an encoder that shows them labels, and a softmax head (or None)."""

    def __init__(self, scaler, encoder, layers, head, head_layers, negatives, n_classes):
        super().__init__()
        self.scaler, self.encoder, self.layers = scaler, encoder, nn.ModuleList(layers)
        self.head, self.head_layers, self.negatives, self.pool = head, head_layers, negatives, None
        self.n_classes, self.depth = n_classes, len(layers)  # depth: layers reached by training

    def see(self, x):
        """A function labels -> W₁·encode(x, labels) + b₁: its large product is made here, once."""
        with self.layers[0].gradients():
            return self.encoder(x, self.layers[0])

    def activities(self, seen, labels, draws=None):
        """Each layer with its a and h; detached, so that no gradient reaches the layer below."""
        labels, below, h = labels if self.encoder.shows_labels else None, None, None
        for layer in list(self.layers)[: self.depth]:
            z, a, h = below and below.normalization(h.detach()), None, None
            with layer.gradients():
                a = layer(z, labels) if below else seen(labels)
                h = layer.activate(a, draws)
            yield layer, a, h
            below = layer

    @torch.no_grad()
    def features(self, seen, draws=None, read=lambda layer, a, h: layer.normalization(h)):
        """Normalised activities under the neutral label: what the softmax head reads."""
        neutral = torch.full((len(seen.product), 1), self.n_classes, device=seen.product.device)
        found = [seen.product.new_empty(len(neutral), 0)]
        for layer, a, h in self.activities(seen, neutral, draws):
            if layer.index in self.head_layers:
                found.append(read(layer, a, h).squeeze(1))
        return torch.cat(found, 1)

    def learn(self, layers, depth):
        """Let only `layers` learn, of the first `depth`; those above do not exist yet."""
        self.depth = depth
        for layer in self.layers:
            layer.learning = layer in layers


def step(net, x, y, weight, update, draws, wrong=None):
    """Learn from one mini-batch. `update(module)` moves weights against their gradient, once."""
    seen = net.see(net.negatives.candidates(x, draws, net.pool))
    belief = learn_head(net, seen.real(), y, weight, update, draws) if net.head else None
    if wrong is None:
        wrong = net.negatives.draw(y, net.n_classes, draws, belief)
    labels = torch.cat([y[:, None], wrong], 1)
    record = []
    for layer, a, h in net.activities(seen, labels, draws):
        if not layer.learning:  # an earlier stage has taught it
            continue
        g = layer.scores(h, labels)
        loss = weight @ layer.objective.loss(g, layer)
        (loss + layer.peers(a, h, weight)).backward()
        update(layer)
        record.append((loss.detach(), g.detach()))
        del a, h  # so that a layer's tensors are gone before the next one's are made
    return record


@torch.no_grad()
def label_scores(net, x, prediction, layers, shortlist=SHORTLIST):
    """A score for every row and label, (rows, K); "hybrid": the head's best, by their goodness."""
    seen, every = net.see(x), torch.arange(net.n_classes, device=x.device).expand(len(x), -1)
    if prediction == "goodness":
        return goodness(net, seen, every, layers)
    logits = net.head(net.features(seen))
    if prediction == "head":
        return logits
    likely = logits.argsort(dim=1, descending=True, stable=True)[:, :shortlist]
    g = goodness(net, seen, likely, layers)
    ceiling = g.amin(1, keepdim=True).nextafter(g.new_tensor(-torch.inf))
    rest = logits - logits.amax(1, keepdim=True) + ceiling
    return rest.scatter(1, likely, g)  # labels off the shortlist rank below, in the head's order


def goodness(net, seen, labels, layers):
    """Σ over the counted layers of g; that of the deepest reached if none of them is yet."""
    counted = [i for i in layers if i < net.depth] or [net.depth - 1]
    reached = net.activities(seen, labels)
    return sum(layer.scores(h, labels) for layer, _, h in reached if layer.index in counted)
