"""Weights that callbacks have frozen: whole layers, never a part of one."""


def fixed_weights(network):
    """Weights that do not learn before any callback is called, as a user's module may have them."""
    return {id(weight) for weight in network.parameters() if not weight.requires_grad}


def not_frozen(stage, network, fixed=frozenset()):
    """The layers of a stage that learn: callbacks may freeze some layers, but not all.

    A stage without layers trains the head. `fixed` weights are none of the callbacks' matter.
    """
    free = [
        layer for layer in network.layers if not is_frozen(layer, f"layer {layer.index + 1}", fixed)
    ]
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


def is_frozen(module, name, fixed=frozenset()):
    """Whether all weights of a layer or of the head are frozen; ValueError if only some are."""
    named = [(key, p) for key, p in module.named_parameters() if id(p) not in fixed]
    learning = {key.removeprefix("affine."): p.requires_grad for key, p in named}
    if len(set(learning.values())) > 1:
        frozen = [weight for weight in learning if not learning[weight]]
        rest = [weight for weight in learning if learning[weight]]
        raise ValueError(
            f"A callback has frozen the {', '.join(frozen)} of {name}, but not its "
            f"{', '.join(rest)}; freeze whole layers, as with Freezer('layers.0.*')."
        )
    return not any(learning.values())
