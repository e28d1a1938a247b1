"""Steps of the optimizer: of each layer when it has learned, or of all at the end of the batch.

Since no gradient leaves a layer, both give the same weights. One step for all saves the fixed cost
of the others, which on small layers is many times that of the arithmetic; but all gradients exist
at once.
"""

from typing import Any

from skorch.callbacks import Callback

MOST_WEIGHTS = 2**22  # of a network whose gradients may wait for the end of the batch
UNREAD = ("params", "l2", "initial_lr")  # what no step reads of a group


def learners(network):
    """The modules that are trained separately: every layer, and the head."""
    return [*network.layers, *([network.head] if network.head is not None else [])]


def watches_gradients(callback):
    """Whether a callback has `on_grad_computed`, whose list of weights costs 2 % of a step."""
    method = callback.on_grad_computed
    return getattr(method, "__func__", method) is not Callback.on_grad_computed


def may_wait(net):
    """Whether the updates of a net may wait for the end of the batch.

    So it is where there are several groups of few weights, no callback reads gradients, and the
    optimizer is one of torch's, which write nothing into their groups.
    """
    if len(net.optimizer_.param_groups) == 1:
        return False
    weights = sum(weight.numel() for weight in net.module_.parameters())
    known = type(net.optimizer_).__module__.startswith("torch.optim.")
    return known and weights <= MOST_WEIGHTS and not (net.watched_ or net.captured_)


def penalize(group, l2):
    """Add the gradient of ½ l2 ‖W‖² for weights, not for biases and scales."""
    for weights in group["params"] if l2 else ():
        if weights.ndim > 1 and weights.grad is not None:
            weights.grad.add_(weights.detach(), alpha=l2)


def descend(optimizer, groups):
    """Step these groups alone, and drop their gradients."""
    every = optimizer.param_groups
    optimizer.param_groups = groups
    try:
        optimizer.step()
    finally:
        optimizer.param_groups = every
    for group in groups:
        for weights in group["params"]:  # as zero_grad, but faster
            weights.grad = None


def descend_together(net):
    """Step all groups that wait."""
    if net.waiting_:
        descend(net.optimizer_, joined(net.waiting_))
        net.waiting_.clear()


def joined(groups):
    """Groups with equal options as one group."""
    alike: list[Any] = []  # options, and groups that have them
    for group in groups:
        options = dict(group)
        for name in UNREAD:
            options.pop(name, None)
        for known, same in alike:
            if known == options:
                same.append(group)
                break
        else:
            alike.append((options, [group]))
    return [
        {**same[0], "params": [weights for group in same for weights in group["params"]]}
        for _, same in alike
    ]
