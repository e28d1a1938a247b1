"""Room that layers have freed, given back to the system when a process grows while it learns.

The C library keeps free room for later requests. Where small objects come to lie in the room that a
large tensor has left, the next tensor of this size does not fit there any more: from layer to layer
a process grows, though its tensors do not. To give room back costs time, since the next layer has
to ask for it again: 7 % of a step if every layer does so, which is why it waits for some growth.
"""

import ctypes
import math
import os
from contextlib import suppress
from pathlib import Path

LARGE = 2**26  # bytes of a layer's tensors from which on a process is looked at after its update
SLACK = 0.6  # growth that is let be, as a share of these: two of five live after the update
# After a batch no tensor lives, and less growth is let be; once more in so many layers is no cost.
REST, MANY = 0.2, 8
STATUS = Path("/proc/self/statm")


def resident():
    """Bytes of memory of this process."""
    return int(STATUS.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def trim_of_library():
    """The C library's function that gives free room back, or None where something is missing."""
    try:
        resident()
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError, ValueError):
        return None


trim = trim_of_library()


class Heap:
    """Free room of a process that trains, given back when the process has grown."""

    def __init__(self):
        self.least = math.inf  # bytes of the process when it was smallest
        self.size = 0  # bytes of the tensors of a large layer

    def followed(self, update, device, size):
        """`update`, and a look at the process, if a layer's tensors take `size` bytes on a CPU."""
        self.size = size if size >= LARGE and device.type == "cpu" and trim is not None else 0
        if not self.size:
            return update

        def update_and_look(module):
            update(module)
            self.look(SLACK * size)

        return update_and_look

    def batch_ended(self, n_layers):
        """Look at the process once more after a batch of many layers, before its head learns."""
        if self.size and n_layers >= MANY:
            self.look(REST * self.size)

    def look(self, slack):
        """Give free room back if the process has grown by more than `slack` bytes."""
        with suppress(OSError):  # as where too many files are open
            now = resident()
            self.least = min(self.least, now)
            if now > self.least + slack:
                trim(0)
                # Where it is still large, other memory is in use, which no second call would free.
                self.least = max(self.least, resident() - slack / 2)
