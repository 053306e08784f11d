"""One run of the benchmark: what was asked for, measured row by row, and everything that is needed to judge
the numbers.
"""

import datetime
import json

import numba
import numpy as np
from tqdm import tqdm

from ..files import write_atomically
from . import ceiling, compare, ladder, machine, networks, pytorch, workloads
from .backends import kernel_contender
from .ladder.users_kernel import UsersKernel

FORMAT = 1


class Session:
    """Measures on request; `result` is what the JSON holds, and grows with every row.

    what       names of models and operations; [] for a first look at LeNet-5
    backends, against, batches, threads, dtype, kernel (FILE.py:function or None): as on the command line
    seconds    spent on each row
    whole      whether models are measured as whole networks only, not layer by layer
    show       called with the rows of each comparison as soon as they are there
    """

    def __init__(
        self,
        what,
        *,
        backends=("cpu",),
        against=(),
        batches=(256,),
        threads=(1,),
        dtype="float32",
        kernel=None,
        seconds=0.3,
        whole=False,
        show=print,
    ):
        self.what, self.backends, self.against, self.batches, self.threads = (
            what or ["lenet5"],
            backends,
            against,
            batches,
            threads,
        )
        self.dtype, self.seconds, self.show = np.dtype(dtype), seconds, show
        self.users = UsersKernel.find(kernel) if kernel else None
        self.workloads = [] if whole else workloads.chosen(self.what)
        self.models = [name for name in self.what if name in workloads.MODELS]
        self.climbs = "conv2d" in self.what or self.users is not None
        self.result = {
            "format": FORMAT,
            "date": datetime.date.today().isoformat(),
            "machine": machine.describe(),
            "versions": machine.versions(),
            "load_average": {"before": machine.load_average()},
            "arguments": {
                "what": self.what,
                "backends": backends,
                "against": against,
                "batches": batches,
                "threads": threads,
                "dtype": self.dtype.name,
                "kernel": kernel,
                "seconds": seconds,
                "whole": whole,
            },
            "ceilings": {},
            "rows": [],
        }

    def run(self):
        """Measure everything, with a bar on stderr. KeyboardInterrupt passes through: what was shown is all
        there is.
        """
        tasks = [task for threads in self.threads for task in self._tasks(threads)]
        with tqdm(tasks, desc="bench", unit="row", leave=False) as bar:
            for title, task in bar:
                bar.set_postfix_str(title)
                task()
        self.result["load_average"]["after"] = machine.load_average()
        return self.result

    def _tasks(self, threads):
        yield "ceiling", lambda: self._measure_ceiling(threads)
        for batch in self.batches:
            for workload in self.workloads:
                yield (
                    f"{workload.layer} {workload.direction}",
                    lambda w=workload, b=batch: self._add(self._layer(w, b, threads)),
                )
        for model in self.models:
            for batch in self.batches:
                yield (
                    "training step",
                    lambda m=model, b=batch: self._add(self._network(m, "training step", b, threads)),
                )
            for images in networks.PREDICTED[model]:
                yield (
                    "prediction",
                    lambda m=model, n=images: self._add(self._network(m, "prediction", n, threads)),
                )
        if self.climbs:
            for workload in workloads.ladder_shapes():
                yield "ladder", lambda w=workload: self._add(self._climb(w, max(self.batches), threads))

    def _add(self, rows):
        self.result["rows"] += rows
        self.show(rows)

    def _measure_ceiling(self, threads):
        for count in {1, threads}:  # an optimiser works on one thread
            if count not in self.result["ceilings"]:
                self.result["ceilings"][count] = ceiling.measure(self.dtype, count, self.seconds)

    def _layer(self, w, batch, threads):
        threads = threads if w.splits else 1
        makers = [
            (
                backend,
                threads,
                lambda backend=backend: kernel_contender(backend, w, batch, self.dtype, threads),
            )
            for backend in self.backends
        ]
        if "torch" in self.against:
            makers.append(("torch", threads, lambda: pytorch.contender(w, batch, self.dtype, threads)))
        described = _described("layer", w, batch) | {"checked": w.checked(batch)}
        return compare.kernels(
            described, makers, w, batch, self.dtype, self.result["ceilings"][threads], self.seconds
        )

    def _network(self, model, work, batch, threads):
        task = networks.Task(model, work, batch, self.dtype.name, threads)
        return networks.measure(
            task, self.backends, self.against, self.result["ceilings"][threads], self.seconds
        )

    def _climb(self, w, batch, threads):
        """All rungs of the ladder, and the user's kernel where it is of this direction."""
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        makers = [
            (
                rung.title,
                1 if rung.threads == "1" else threads,
                lambda rung=rung: rung.contender(w, batch, self.dtype, threads),
            )
            for rung in ladder.rungs()
        ]
        doubtful = {}
        if self.users and self.users.direction == w.direction:
            makers.append((self.users.title, threads, lambda: self.users.contender(w, batch, self.dtype)))
            doubtful[self.users.title] = lambda: self.users.check(self.dtype)
        rows = compare.kernels(
            _described("ladder", w, batch),
            makers,
            w,
            batch,
            self.dtype,
            self.result["ceilings"][threads],
            self.seconds,
            doubtful,
        )
        return ladder.ranked(rows)

    def write(self, path):
        """The result as JSON, one row a line; whole or not at all. Raises OSError."""
        rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in self.result["rows"])
        head = ",\n".join(
            f'"{key}": {json.dumps(value)}' for key, value in self.result.items() if key != "rows"
        )
        write_atomically(path, lambda file: file.write(f'{{{head},\n"rows": [\n{rows}\n]}}\n'.encode()))


def _described(kind, w, batch):
    return {
        "kind": kind,
        "model": w.model,
        "layer": w.layer,
        "operation": w.operation,
        "direction": w.direction,
        "batch": batch,
    }
