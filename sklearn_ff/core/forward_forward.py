"""The Forward-Forward algorithm (Hinton, 2022): a network that learns without backpropagation.

Each layer turns its activities into scores of candidates, and a local objective makes it score the
right candidate higher. Nothing flows back to the layer below.

Symbols: x rows of features; y their labels; z a layer's input, W its weights, U[c] the share of
label c, b its bias; a its pre-activation, h its activity, g its goodness. Shapes: x (rows,
features); labels (rows, candidates), the true one first; a and h (rows, candidates, units);
g (rows, candidates). Where a goodness scores classes, no label is shown and a and h have one
candidate.
"""

import copy

import torch
from torch import nn
from torch.nn.functional import embedding

from ..overlays import with_neutral


class Layer(nn.Module):
    """h = f(W z + U[c] + b), judged by its own goodness and taught by its own objective."""

    def __init__(self, index, transform, n_classes, parts, label_strength=None):
        super().__init__()
        self.index, self.transform, self.n_units = index, transform, transform.n_units
        self.activation = copy.deepcopy(parts.activation.function)
        self.normalization, self.objective = parts.normalization, parts.objective
        self.goodness = parts.goodness.build(self.n_units, n_classes)
        self.scores_classes = parts.goodness.scores_classes
        self.dropout, self.peer_rate = parts.dropout, parts.peer_normalization
        self.bias = nn.Parameter(torch.zeros(self.n_units))
        self.register_buffer("peers", torch.full((self.n_units,), 0.5))  # mean activities
        self.label_strength = label_strength
        if label_strength is not None:
            self.label_weight = nn.Parameter(torch.empty(n_classes, self.n_units))

    def label_codes(self):
        """s·U[c] for every label c, and for the neutral label, their mean, as the last row."""
        return with_neutral(self.label_strength * self.label_weight)

    def forward(self, z, labels):
        """W z + U[c]."""
        a = self.transform(z)
        if self.label_strength is None or labels is None:
            return a
        return a + embedding(labels, self.label_codes())

    def activate(self, a, draws=None):
        """h = f(a); in training some units are dropped, the same for all candidates of a row."""
        h = self.activation(a)
        if draws is None or not self.dropout:
            return h
        kept = draws.uniform(len(h), 1, self.n_units) >= self.dropout
        return h * kept / (1 - self.dropout)

    def scores(self, h, labels):
        """g of the candidates: of each shown label, or of each class, picked by label."""
        g = self.goodness(h)
        return g.squeeze(1).gather(1, labels) if self.scores_classes else g

    def peer_penalty(self, a, h):
        """Units busier than their peers are pushed down, idle or dead ones up (Hinton, 2022)."""
        if not self.peer_rate:
            return 0.0
        self.peers.lerp_(h[:, 0].detach().mean(0), 0.1)
        return self.peer_rate * ((self.peers - self.peers.mean()) * a[:, 0].mean(0)).sum()


class Network(nn.Module):
    """Layers that learn alone, an encoder that shows them labels, and a softmax head (or None)."""

    def __init__(self, scaler, encoder, layers, head, head_layers, negatives, n_classes):
        super().__init__()
        self.scaler, self.encoder, self.layers = scaler, encoder, nn.ModuleList(layers)
        self.head, self.head_layers = head, head_layers
        self.negatives, self.n_classes = negatives, n_classes
        self.depth = len(layers)  # how many layers have begun to learn
        self.shows_labels = not layers[0].scores_classes

    def see(self, x):
        """labels -> W₁·encode(x, labels): the first layer's product, once per row for all labels."""
        return self.encoder(self.scaler(x), self.layers[0])

    def activities(self, seen, labels, draws=None):
        """Each layer with its a and h. Its graph ends where the next layer begins."""
        labels = labels if self.shows_labels else None
        for layer in self.layers[: self.depth]:
            if layer.index:
                a = layer(self.layers[layer.index - 1].normalization(h.detach()), labels)
            else:
                a = seen(labels)
            a = a + layer.bias
            h = layer.activate(a, draws)
            yield layer, a, h

    @torch.no_grad()
    def features(self, seen, rows, draws=None):
        """Normalised activities under the neutral label: what the softmax head reads."""
        neutral = torch.full((rows, 1), self.n_classes, device=self.layers[0].bias.device)
        hs = [(l, h) for l, _, h in self.activities(seen, neutral, draws) if l.index in self.head_layers]
        return torch.cat([l.normalization(h).squeeze(1) for l, h in hs], 1)

    def learn(self, layers):
        """Let only `layers` learn; those below serve them, those above do not exist yet."""
        self.depth = max(layer.index for layer in layers) + 1
        for layer in self.layers:
            layer.requires_grad_(layer in layers)


def schedule_stages(net, schedule):
    """Which layers learn together: all from every batch, or each in its turn, bottom up."""
    return [[layer] for layer in net.layers] if schedule == "greedy" else [list(net.layers)]


def step(net, x, y, weight, update, draws, wrong=None):
    """Learn from one mini-batch. `update(module)` moves its weights along their gradient."""
    seen = net.see(x)
    belief = learn_head(net, seen, y, weight, update, draws) if net.head is not None else None
    if wrong is None:
        wrong = net.negatives.draw(y, net.n_classes, draws, belief)
    labels = torch.cat([y[:, None], wrong], 1)
    record = []
    for layer, a, h in net.activities(seen, labels, draws):
        if not layer.bias.requires_grad:  # an earlier stage has taught it
            continue
        g = layer.scores(h, labels)
        loss = weight @ layer.objective.loss(g, layer)
        (loss + layer.peer_penalty(a, h)).backward()
        update(layer)
        record.append(statistics(loss, g, weight))
    return torch.stack(record, 1)


@torch.no_grad()
def statistics(loss, g, weight):
    """What history_ keeps: loss, g of right and of wrong candidates, share of rows ranked right."""
    right, wrong = g[:, 0], g[:, 1:]
    ranked = (right[:, None] > wrong).all(1).to(g.dtype)
    return torch.stack([loss, weight @ right, weight @ wrong.mean(1), weight @ ranked])


def learn_head(net, seen, y, weight, update, draws):
    """Teach the softmax head the labels; return its belief, the logits, for hard negatives."""
    logits = net.head(net.features(seen, len(y), draws))
    (weight @ nn.functional.cross_entropy(logits, y, reduction="none")).backward()
    update(net.head)
    return logits.detach()


@torch.no_grad()
def label_scores(net, x, prediction, layers, shortlist=5):
    """A score for every row and label, (rows, K): by goodness, by the head, or by both."""
    seen, K = net.see(x), net.n_classes
    if prediction == "goodness":
        return goodness(net, seen, torch.arange(K, device=x.device).expand(len(x), K), layers)
    logits = net.head(net.features(seen, len(x)))
    if prediction == "head":
        return logits
    likely = logits.topk(min(shortlist, K), dim=1).indices
    g = goodness(net, seen, likely, layers)
    # Labels off the shortlist rank below it, in the head's order.
    rest = logits - logits.amax(1, keepdim=True) + g.amin(1, keepdim=True)
    return rest.scatter(1, likely, g)


def goodness(net, seen, labels, layers):
    """Σ over the counted layers of g."""
    used = [l.scores(h, labels) for l, _, h in net.activities(seen, labels) if l.index in layers]
    return torch.stack(used).sum(0)
