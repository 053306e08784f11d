"""A contestant in a process of its own, so that its environment is set before it starts, its peak memory is
its own, and no thread of another one spins beside it. The other side is contestant.py.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from ..errors import TinyconvError
from .backends import NotMeasured

COMMAND = sys.executable, "-m", __name__.rpartition(".")[0] + ".contestant"


class Contestants:
    """Processes that live as long as this context, one for each name."""

    def __init__(self):
        self.stack, self.processes = contextlib.ExitStack(), {}

    def of(self, name):
        """The process of the contestant `name`, started where it is not there yet."""
        if name not in self.processes:
            self.processes[name] = self.stack.enter_context(_Process(name))
        return self.processes[name]

    def kernel(self, name, workload, batch, dtype, threads):
        """A Contender: the kernel of the backend `name` on a workload."""
        return _Kernel(self.of(name), workload, batch, dtype, threads)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.processes.clear()
        self.stack.close()


class Elsewhere:
    """A network's contestant.

    environment   {name: value} besides what this process has
    contestants   Contestants of which it is one; None: a process of its own for this task alone
    """

    def __init__(self, name, task, environment, contestants=None):
        self.name, self.task, self.environment, self.contestants = name, task, environment, contestants

    def found(self, row):
        """What the contestant computes, by name: see Contestant.found. Notes its first call in its row."""
        with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory(prefix="tinyconv") as folder:
            path = Path(folder) / "found.npz"
            answer = self._process(stack).ask(network=dataclasses.asdict(self.task), path=str(path))
            row["first_call"] = answer["seconds"]
            with np.load(path) as arrays:
                return dict(arrays)

    def contender(self, row, stack):
        """It as a Contender, alive until `stack` ends."""
        process = self._process(stack)
        process.ask(network=dataclasses.asdict(self.task), path=None)
        process.threads = self.task.threads
        # what this process has not compiled for the check
        row["first_call"] = max(row["first_call"], process.seconds(1))
        return process

    def _process(self, stack):
        if self.contestants:
            return self.contestants.of(self.name)
        return stack.enter_context(_Process(self.name, self.environment))


class _Process:
    """A contestant that is asked, and answers; a Contender too."""

    def __init__(self, name, environment=None):
        self.name, self.threads, self.peak_memory = name, 1, None
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [*COMMAND, name],
            env=os.environ | (environment or {}),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
        )

    def call(self, n):
        self.seconds(n)

    def seconds(self, n):
        return self.ask(times=n)["seconds"]

    def ask(self, **request):
        """Its answer. Raises NotMeasured, or TinyconvError where it is a contestant of ours that failed."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its answer says why
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"failed": self._last_words()}
        if "failed" in answer:
            ours = not self.name.startswith("torch") and not answer.get("missing")
            raise (TinyconvError if ours else NotMeasured)(
                f"{self.name}: {answer['failed']}" if ours else f"not available: {answer['failed']}"
            )
        self.peak_memory = answer["peak_memory"]
        return answer

    def _last_words(self):
        status = self.process.wait()
        self.said.seek(0)
        lines = self.said.read().split("\n")
        return (
            f"its process ended with status {status}: "
            f"{next(filter(None, map(str.strip, reversed(lines))), 'it said nothing')}"
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.said):
            file.close()


class _Kernel:
    """A kernel in the process of a contestant, as a Contender. The process has one at a time."""

    def __init__(self, process, workload, batch, dtype, threads):
        self.name, self.process, self.made, self.facts = process.name, process, None, {}
        self.job = {
            "workload": [workload.model, workload.layer, workload.direction],
            "batch": batch,
            "dtype": np.dtype(dtype).name,
            "threads": threads,
        }
        self.threads = threads

    def call(self, n):
        self.seconds(n)

    def seconds(self, n):
        if self.made is not None:
            return self.process.seconds(n)
        with tempfile.TemporaryDirectory(prefix="tinyconv") as folder:
            path = Path(folder) / "made.npy"
            answer = self.process.ask(kernel=self.job, path=str(path))
            self.made, self.facts = np.load(path), {"copies": answer["copies"]}
        return answer["seconds"]

    def result(self):
        return self.made
