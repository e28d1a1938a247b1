"""Optimizers of torch by name or class: those that take dense gradients of any shape."""

import copy
import inspect
import warnings
from functools import partial

import torch

__all__ = ["PerGroup", "allocate_state", "optimizer_class", "per_group", "resume_optimizer"]

SHAPES = ((2, 2), (2,), (2, 2, 1, 1))  # of the small weights that optimizers are tried with


def per_group(pairs, device="cpu"):
    """As `optimizer_class`, for one pair (optimizer, params), or for one pair per group."""
    classes = [optimizer_class(optimizer, params, device) for optimizer, params in pairs]
    return classes[0] if len(classes) == 1 else (PerGroup, {"optimizers": classes})


class PerGroup(torch.optim.Optimizer):
    """An optimizer with another optimizer inside for every parameter group.

    State and groups are shared with those, so rates, saving and loading work as with any optimizer.
    """

    def __init__(self, groups, optimizers):
        super().__init__(groups, {})
        self.optimizers = [
            cls([group], **options)
            for group, (cls, options) in zip(self.param_groups, optimizers, strict=True)
        ]
        self._share()

    def _share(self):
        for optimizer, group in zip(self.optimizers, self.param_groups, strict=True):
            optimizer.state, optimizer.param_groups = self.state, [group]

    def step(self, closure=None):
        """Step the groups that `param_groups` holds now, each by its optimizer."""
        for optimizer in self.optimizers:
            if any(group is optimizer.param_groups[0] for group in self.param_groups):
                optimizer.step()

    def __getstate__(self):
        return {**super().__getstate__(), "optimizers": self.optimizers}

    def __setstate__(self, state):
        """Called by `load_state_dict` too."""
        super().__setstate__(state)
        self._share()


def optimizer_class(optimizer, params=None, device="cpu"):
    """The class and its options; ValueError where the Forward-Forward step cannot use it."""
    cls = _by_name(optimizer) if isinstance(optimizer, str) else optimizer
    if not (inspect.isclass(cls) and issubclass(cls, torch.optim.Optimizer)):
        raise ValueError(
            f"optimizer={optimizer!r} is not an optimizer; give the name of a class of torch.optim,"
            f" such as 'adam' or 'sgd', or such a class."
        )
    given = dict(params or {})
    if "fused" in inspect.signature(cls).parameters and "foreach" not in given:
        options = {"fused": True, **given}  # one pass over the weights instead of several
        if _fault(cls, options, device) is None:
            return cls, options
    error = _fault(cls, given, device)
    if error is not None:
        raise ValueError(
            f"optimizer={cls.__name__} with optimizer_params={given} cannot train the layers: "
            f"{error}. Give parameters that it takes, as a list where optimizers differ by layer, "
            f"and an optimizer of dense gradients of any shape that needs no closure, such as "
            f"'adam' or 'sgd'."
        ) from error
    return cls, given


def resume_optimizer(optimizer, old):
    """Copy the moments of an old optimizer; rates and weight decay stay as they are set now."""
    groups = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    optimizer.load_state_dict(copy.deepcopy(old.state_dict()))
    for group, now in zip(optimizer.param_groups, groups, strict=True):
        group.update(now)


def _by_name(name):
    classes = {key.lower(): value for key, value in vars(torch.optim).items()}
    return classes.get(name.lower())


def _fault(cls, options, device):
    """What fails in one step on a matrix, a vector and an image kernel, without a closure."""
    new = partial(torch.zeros, dtype=torch.float32, device=device)  # whatever the default is
    weights = [torch.nn.Parameter(new(shape)) for shape in SHAPES]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
        weight.grad.view(-1)[0] = 0.0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cls([{"params": weights, "lr": 0.01, "weight_decay": 0.0}], **options).step()
    except Exception as error:
        return error
    if all(torch.isfinite(weight).all() for weight in weights):
        return None
    return ValueError("a weight without a gradient leaves the finite numbers")


def allocate_state(optimizer):
    """Create the state of all weights that have none, as the first step of each would.

    Within the first batch it would lie between activations, whose room nothing of their size could
    take when they are gone: the memory of a process would grow with the depth of its network. A
    state that is not known to equal that of a first step is left to this step.
    """
    for one in getattr(optimizer, "optimizers", [optimizer]):
        weights = [w for w in _weights(one) if w.requires_grad and not one.state.get(w)]
        state = _first_state(one, weights[0]) if weights else None
        for weight in weights if state else ():
            one.state[weight] = _zeros(state, weight)


def _first_state(optimizer, like):
    """The state of a small weight, where zeros in its place are what the first step begins with.

    Known by steps with and without it, for the classes of torch: others may do more in a step.
    """
    if not type(optimizer).__module__.startswith("torch.optim."):
        return None
    plain, given = _small(optimizer, like), _small(optimizer, like)
    _descend(plain, 0)
    states = [plain.state.get(weight, {}) for weight in _weights(plain)]
    if not all(map(_has_its_shape, _weights(plain), states)):
        return None
    for weight, state in zip(_weights(given), states, strict=True):
        given.state[weight] = _zeros(state, weight)
    _descend(plain, 1, 2)
    _descend(given, 0, 1, 2)
    for left, right in zip(_weights(plain), _weights(given), strict=True):
        before, after = plain.state[left], given.state[right]
        if not all(torch.equal(before[name], after[name]) for name in before):
            return None
        if not torch.equal(left, right):
            return None
    return states[0]


def _weights(optimizer):
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def _zeros(state, weight):
    """Zeros of the weight's shape, or a number of zero where the state holds a number."""
    return {
        name: torch.zeros_like(weight.detach() if value.dim() else value)
        for name, value in state.items()
    }


def _has_its_shape(weight, state):
    return all(
        isinstance(value, torch.Tensor) and value.shape in ((), weight.shape)
        for value in state.values()
    )


def _small(optimizer, like):
    """An optimizer with the same options for a matrix, a vector and an image kernel of ones."""
    new = partial(torch.ones, dtype=like.dtype, device=like.device)
    weights = [torch.nn.Parameter(new(shape)) for shape in SHAPES]
    return type(optimizer)([{**optimizer.param_groups[0], "params": weights}])


def _descend(optimizer, *numbers):
    """Steps with gradients of both signs that differ from step to step, and with zeros."""
    for number in numbers:
        for weight in _weights(optimizer):
            places = torch.arange(weight.numel(), dtype=weight.dtype, device=weight.device)
            weight.grad = torch.sin(number + places).view_as(weight)
            weight.grad.view(-1)[0] = 0.0
        optimizer.step()
