"""The input of a network: rows and labels, with one large product per row for all labels.

Every overlay is affine in the label, encode(x, c) = base(x) + code[c], so that
W·encode(x, c) = W·base(x) + W·code[c]: one large product per row, one small one per label.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import embedding

from ..layers import add_gradient
from ..overlays import Overlay, with_neutral


class LabelCode(nn.Module):
    """labels -> s U[c]: additional inputs for the label, with weights U and strength s."""

    def __init__(self, n_classes, width, strength, expand):
        super().__init__()
        self.strength, self.expand = strength, expand
        self.weight = nn.Parameter(torch.empty(n_classes, width))

    def codes(self):
        """s U[c] for every label c, and for the neutral label, their mean, as the last row."""
        own = self.weight if self.strength == 1 else self.strength * self.weight
        return self.expand(with_neutral(own))

    def forward(self, labels):
        return coded(labels, self.codes())

    def learn(self, labels, slopes):
        """Add ∂L/∂U to its gradient; the neutral label is the mean of the others."""
        found = by_label(labels, slopes, len(self.weight) + 1)
        own = found[:-1].add_(found[-1:], alpha=1 / len(self.weight))
        add_gradient(self.weight, own if self.strength == 1 else own * self.strength)


def by_label(labels, slopes, n):
    """Sums of the slopes of candidates with the same label: (n, units)."""
    return torch.ops.aten.embedding_dense_backward(slopes, labels, n, -1, False)


def coded(labels, codes):
    """The codes of labels, (rows, candidates, units), in one row if all rows have the same."""
    return embedding(labels[:1] if labels.stride(0) == 0 else labels, codes)


class Encoder(nn.Module):
    """W·encode(x, c) for many labels c at the cost of one product W·base(x) per row.

    With a `normalization` of the input, encode(x, c) is scaled with the label included. Its mean
    square, |base|² + 2 base·code[c] + |code[c]|² over the width, needs no large product either.
    `overlay` is None where no label is shown.
    """

    code: Any  # a buffer of the overlay's codes, or None

    def __init__(self, overlay, n_features, n_classes, strength, normalization):
        super().__init__()
        self.shows_labels, self.normalization = overlay is not None, normalization
        self.overlay = Overlay() if overlay is None else overlay
        self.n_classes, self.strength = n_classes, strength
        code = self.overlay.code(n_features, n_classes)
        if code is not None:
            code = normalization.center(with_neutral(code * strength))
        self.register_buffer("code", code)

    def forward(self, x, layer):
        """The inputs of `layer` for rows x, (rows, features) or (rows, candidates, features)."""
        x = x.unsqueeze(1) if x.dim() == 2 else x
        base = self.normalization.center(self.overlay.base(x, self.n_classes))
        codes = self._codes(layer) if self.shows_labels else None
        product, bias = layer.affine.product(base), layer.affine.expand(layer.affine.bias)
        return Shown(self, base, product, codes, bias.to(product.dtype))

    def _codes(self, layer):
        """W·code[c] for every label and the neutral one: one small product for all rows."""
        codes = layer.label.codes() if self.code is None else layer.affine.product(self.code)
        bias = layer.affine.expand(layer.affine.bias)
        return codes + bias if self.normalization.identity else codes

    def mean_square(self, base, labels):
        """Mean square of encode(x, labels): (rows, candidates, 1)."""
        square = base.square().sum(-1)
        if labels is not None:
            square = square + self._label_square(base, labels)
        return (square / base.shape[-1]).unsqueeze(-1)

    def _label_square(self, base, labels):
        """|code[c]|² + 2 base·code[c]; additional columns add s², or s²/K for the neutral label."""
        if self.code is None:
            own = base.new_full((), self.strength**2)  # filled on the device
            return torch.where(labels < self.n_classes, own, own / self.n_classes)
        dots = (base @ self.code.T).expand(-1, labels.shape[1], -1)
        dots = dots.gather(2, labels.unsqueeze(2)).squeeze(2)
        return self.code.square().sum(1)[labels] + 2 * dots


class Shown:
    """Encoded rows: labels -> W·encode(x, labels) + b, (rows, candidates, units)."""

    def __init__(self, encoder, base, product, codes, bias):
        self.encoder, self.base, self.product = encoder, base, product
        self.codes, self.bias = codes, bias

    def __call__(self, labels):
        labels = labels if self.encoder.shows_labels else None
        if self.encoder.normalization.identity:  # the codes hold the bias
            return self.product + (self.bias if labels is None else coded(labels, self.codes))
        a = self.product if labels is None else self.product + coded(labels, self.codes)
        mean_square = self.encoder.mean_square(self.base, labels)
        return a * self.encoder.normalization.factor(mean_square, self.base.shape[-1]) + self.bias

    def learn(self, layer, labels, slopes):
        """Add ∂L/∂W, ∂L/∂U and ∂L/∂b to the gradients of the first layer, from slopes ∂L/∂a."""
        encoder, shared = self.encoder, self.base.shape[1] < slopes.shape[1]
        layer.affine.learn(self.base, slopes.sum(1) if shared else slopes)
        if encoder.shows_labels and encoder.code is None:
            layer.label.learn(labels, slopes)
        elif encoder.shows_labels:
            found = by_label(labels, slopes, len(encoder.code))
            layer.affine.learn(encoder.code, found, biased=False)

    def positive(self):
        """The first candidate alone, which is the row as in prediction."""
        return self[:, :1]

    def __getitem__(self, part):
        """A part of the rows, or of their candidates."""
        return Shown(self.encoder, self.base[part], self.product[part], self.codes, self.bias)

    def __len__(self):
        return len(self.product)

    @property
    def device(self):
        return self.product.device

    def every(self, labels):
        """The same labels for all rows, as a range, (rows, labels)."""
        if len(labels) == 1:  # as the neutral one; faster
            same = torch.full((1,), labels.start, device=self.device)
        else:
            same = torch.arange(labels.start, labels.stop, device=self.device)
        return same.expand(self.product.shape[0], -1)  # `len` would fix their number in exports

    def no_features(self):
        """(rows, 0): the features of no layer."""
        return self.product[:, 0, :0]
