"""Weights that callbacks have frozen: whole layers, never a part of one."""


def not_frozen(stage, network):
    """The layers of a stage that learn: callbacks may freeze some layers, but not all.

    A stage without layers trains the head.
    """
    free = [layer for layer in network.layers if not is_frozen(layer, f"layer {layer.index + 1}")]
    learning = [layer for layer in stage if layer in free]
    numbers = [layer.index + 1 for layer in stage]
    if stage and not learning:
        raise ValueError(
            f"A callback has frozen every layer of a stage (layers {numbers}), so that nothing is "
            f"left to train; let it freeze fewer layers, or remove it."
        )
    if network.head is not None and is_frozen(network.head, "the softmax head"):
        raise ValueError(
            "A callback has frozen the softmax head, which negatives or prediction rely on; let it "
            "freeze layers only, as with Freezer('layers.0.*')."
        )
    return learning


def is_frozen(module, name):
    """Whether all weights of a layer or of the head are frozen; ValueError if only some are."""
    named = module.named_parameters()
    learning = {weight.removeprefix("affine."): p.requires_grad for weight, p in named}
    if len(set(learning.values())) > 1:
        frozen = [weight for weight in learning if not learning[weight]]
        rest = [weight for weight in learning if learning[weight]]
        raise ValueError(
            f"A callback has frozen the {', '.join(frozen)} of {name}, but not its "
            f"{', '.join(rest)}; freeze whole layers, as with Freezer('layers.0.*')."
        )
    return not any(learning.values())
