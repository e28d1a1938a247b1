"""Prediction rules: one score per row and class from the scores of layers and head."""

import torch

from .forward_forward import goodness

SHORTLIST = 2  # labels whose goodness "hybrid" computes


@torch.no_grad()
def label_scores(net, x, prediction, layers, shortlist=SHORTLIST):
    """A score for every row and label, (rows, K), by the rule `prediction`.

    "goodness": the goodness summed over `layers`; "head": the logits; "hybrid": the goodness of the
    `shortlist` labels with the highest logits, and lower scores in the order of the logits for the
    other labels.
    """
    shown, every = net.encode(x), torch.arange(net.n_classes, device=x.device).expand(len(x), -1)
    if prediction == "goodness":
        return goodness(net, shown, every, reached(net, layers))
    logits = net.head(net.features(shown))
    if prediction == "head":
        return logits
    likely = logits.argsort(dim=1, descending=True, stable=True)[:, :shortlist]
    g = goodness(net, shown, likely, reached(net, layers))
    ceiling = g.amin(1, keepdim=True).nextafter(g.new_tensor(-torch.inf))
    rest = logits - logits.amax(1, keepdim=True) + ceiling
    return rest.scatter(1, likely, g)


def reached(net, layers):
    """Those of `layers` that training has reached, or the deepest such layer if none."""
    return [index for index in layers if index < net.depth] or [net.depth - 1]
