"""A contestant in a process of its own, so that its environment is set before it starts and its peak memory
is its own. The other side is contestant.py.
"""

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


class Elsewhere:
    """The side that asks. environment: {name: value} besides what this process has."""

    def __init__(self, name, task, environment):
        self.name, self.task, self.environment = name, task, environment

    def found(self):
        """What the contestant computes, by name: see Contestant.found."""
        with tempfile.TemporaryDirectory(prefix="tinyconv") as folder:
            path = Path(folder) / "found.npz"
            with _Process(self, path) as process:
                process.answer()
            with np.load(path) as arrays:
                return dict(arrays)

    def contender(self, row, stack):
        """It as a Contender, alive until `stack` ends; notes its first call in its row."""
        process = stack.enter_context(_Process(self))
        row["first_call"] = process.seconds(1)
        return process


class _Process:
    """A Contender that asks for its times."""

    def __init__(self, one, path=None):
        self.name, self.threads, self.peak_memory = one.name, one.task.threads, None
        job = {"name": one.name, "task": dataclasses.asdict(one.task), "path": str(path) if path else None}
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [*COMMAND, json.dumps(job)],
            env=os.environ | one.environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
        )

    def call(self, n):
        self.seconds(n)

    def seconds(self, n):
        try:
            self.process.stdin.write(f"{n}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its answer says why
        return self.answer()["seconds"]

    def answer(self):
        """The next answer. Raises NotMeasured, or TinyconvError where it is a contestant of ours
        that failed.
        """
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
