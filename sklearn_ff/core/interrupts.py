"""Ctrl-C during training: the first press is deferred, the second one acts at once."""

import signal
import threading
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """A handler of SIGINT that calls the previous handler.

    Where the previous handler raises KeyboardInterrupt, as Python's does, the first press is noted
    instead, if training is `armed`: it has begun to change weights, which are kept after the batch
    is complete. Before that, and from the second press on, the exception is raised at once.
    """

    def __init__(self):
        self.previous: Any = None
        self.presses = 0
        self.armed = self.noted = self.passed = False
        self.closing = self.late = False

    def __call__(self, signum, frame):
        self.presses += 1
        if self.closing:  # an exception here would leave this handler installed
            self.late = True
            return
        try:
            self.previous(signum, frame)
        except KeyboardInterrupt:
            if self.armed and self.presses == 1:
                self.noted = True
                return
            self.passed = True
            raise

    def check(self):
        """Raise KeyboardInterrupt again if code in between, such as a callback, has caught it."""
        if self.passed:
            raise KeyboardInterrupt


def current():
    """The installed handler, or in other threads than the main one a handler that is never called.

    Python runs signal handlers in the main thread only.
    """
    handler = signal.getsignal(signal.SIGINT)
    return handler if isinstance(handler, Interrupts) and in_main_thread() else Interrupts()


def in_main_thread():
    return threading.current_thread() is threading.main_thread()


@contextmanager
def deferred_interrupt():
    """Handle Ctrl-C by `Interrupts` inside the block, then restore the previous handler.

    Signals that are ignored, end the process or are handled outside Python are left as they are. A
    fit inside another fit shares its handler.
    """
    previous = signal.getsignal(signal.SIGINT)
    if not in_main_thread() or isinstance(previous, Interrupts) or not callable(previous):
        yield current()
        return
    interrupts = Interrupts()
    interrupts.previous = previous
    try:
        signal.signal(signal.SIGINT, interrupts)
        yield interrupts
    finally:
        interrupts.closing = True
        if signal.getsignal(signal.SIGINT) is interrupts:
            signal.signal(signal.SIGINT, previous)
        if interrupts.late:
            previous(signal.SIGINT, None)
