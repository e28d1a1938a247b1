"""From the scores of layers and head to one score per row and class."""

import torch

from .forward_forward import goodness

SHORTLIST = 2  # labels that "hybrid" looks at closely


@torch.no_grad()
def label_scores(net, x, prediction, layers, shortlist=SHORTLIST):
    """A score for every row and label, (rows, K), by the rule `prediction`.

    "goodness": summed over `layers`; "head": the logits; "hybrid": the goodness of the `shortlist`
    labels that the head finds most likely, the others below these, in the head's order.
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
    """Those of `layers` that training has reached; if none, the deepest that it has."""
    return [index for index in layers if index < net.depth] or [net.depth - 1]
