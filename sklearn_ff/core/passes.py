"""The passes over the rows of which an epoch consists, and the statistics of their batches."""

import sys
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ..layers import live

# Candidates that the passes of an epoch learn from: all, or positive before negative ones.
PASSES = {"together": (None,), "by_epoch": ("positive", "negative")}
# At its peak a candidate takes as many tensors of a layer's width: pre-activation, activation,
# normalised activation of the layer below, and gradients.
LIVE_TENSORS = 5
MOST_BATCHES, MOST_SCORES = 32, 2**17  # whose statistics are computed at once


@torch.no_grad()
def statistics(loss, g, weight):
    """Loss, g of positive and of negative candidates, ranking accuracy: (..., 4, layers), per row.

    `loss` has shape (..., layers), `g` (..., layers, rows, candidates), `weight` (..., rows).
    """
    positive, negative = g[..., 0], g[..., 1:]
    ranked = (positive > negative.amax(-1)).to(g.dtype)
    per_row = torch.stack([positive, negative.mean(-1), ranked], -3)
    return torch.cat([loss[..., None, :], (per_row * weight[..., None, None, :]).sum(-1)], -2)


def teach(net, layers):
    """Let these layers of a net learn, and no others."""
    net.taught_ = layers
    for layer in net.module_.layers:
        layer.learning = layer in layers


class Sum:
    """Statistics of batches, (4, layers), added up by the share of the rows.

    They are computed of many batches at once: about fifteen operators, which are a tenth of a step
    of small layers.
    """

    def __init__(self):
        self.total, self.waiting = 0.0, []

    def begin(self, net):
        """Before a batch: all learning layers learn from it."""

    def add(self, lesson, share):
        """Add what a batch has left: of each of its parts (loss, g, weight), see `statistics`."""
        for part in lesson:
            if self.waiting and part[1].shape != self.waiting[0][0][1].shape:
                self.compute()
            self.waiting.append((part, share))
            n_scores = len(self.waiting) * part[1].numel()
            if n_scores > MOST_SCORES or len(self.waiting) == MOST_BATCHES:
                self.compute()

    def compute(self):
        lessons, shares = zip(*self.waiting, strict=True)
        if len(lessons) == 1:
            found = statistics(*lessons[0]) * shares[0]
        else:
            found = statistics(*map(torch.stack, zip(*lessons, strict=True)))
            found = (found * found.new_tensor(shares)[:, None, None]).sum(0)
        self.total = self.total + found
        self.waiting = []

    def mean(self):
        if self.waiting:
            self.compute()
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

    def add(self, lesson, share):
        found = sum(statistics(*part) for part in lesson)
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


def part_sizes(net, number, most):
    """Bytes of a number, rows of a batch that are learned from at once, and bytes per row.

    The candidates of these rows take at most so many bytes in the widest layer, unless a layer
    compares all rows of a batch.
    """
    shown = net.module_.encoder.shows_labels or net.negatives.of_rows
    candidates = net.negatives.n_candidates(net.module_.n_classes) if shown else 1
    width = max(live(layer.affine) for layer in net.module_.layers)
    per_row = number * LIVE_TENSORS * candidates * width
    if any(map(compares_rows, net.module_.layers)):
        return number, sys.maxsize, per_row
    return number, max(2 if net.negatives.of_rows else 1, most // per_row), per_row


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
