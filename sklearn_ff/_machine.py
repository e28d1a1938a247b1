"""Facts and limits of the machine: devices, low precision, memory, threads."""

import ctypes
import os
import re
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn import config_context

from ._parts import is_number
from ._warn import warn
from .exceptions import FFMemoryError, FFWarning

LARGEST_KEPT = 2**25 - 2**13  # bytes; the C library of GNU keeps no block above 32 MiB

try:
    import resource
except ImportError:  # on Windows
    resource = None  # type: ignore[assignment]  # looked at before it is used


def torch_has(device):
    """Whether numbers can be computed on a device in this process."""
    kind = torch.device(device).type
    if kind in ("cpu", "meta"):
        return kind == "cpu"
    if kind == "cuda" and Fork.lost_cuda:
        return False
    backend = getattr(torch, kind, None)
    if backend is None or not backend.is_available():
        return False
    try:
        torch.empty(0, device=device)  # fails where the index of the device is too large
    except (RuntimeError, AssertionError):
        return False
    return True


def pick_device(device):
    """The torch device that `device` means; "auto" prefers CUDA."""
    if device == "auto":
        if Fork.lost_cuda:
            warn(f"device='auto' means 'cpu' here: {LOST_CUDA}", FFWarning)
        return "cuda" if torch.cuda.is_available() and not Fork.lost_cuda else "cpu"
    try:
        there = torch_has(device)
    except RuntimeError:  # not the name of a device
        there = False
    if not there:
        lost = Fork.lost_cuda and str(device).startswith("cuda")
        raise ValueError(
            f"device={str(device)!r} is not available "
            + (f"here: {LOST_CUDA}" if lost else "on this machine; use device='auto' or 'cpu'.")
        )
    return str(device)


def device_or_cpu(device):
    """A device of another process, or the CPU, with a warning, where this one lacks it."""
    with suppress(ValueError):
        return pick_device(device)
    warn(
        f"The estimator was fitted on the device {device!r}, which this process cannot use; it is "
        f"loaded on the CPU.",
        FFWarning,
    )
    return "cpu"


def multiplies_bfloat16(device):
    """Whether the device multiplies matrices faster in bfloat16.

    On a CPU these are tiles (AMX) or ARM's instructions. The vectors of AVX-512 have instructions
    for bfloat16 too, but torch's products by these took 1.8 times as long as in single precision.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(able.get(name, False) for name in ("amx_bf16", "bf16"))


def check_memory(weights, dtype, device="cpu"):
    """Raise FFMemoryError, before allocating, where weights and optimizer state exceed memory."""
    size = weights * np.dtype(dtype).itemsize
    # The network is made on the CPU; on its device are gradients and two moments too.
    on_cuda = torch.device(device).type == "cuda"
    for needed, available, whose in [
        (size if on_cuda else 4 * size, memory_limit(), "that this process may use"),
        (4 * size, memory_of_cuda(device) if on_cuda else np.inf, f"that are free on {device!r}"),
    ]:
        if needed > available:
            raise FFMemoryError(
                f"A network of {weights:,} weights needs about {needed / 2**30:.1f} GiB to train, "
                f"more than the {available / 2**30:.1f} GiB {whose}; use fewer features or smaller "
                f"layers."
            )


def memory_of_cuda(device):
    """Bytes of a GPU that this process may still use: those free, and those that torch keeps."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


