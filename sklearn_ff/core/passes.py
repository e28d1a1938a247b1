"""The passes over the rows of which an epoch consists, and the statistics of their batches."""

from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

# Candidates that the passes of an epoch learn from: all, or positive before negative ones.
PASSES = {"together": (None,), "by_epoch": ("positive", "negative")}


@torch.no_grad()
def statistics(loss, g, weight):
    """Loss, g of positive and of negative candidates, ranking accuracy: (4, layers), per row.

    `loss` has shape (layers,), `g` (layers, rows, candidates).
    """
    positive, negative = g[:, :, 0], g[:, :, 1:]
    ranked = (positive > negative.amax(2)).to(g.dtype)
    per_row = torch.stack([positive, negative.mean(2), ranked])
    return torch.cat([loss[None], per_row @ weight])


def teach(net, layers):
    """Let these layers of a net learn, and no others."""
    net.taught_ = layers
    for layer in net.module_.layers:
        layer.learning = layer in layers


class Sum:
    """Statistics of batches, (4, layers), added up by the share of the rows."""

    def __init__(self):
        self.total = 0.0

    def begin(self, net):
        """Before a batch: all learning layers learn from it."""

    def add(self, found, share):
        self.total = self.total + found * share

    def mean(self):
        return self.total


class Turns:
    """The same where a batch teaches one of the learning layers; NaN for those without a batch."""

    totals: Any = None  # (layers, 4)

    def __init__(self, net):
        self.shares = [0.0] * len(net.learning_)

    def begin(self, net):
        """Before a batch: it is the next layer's turn."""
        self.turn = (net.n_updates_ - net.first_update_) % len(self.shares)
        teach(net, net.learning_[self.turn : self.turn + 1])

    def add(self, found, share):
        if self.totals is None:
            self.totals = found.new_zeros(len(self.shares), len(found))
        self.totals[self.turn] += found[:, 0] * share
        self.shares[self.turn] += share

    def mean(self):
        return (self.totals / self.totals.new_tensor(self.shares)[:, None]).T


def told(totals, layers):
    """Statistics and indices without layers whose turn has not come: of these all are NaN."""
    came = ~np.isnan(totals).all(0)
    return totals[:, came], [index for index, one in zip(layers, came, strict=False) if one]


def compares_rows(layer):
    """Whether anything in a layer compares the rows of a batch, which it then sees as a whole."""
    whole = layer.affine.whole_batches or getattr(layer.normalize, "whole_batches", False)
    return whole or layer.objective.objective.compares_rows


@contextmanager
def one_sided(layers, side):
    """Limit the objectives to "positive" or "negative" candidates; None means all.

    Peer normalisation acts on positive candidates and is off in the pass of the negative ones.
    """
    before = [(layer, layer.peers.rate) for layer in layers]
    for layer, rate in before:
        layer.objective.side = side
        layer.peers.rate = 0.0 if side == "negative" else rate
    try:
        yield
    finally:
        for layer, rate in before:
            layer.objective.side, layer.peers.rate = None, rate
