"""The passes over the rows of which an epoch consists, and the statistics of their batches."""

from contextlib import contextmanager

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