# Files with the memory limit of a container (cgroup 2 and 1); without a limit they hold no number.
CONTROL_GROUP = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_limit():
    """Bytes that this process may use: the machine's memory, or a limit below it."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in CONTROL_GROUP:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    if resource is not None:
        limits += [n for n in resource.getrlimit(resource.RLIMIT_AS) if n != resource.RLIM_INFINITY]
    return min(limits)


REFUSED = "allocate memory|not enough memory|out of memory|bad_alloc"  # torch has no class for it
ASKED = r"allocate ([\d.]+ ?(?:bytes|[KMGTP]iB))"
CAPACITY = r"total capacity of ([\d.]+ ?[KMGTP]iB)"


@contextmanager
def memory_errors():
    """Turn a failed allocation of numpy or torch into an FFMemoryError that names a remedy."""
    try:
        yield
    except FFMemoryError:
        raise
    except (MemoryError, RuntimeError) as error:
        said = str(error)
        if not (isinstance(error, MemoryError) or re.search(REFUSED, said, re.IGNORECASE)):
            raise
        asked = re.search(ASKED, said, re.IGNORECASE)
        total = re.search(CAPACITY, said, re.IGNORECASE)
        most = f"{memory_limit() / 2**30:.1f} GiB that this process may use at most"
        if total:
            most = f"{total[1]} that the GPU has"
        raise FFMemoryError(
            f"Memory ran out: {asked[1] + ' more' if asked else 'a request'} could not be "
            f"allocated of the {most}; use a smaller batch_size, smaller layers, or fewer rows per "
            f"call."
        ) from error


class Fork:
    """Whether this process is a fork of one that had imported the package.

    The threads that torch has started in a process are missing in its forks, which would wait for
    them forever if they used more than one.
    """

    forked = False
    lost_cuda = False  # whether it cannot use CUDA, which had begun before the fork

    @classmethod
    def after_in_child(cls):
        cls.forked = True
        cls.lost_cuda |= cls.begun
        torch.set_num_threads(1)

    begun = False

    @classmethod
    def before(cls):
        cls.begun = torch.cuda.is_initialized()


LOST_CUDA = (
    "this process is a fork of one that had used CUDA, which does not survive a fork. Start "
    "processes by joblib's backend 'loky', or by the method 'spawn'."
)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=Fork.before, after_in_child=Fork.after_in_child)


@contextmanager
def torch_threads(n_threads):
    """Use `n_threads` threads of torch, and the settings of `own_settings`, inside the block."""
    if n_threads is not None and not (is_number(n_threads, whole=True) and n_threads > 0):
        raise ValueError(f"n_threads={n_threads!r} must be a positive whole number, or None.")
    before = torch.get_num_threads()
    if Fork.forked and n_threads is not None and n_threads > before:
        warn(
            f"n_threads={n_threads} is not used, but {before}: this process is a fork, and torch's "
            f"threads do not survive one. Start processes by joblib's backend 'loky', or by the "
            f"method 'spawn'.",
            FFWarning,
        )
        n_threads = None
    with own_settings():
        if n_threads is None or n_threads == before:
            yield
            return
        torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def one_thread(alone):
    """Use one thread of torch inside the block if `alone`."""
    before = torch.get_num_threads()
    if not alone or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def own_settings():
    """Gradients, devices, casts and array dispatch as a fit needs them, for any caller's settings.

    Memory that runs out inside raises FFMemoryError.

    A default device costs time in every call of torch, so it is set only where the caller's is
    another one than the CPU.
    """
    with ExitStack() as stack:
        stack.enter_context(memory_errors())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(config_context(array_api_dispatch=False))
        stack.enter_context(repeatable_convolutions)
        if torch.empty(0).device.type != "cpu":  # some versions' get_default_device fails on None
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


CUDNN: Any = torch.backends.cudnn


class Convolutions:
    """A context in which those of a GPU are repeatable, and in single precision where they say so.

    By itself cuDNN adds gradients in any order, and rounds factors to the ten bits of TF32, which
    scores need more of. The flags are of the whole process: the last thread that leaves puts back
    what the first one has found.
    """

    # (where a flag is, its name, its value); newer versions of torch have a flag per operation
    FLAGS = (
        ((CUDNN, "deterministic", True), (CUDNN.conv, "fp32_precision", "ieee"))
        if hasattr(CUDNN, "conv")
        else ((CUDNN, "deterministic", True), (CUDNN, "allow_tf32", False))
    )

    def __init__(self):
        self.lock, self.users, self.before = threading.Lock(), 0, []

    def __enter__(self):
        with self.lock:
            self.users += 1
            if self.users == 1:
                self.before = [(place, name, getattr(place, name)) for place, name, _ in self.FLAGS]
                self.set(self.FLAGS)

    def __exit__(self, *_):
        with self.lock:
            self.users -= 1
            if not self.users:
                self.set(self.before)

    @staticmethod
    def set(flags):
        for place, name, value in flags:
            setattr(place, name, value)


repeatable_convolutions = Convolutions()

TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def flushes_denormals():
    """Whether the calling thread takes numbers too small to be normal for zero."""
    return sys.float_info.min / 2 == 0.0


def keep_freed_room():
    """Let the C library keep the room of freed tensors for the next ones.

    That of GNU gives larger blocks than any that was freed before back to the system, which clears
    their pages when they are asked for again: up to thousands of pages in every batch. It learns
    from this block, of nearly the largest size that it learns from. Nothing is written into it, so
    that it takes no room itself. The library keeps to this after the fit, too, for all of the
    process, as after any other block of this size that is freed.
    """
    with suppress(RuntimeError):  # no address space for it
        torch.UntypedStorage(LARGEST_KEPT, device="cpu")  # deterministic torch fills a tensor


@contextmanager
def flushed_denormals():
    """Denormal numbers are zero inside the block, in the calling thread and torch's workers.

    A product with denormals takes tens of times as long, and moments of silent inputs decay into
    them. Afterwards every thread has the setting it had before; one that began meanwhile has that
    of the calling thread.
    """
    caller, workers, own = flushes_denormals(), {}, threading.get_ident()

    def set_on(number):
        if threading.get_ident() != own:
            workers[number] = flushes_denormals()
            torch.set_flush_denormal(True)

    def put_back(number):
        if threading.get_ident() != own:
            torch.set_flush_denormal(workers.get(number, caller))

    try:
        torch.set_flush_denormal(True)
        in_workers(set_on)
        yield
    finally:
        torch.set_flush_denormal(caller)
        in_workers(put_back)


def in_workers(task):
    """Call `task(number)` in every thread of torch's pool, the calling one included.

    Only where the pool is one of OpenMP with GNU's interface: the pools of Intel and LLVM, on
    Windows and macOS, give their workers the setting of the calling thread each time.
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1:
        return
    try:
        library = ctypes.CDLL(torch._C.__file__)  # what torch is linked with is found through it
        parallel, number = library.GOMP_parallel, library.omp_get_thread_num
    except (OSError, AttributeError):
        return
    parallel.restype, parallel.argtypes = None, [TASK, ctypes.c_void_p, *[ctypes.c_uint] * 2]
    parallel(TASK(lambda _: task(number())), None, n_threads, 0)
