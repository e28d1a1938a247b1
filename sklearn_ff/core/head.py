"""The softmax head: a linear classifier on what layers make of a row under the neutral label."""

import torch
from torch.nn.functional import cross_entropy

# What the features of all layers may take, in bytes; more are read in parts of the batch, so that
# memory does not grow with depth.
FEATURE_BYTES = 2**25


def step_head(net, x, y, weight, update, draws, wrong=None):
    """Teach the head alone; its loss and logits, the right label first, as those of a layer."""
    seen = net.see(net.negatives.candidates(x, draws, net.pool)).real()
    logits = learn_head(net, seen, y, weight, update, draws)
    loss = weight @ cross_entropy(logits, y, reduction="none")
    others = torch.arange(1, logits.shape[1], device=y.device)
    labels = torch.cat([y[:, None], (y[:, None] + others) % logits.shape[1]], 1)
    return [(loss, logits.gather(1, labels))]


def learn_head(net, seen, y, weight, update, draws):
    """Teach the head the labels; return its logits, for hard negatives.

    L = Σ w · −log softmax(V z + b)_y, z the detached features: it teaches itself, never the layers.
    """
    size = max(1, FEATURE_BYTES // (net.head.weight[0].numel() * net.head.weight.element_size()))
    logits = []
    for part in (slice(start, start + size) for start in range(0, len(y), size)):
        logits.append(net.head(net.features(seen[part], draws)))
        (weight[part] @ cross_entropy(logits[-1], y[part], reduction="none")).backward()
    update(net.head)
    return torch.cat(logits).detach()
