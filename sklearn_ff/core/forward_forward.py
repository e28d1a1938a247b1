"""The Forward-Forward algorithm (Hinton, 2022): a network that learns without backpropagation.

Every layer scores the candidates of a row by its goodness: the row shown with its own label or with
another one, or a real row and a corrupted one. A loss of its own raises the score of the positive
candidate above those of the negative ones. No gradient leaves the layer.

    z = encode(x, c) in the first layer, N(h of the layer below) in the others
    a = W z + U[c] + b      h = f(a)      g = goodness(h)      loss = objective(g)

A label c is shown inside encode(x, c), or by inputs of its own with the weights U. N scales the
activations of a row to a common length, so that no layer can read the goodness of the one below.
Shapes: labels and g (rows, candidates), the positive candidate in column 0 while training; a and h
(rows, candidates, units), or (rows, 1, units) where no label is shown. Labels count from 0; K, the
number of classes, stands for the neutral label, which is the mean of all labels.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .record import Record


class Layer(nn.Module):
    """One layer: built from callables, trained by its own loss alone."""

    def __init__(self, index, affine, label, activate, goodness, objective, normalize, peers):
        super().__init__()
        self.index, self.learning = index, True
        self.affine = affine  # z -> W z + b
        self.label = label  # labels -> U[c], or None: no label is shown to this layer
        self.activate = activate  # a, draws -> h: activation, pooling, dropout
        self.goodness = goodness  # h, labels -> g
        self.objective = objective  # g, h, what is known of the batch -> one loss per row
        self.normalize = normalize  # h -> z of the next layer: N
        self.peers = peers  # a, h, weight -> a penalty that revives idle units (peer normalisation)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        a = self.affine(z)
        return a if self.label is None else a + self.label(labels)

    def gradients(self):
        """A context of its computations: a layer that does not learn builds no graph."""
        return torch.set_grad_enabled(self.learning and torch.is_grad_enabled())

    def learn(
        self, z: Any, labels: Tensor, a: Tensor, h: Tensor, g: Tensor, known: Any, weight: Tensor
    ) -> Tensor:
        """Add the gradient of its loss to those of its weights; return the loss."""
        loss = weight @ self.objective(g, h, known)
        (loss + self.peers(a, h, weight)).backward()
        return loss.detach()


class Network(nn.Module):
    """Layers that each learn alone, above an encoder that shows them rows and labels."""

    def __init__(self, scaler, encoder, layers, head, head_layers, n_classes, answer):
        super().__init__()
        self.scaler, self.encoder, self.answer = scaler, encoder, answer
        self.layers: Any = nn.ModuleList(layers)
        self.head, self.head_layers, self.n_classes = head, head_layers, n_classes
        self.depth = len(layers)  # a greedy fit adds layers one by one
        self.progress = 0.0  # share of the training that has passed

    def forward(self, x: Tensor) -> Tensor:
        """Raw rows -> what is predicted: scores of classes, or features."""
        return self.answer(self, x)

    def encode(self, x: Tensor) -> Any:
        """Rows as the first layer sees them: W₁·x is computed here, once for all labels."""
        with self.layers[0].gradients():
            return self.encoder(x, self.layers[0])

    def activations(
        self, shown: Any, labels: Tensor, draws: Any = None, joined: bool = False
    ) -> Iterator[Any]:
        """Yield (layer, z, a, h) from the first layer up; `draws` turns dropout on.

        Layers are `joined` in prediction alone, where gradients with respect to x may be asked for.
        """
        z = shown
        for layer in list(self.layers)[: self.depth]:
            with layer.gradients():
                a = shown(labels) if z is shown else layer(z, labels)
                h = layer.activate(a, draws)
            yield layer, z, a, h
            if layer.index + 1 < self.depth:
                h = h if joined else h.detach()  # no gradient reaches the layer below
                z = layer.normalize(h)
            del a, h  # a layer's tensors are freed before the next one's are made

    def features(self, shown: Any, draws: Any = None) -> Tensor:
        """N(h) of the counted layers under the neutral label: what the softmax head reads."""
        neutral = shown.every(range(self.n_classes, self.n_classes + 1))
        z, counted = shown, [shown.no_features()]
        for layer in list(self.layers)[: self.depth]:
            with layer.gradients():
                h = layer.activate(shown(neutral) if z is shown else layer(z, neutral), draws)
            z = layer.normalize(h)
            del h  # it is freed before the next one is made
            if layer.index in self.head_layers:
                counted.append(z.squeeze(1))
        return torch.cat(counted, 1)

    @torch.no_grad()
    def known(self, shown: Any, labels: Tensor) -> tuple[Any, ...]:
        """What an objective may use of a batch: y, progress, and g of all layers if it needs it."""
        asked = any(layer.objective.needs_others for layer in self.layers if layer.learning)
        every = [g for _, g in layer_scores(self, shown, labels)] if asked else []
        return labels[:, 0], self.progress, every


def step(
    net: Network,
    negatives: Any,
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    update: Callable[[Layer], None],
    draws: Any,
    drawn: Tensor | None = None,
) -> Record:
    """Learn from one mini-batch: `update(layer)` descends that layer's gradient, and no other's.

    The head, if there is one, learns first; negatives may follow its belief. `drawn` are negative
    labels of this batch that were drawn earlier. Returns the loss and the scores of every layer.
    """
    shown = net.encode(negatives.candidates(x, draws))
    belief = net.head.learn(net, shown.positive(), y, weight, update, draws) if net.head else None
    if drawn is None:
        drawn = negatives.draw(y, net.n_classes, draws, belief)
    labels = torch.cat([y[:, None], drawn], 1)
    known, record = net.known(shown, labels), Record(len(net.layers))
    for layer, z, a, h in net.activations(shown, labels, draws):
        if layer.learning:
            g = negatives.select(layer.goodness(h, labels), layer, draws)
            loss = layer.learn(z, labels, a, h, g, known, weight)
            update(layer)
            record.add(loss, g.detach())
        del z, a, h
    return record


def layer_scores(net: Network, shown: Any, labels: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield (index, g) layer by layer; the label with the highest sum of g is the prediction."""
    for layer, _, _, h in net.activations(shown, labels, joined=True):
        yield layer.index, layer.goodness(h, labels)
