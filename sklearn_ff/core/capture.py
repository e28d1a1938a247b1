"""Training steps on a GPU, recorded in a CUDA graph and replayed with one launch.

A step launches a few hundred small kernels, and small layers wait for the launches. A replay does
what the recorded step did, at the same places in memory: rows, rates and progress are written there
before. What Python decides from batch to batch is not repeated, so a step is recorded again when
the learning layers, the optimizer's options, or the places of weights have changed.
"""

import threading
from contextlib import contextmanager

import torch
from torch.nn.modules import module as torch_module

from .._warn import warn
from ..exceptions import FFWarning
from .user_callbacks import acts_on_batches

WARM_UP = 3  # steps before the first recording, in which libraries choose their kernels
MOST = 4  # recordings of a stage; where more are needed, what they depend on changes all the time
_alone = threading.Lock()  # a process records one graph at a time


class Captured:
    """The steps of a net, recorded by kind of batch; those that cannot be recorded run as before.

    `asked` tells whether the user has asked for it, and then a step that cannot be recorded warns.
    """

    def __init__(self, net, asked):
        self.net, self.asked = net, asked
        self.able, self.n_steps, self.recorded = True, 0, {}

    def __call__(self, batch):
        self.n_steps += 1
        if not self.able or self.n_steps <= WARM_UP or len(batch[1]) != self.net.batch_size:
            return self.net.learn(batch)
        kind = kind_of(self.net, batch)
        if kind not in self.recorded and not self._record(kind, batch):
            return self.net.learn(batch)
        return self.recorded[kind].replay(self.net, batch)

    def _record(self, kind, batch):
        """Record a step, or give up: a fault shows again in a step that is not recorded."""
        generator = self.net.draws.generator
        state = generator.clone_state()
        try:
            if len(self.recorded) == MOST:
                raise RuntimeError("what a recording depends on changes from batch to batch")
            with _alone, same_stream(self.net.device):
                self.recorded[kind] = Recording(self.net, batch)
        except Exception as error:
            generator.graphsafe_set_state(state)  # the old one waits for its graph to end
            self._give_up(error)
        return self.able

    def forget(self):
        """Drop all recordings, and the memory that they hold."""
        self.recorded = {}

    def _give_up(self, error):
        self.able, first = False, (str(error) or type(error).__name__).splitlines()[0]
        self.forget()
        self.net.drop_gradients()
        if self.asked:
            warn(
                f"compile=True has no effect: a training step could not be recorded ({first}). "
                f"Parts must compute on the device alone, without a look at single values.",
                FFWarning,
            )


class Recording:
    """One step as a CUDA graph, the tensors that it reads, and what `FFNet.learn` returns."""

    def __init__(self, net, batch):
        self.batch = [None if part is None else part.clone() for part in batch]
        self.progress = torch.zeros((), device=net.device)
        self.rates = [torch.zeros((), device=net.device) for _ in net.optimizer_.param_groups]
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(net.draws.generator)
        with (
            read_from(net, self.progress, self.rates),
            torch.cuda.graph(self.graph, capture_error_mode="thread_local"),
        ):
            self.lesson = net.learn(self.batch)

    def replay(self, net, batch):
        for place, part in zip(self.batch, batch, strict=True):
            if place is not None:
                place.copy_(part)
        self.progress.fill_(net.module_.progress)
        for place, group in zip(self.rates, net.optimizer_.param_groups, strict=True):
            place.fill_(group["lr"])
        self.graph.replay()
        return [tuple(value.clone() for value in part) for part in self.lesson]


@contextmanager
def same_stream(device):
    """Put the stream of this thread back, which a failed recording may leave changed."""
    if torch.device(device).type != "cuda":
        yield
        return
    before = torch.cuda.current_stream(device)
    try:
        yield
    finally:
        torch.cuda.set_stream(before)


@contextmanager
def read_from(net, progress, rates):
    """Inside the block, a step reads progress and rates from these tensors."""
    before = net.module_.progress
    net.module_.progress, net.rates_ = progress, rates
    try:
        yield
    finally:
        net.module_.progress, net.rates_ = before, None


def captured(net):
    """What records the steps of a net; None where it is not asked for, or not possible."""
    if not net.captures:
        return None
    asked = net.captures == "asked"
    if may_capture(net):
        return Captured(net, asked)
    if asked:
        warn(
            "compile=True has no effect: steps are not recorded beside callbacks or hooks that "
            "look into them, one optimizer per layer, an optimizer that is not fused, passes of "
            "positive before negative candidates, or layers that take turns.",
            FFWarning,
        )
    return None


def may_capture(net):
    """Whether the steps of a net can be recorded: nothing looks inside a step, the optimizer can
    read its rates from the device, all candidates are learned from at once, and so are all layers.
    """
    on_device = all(group.get("fused") for group in net.optimizer_.param_groups)
    single = not hasattr(net.optimizer_, "optimizers")  # not one for every group
    unseen = not (net.watched_ or net.listeners_ or has_hooks(net.module_))
    if net.captures != "asked":  # a callback may change more than rates from batch to batch
        unseen = unseen and not any(map(acts_on_batches, net.callbacks or ()))
    return on_device and single and unseen and len(net.passes) == 1 and not net.in_turn


def has_hooks(network):
    """Whether hooks, which a replay does not call, see the activations or gradients of a network.

    Parametrizations count as such: gradients go through them to weights that lie elsewhere.
    """
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    own = ("_backward_hooks", "_post_accumulate_grad_hooks")  # of weights
    hooks = [getattr(part, name) for part in network.modules() for name in names]
    hooks += [part._modules.get("parametrizations") for part in network.modules()]
    hooks += [getattr(weight, name) for weight in network.parameters() for name in own]
    # Not part of torch's interface: where it is missing, hooks are taken to exist.
    for_all = getattr(torch_module, "_has_any_global_hook", lambda: True)
    return any([*hooks, for_all()])


def kind_of(net, batch):
    """What a recording depends on, beside the values of rows, weights, rates and progress."""
    optimizer = net.optimizer_
    options = [
        (name, value)
        for group in optimizer.param_groups
        for name, value in group.items()
        if name not in ("params", "lr", "initial_lr")
    ]
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    places = [(w.data_ptr(), w.requires_grad) for w in weights]
    states = [v for w in weights for v in optimizer.state.get(w, {}).values()]
    states = [v.data_ptr() if isinstance(v, torch.Tensor) else v for v in states]
    learning = [layer.index for layer in net.learning_]
    shapes = [None if part is None else part.shape for part in batch]
    return repr((net.stage_number_, net.module_.depth, learning, shapes, options)) + str(
        (places, states)
    )
