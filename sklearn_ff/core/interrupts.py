"""Ctrl-C while a network learns: the first press is deferred, the second one passes."""

import signal
import threading
from contextlib import contextmanager


class Interrupts:
    """A handler of SIGINT around the handler that was there before, which says what a press means.

    Where that one raises KeyboardInterrupt, as Python's own does, the first press is noted instead,
    provided that training is `armed`: it has begun to change weights, which are kept when their
    batch is complete. Before that, and from the second press on, the exception passes at once.
    """

    def __init__(self):
        self.previous = None
        self.presses = 0
        self.armed = self.noted = self.passed = False
        self.closing = self.late = False

    def __call__(self, signum, frame):
        self.presses += 1
        if self.closing:  # raised here, it would leave this handler in place
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
        """Raise again what has passed, but was caught by code in between, as a callback may."""
        if self.passed:
            raise KeyboardInterrupt


def current():
    """The handler that looks after this thread; one that is never called if there is none.

    Python runs handlers of signals in the main thread alone.
    """
    handler = signal.getsignal(signal.SIGINT)
    return handler if isinstance(handler, Interrupts) and in_main_thread() else Interrupts()


def in_main_thread():
    return threading.current_thread() is threading.main_thread()


@contextmanager
def deferred_interrupt():
    """Handle Ctrl-C as `Interrupts` says, and put the handler from before back.

    Signals that are ignored, end the process or are handled outside Python stay so. A fit inside
    another one shares its handler.
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
