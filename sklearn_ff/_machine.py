"""Facts and limits of the machine: devices, low precision, memory, threads."""

import ctypes
import os
import re
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from sklearn import config_context

from ._parts import is_number
from ._warn import warn
from .exceptions import FFMemoryError, FFWarning

try:
    import resource
except ImportError:  # on Windows
    resource = None  # type: ignore[assignment]  # looked at before it is used


def torch_has(device):
    kind = torch.device(device).type
    return kind in ("cpu", "meta") or (
        getattr(torch, kind, None) is not None and getattr(torch, kind).is_available()
    )


def pick_device(device):
    """The torch device that `device` means; "auto" prefers CUDA."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        there = torch.device(device).type != "meta" and torch_has(device)
        if there:
            torch.empty(0, device=device)  # fails where the index of the device is too large
    except (RuntimeError, AssertionError):
        there = False
    if not there:
        raise ValueError(
            f"device={str(device)!r} is not available on this machine; use device='auto' or 'cpu'."
        )
    return str(device)


def multiplies_bfloat16(device):
    """Whether the device multiplies matrices faster in bfloat16.

    On a CPU these are tiles (AMX) or ARM's instructions. The vectors of AVX-512 have instructions
    for bfloat16 too, but torch's products by these took 1.8 times as long as in single precision.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(able.get(name, False) for name in ("amx_bf16", "bf16"))


def check_memory(weights, dtype):
    """Raise FFMemoryError, before allocating, where weights and optimizer state exceed memory."""
    needed = 4 * weights * np.dtype(dtype).itemsize  # weights, gradient, two moments
    available = memory_limit()
    if needed > available:
        raise FFMemoryError(
            f"A network of {weights:,} weights needs about {needed / 2**30:.1f} GiB to train, more "
            f"than the {available / 2**30:.1f} GiB that this process may use; use fewer features "
            f"or smaller layers."
        )


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
        raise FFMemoryError(
            f"Memory ran out: {asked[1] + ' more' if asked else 'a request'} could not be "
            f"allocated of the {memory_limit() / 2**30:.1f} GiB that this process may use at most; "
            f"use a smaller batch_size, smaller layers, or fewer rows per call."
        ) from error


class Fork:
    """Whether this process is a fork of one that had imported the package.

    The threads that torch has started in a process are missing in its forks, which would wait for
    them forever if they used more than one.
    """

    forked = False

    @classmethod
    def after_in_child(cls):
        cls.forked = True
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Fork.after_in_child)


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
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def flushes_denormals():
    """Whether the calling thread takes numbers too small to be normal for zero."""
    return sys.float_info.min / 2 == 0.0


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
