"""Blocks of rows that numpy computes in several threads."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import numpy as np
import torch

MOST_THREADS = 8  # more would wait for memory
MOST_NUMBERS = 2**18  # of a block: larger ones are computed one by one, in less memory
AT_ONCE = 16  # blocks that a thread is given, for each of which it would wait


def in_threads(function, X, parts):
    """Yield function(part) for parts of the rows X, in their order.

    The parts are shared among as many threads as torch uses: numpy computes in one, and lets others
    run meanwhile. One thread is left with rows that must be read first, and with long ones.
    """
    some = [parts[start : start + AT_ONCE] for start in range(0, len(parts), AT_ONCE)]
    n = min(torch.get_num_threads(), MOST_THREADS, len(some))
    if n < 2 or not isinstance(X, np.ndarray) or X[parts[0]].size > MOST_NUMBERS:
        yield from map(function, parts)
        return
    waiting: deque[Future[list[Any]]] = deque()
    with ThreadPoolExecutor(n) as pool:
        for several in some:
            run: Any = copy_context().run  # the context holds what numpy does about errors
            waiting.append(pool.submit(run, list, map(function, several)))
            if len(waiting) > 2 * n:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
