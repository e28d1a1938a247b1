"""Layers that respond alike to all candidates or rows after training, and remedies."""

import numpy as np
import torch

from ._params import brief
from ._per_layer import is_list
from ._stored import dense
from .core.rows import Rows

ROWS, LABELS = 64, 10  # that are examined, evenly spread over the rows and the classes
NUMBERS = 2**22  # activations of one layer that are examined, at most
FLAT = 1e-4  # log-odds between candidates, too small to learn from
FLAT_ROWS = 0.1  # log-odds that differ less than this between rows are one answer ...
STRONG = 1e-2  # ... where a penalty, alpha / rows, is of this size: noise is as flat without one
FEW_ROWS = 8  # rows that may have equal scores by chance
ROUNDING = 4  # units in the last place up to which values are equal


@torch.no_grad()
def lifeless(network, plan, X, codes):
    """Numbers of the layers, from 1, that respond alike to every candidate; 0 is the head.

    Under a strong penalty, also layers that respond alike to every row, up to a small difference.
    If all candidates have equal scores, a layer learns nothing; if all rows have equal activations,
    the next layer receives no information. A `blank` goodness is zero until it is learned, so only
    the activations are examined there.
    """
    if len(codes) < 2:
        return []  # the labels of a single row may have equal scores by chance
    network.eval()
    some = spread(len(codes), min(ROWS, max(4, NUMBERS // (plan.width * LABELS))))
    x = Rows(X[some], None, None, network.scaler, getattr(torch, plan.dtype)).rows(slice(None))
    shown, labels = candidates(network, plan, x, torch.as_tensor(codes[some], device=x.device))
    found = []
    for layer, _, _, h in network.activations(shown, labels):
        blank = plan.goodness.for_layer(layer.index).blank
        g = layer.goodness(h, labels)
        told = blank or tells(layer.objective, g)
        if not (told and varies(h)) or (penalised(plan, layer) and one_answer(layer.objective, g)):
            found.append(layer.index + 1)
    if not found and network.head is not None and head_penalised(plan):
        logits = network.head(network.features(shown.positive()))
        found = [0] * bool(np.ptp(logits.cpu().numpy(), axis=0).max() <= FLAT_ROWS)
    return found


def candidates(network, plan, x, y):
    """Candidates: some of the labels, or, where rows compete, each row and its mean with another.

    The mean replaces a negative row, since a layer that works distinguishes any two rows.
    """
    if not plan.negatives.of_rows:
        labels = torch.as_tensor(spread(network.n_classes, LABELS), device=x.device)
        return network.encode(x), labels.expand(len(x), -1)
    return network.encode(torch.stack([x, (x + x.roll(1, 0)) / 2], 1)), y[:, None].expand(-1, 2)


def spread(n, most):
    """At most `most` of n indices, evenly spread."""
    return np.unique(np.linspace(0, n - 1, most).round().astype(int))


def tells(loss, g):
    """Whether scores of some row differ by more than rounding errors, and enough to learn from."""
    gap = (g.amax(1) - g.amin(1)).amax()
    rounding = ROUNDING * torch.finfo(g.dtype).eps * g.abs().amax()
    return bool(gap > rounding) and bool(gap * loss.objective.slope(loss.facts) > FLAT)


def penalised(plan, layer):
    """Whether a penalty may have reduced the layer's weights to zero."""
    group, loss = plan.groups[layer.index], layer.objective
    share = plan.goodness.for_layer(layer.index).unit_share(plan.units[layer.index], plan.n_classes)
    steepness = loss.objective.slope(loss.facts) * share  # as the penalty is multiplied by
    return max(group.l2 / steepness, group.weight_decay) >= STRONG


def head_penalised(plan):
    return max(plan.groups[-1].l2, plan.groups[-1].weight_decay) >= STRONG


def one_answer(loss, g):
    """Whether scores (rows, candidates) are nearly equal for all rows, but not for candidates."""
    if len(g) < FEW_ROWS or not bool((g != g[:, :1]).any()):
        return False
    gap = (g - g.mean(1, keepdim=True)).cpu().numpy()
    return bool(np.ptp(gap, axis=0).max() * loss.objective.slope(loss.facts) <= FLAT_ROWS)


def varies(h):
    """Whether some unit responds differently to some of the candidates."""
    h = h.flatten(0, 1)
    gap = (h.amax(0) - h.amin(0)).amax()
    return bool(gap > ROUNDING * torch.finfo(h.dtype).eps * h.abs().amax())


def remedies(plan, X):
    """Remedies for such layers, the most likely cause first."""
    if not differ(X):
        return "give rows that differ"
    found = []
    if any(group.l2 for group in plan.groups[: len(plan.units)]):
        found.append(f"lower alpha={numbers(plan.settings.alpha)}")
    if any(group.weight_decay for group in plan.groups):
        found.append("lower 'weight_decay' in optimizer_params")
    if plan.scaling is None:
        found.append("scale the columns, as scaling='auto' does")
    found.append(f"{'lower' if not found else 'or lower'} learning_rate_init")
    if not plan.peer_normalization and all(kind.has_peers for kind in plan.kinds):
        found.append("or set peer_normalization=0.03")
    return ", ".join(found)


def numbers(alpha):
    return brief(alpha) if is_list(alpha) else f"{alpha:g}"


def head_remedy(plan):
    """Remedies for a head that responds alike to all rows."""
    if plan.groups[-1].l2 >= STRONG:
        return f"lower alpha={plan.head_settings.alpha:g} of SoftmaxHead, or its learning_rate_init"
    return "lower 'weight_decay' in optimizer_params, or set another in those of SoftmaxHead"


def differ(X):
    """Whether some of the rows are different."""
    rows = dense(X[spread(X.shape[0], ROWS)])
    return bool((rows != rows[:1]).any())
