"""Processes that fit together: started once, given functions to run, and killed when they hang."""

import contextlib
import multiprocessing
import os
import sys
import tempfile
import traceback
from pathlib import Path

import torch
import torch.distributed as dist

LIMIT = 60  # seconds that a function may take
# On Linux processes are forks of one that has imported what they need, and has no threads.
START = "forkserver" if sys.platform == "linux" else "spawn"
NEEDED = ["pytest", "scipy.sparse", "sklearn.datasets", "skorch", "sklearn_ff.distributed"]
NEEDED += ["torch._dynamo"]  # which the first optimizer of a process imports, in a second or more


def serve(connection):
    """Run functions that are received, each in a process group of its own."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = {"darwin": "lo0"}.get(sys.platform, "lo")
    while (task := connection.recv()) is not None:
        function, arguments, rank, size, store = task
        try:
            dist.init_process_group("gloo", f"file://{store}", rank=rank, world_size=size)
            answer = function(*arguments)
        except BaseException as error:
            answer = Failed(type(error).__name__, str(error), traceback.format_exc())
        finally:
            dist.destroy_process_group()
        connection.send(answer)


class Failed:
    """An error of a rank."""

    def __init__(self, kind, message, trace):
        self.kind, self.message, self.trace = kind, message, trace


class Ranks:
    """Processes, each with a connection; use `with`."""

    def __init__(self, size):
        self.size, self.processes = size, []

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.calls = 0
        self.fill()
        return self

    def fill(self):
        """Start as many processes as are missing."""
        context = multiprocessing.get_context(START)
        if START == "forkserver":
            context.set_forkserver_preload(NEEDED)
        self.processes = [one for one in self.processes if one[0].is_alive()]
        while len(self.processes) < self.size:
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(there,), daemon=True)
            process.start()
            there.close()
            self.processes.append((process, here))

    def begin(self, function, *arguments):
        """Let ranks run a function; `arguments` are lists with an entry for each of them."""
        self.calls += 1
        store = Path(self.folder.name, f"store{self.calls}")
        self.begun = self.processes[: len(arguments[0])]
        for rank, (_, connection) in enumerate(self.begun):
            own = [some[rank] for some in arguments]
            connection.send((function, own, rank, len(self.begun), store))

    def answers(self, limit=LIMIT):
        """What the ranks return, or how they fail; None of one that was killed."""
        found = []
        for process, connection in self.begun:
            try:
                if not connection.poll(limit):
                    process.kill()
                    raise AssertionError(f"a rank did not answer in {limit} seconds")
                found.append(connection.recv())
            except EOFError:
                found.append(None)
        return found

    def run(self, function, *arguments):
        self.begin(function, *arguments)
        found = self.answers()
        for answer in found:
            if isinstance(answer, Failed):
                raise AssertionError(answer.trace)
        return found

    def __exit__(self, *error):
        for _, connection in self.processes:
            with contextlib.suppress(OSError):
                connection.send(None)
        for process, _ in self.processes:
            process.join(5)
            process.kill()
            process.join()
        self.folder.cleanup()
