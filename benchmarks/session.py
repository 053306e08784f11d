"""One run of the benchmark: what was asked for, measured row by row, and everything that is needed to judge
the numbers.
"""

import contextlib
import datetime
import json

import numba
import numpy as np
from tqdm import tqdm

from ..files import write_atomically
from . import ceiling, compare, ladder, machine, networks, pytorch, workloads
from .backends import kernel_contender
from .compare import Entry
from .ladder.users_kernel import UsersKernel
from .process import Contestants

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
        # two devices: each contestant in a process of its own, and more batches, for the one from which the
        # GPU is faster
        self.compares = {"cpu", "cuda"} <= set(backends)
        self.contestants = None
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
            "gpu": None,
            "rows": [],
        }

    def run(self):
        """Measure everything, with a bar on stderr. KeyboardInterrupt passes through: what was shown is all
        there is.
        """
        tasks = [task for threads in self.threads for task in self._tasks(threads)]
        with contextlib.ExitStack() as stack:
            if self.compares:
                self.contestants = stack.enter_context(Contestants())
            bar = stack.enter_context(tqdm(tasks, desc="bench", unit="row", leave=False))
            for title, task in bar:
                bar.set_postfix_str(title)
                task()
        self.result["load_average"]["after"] = machine.load_average()
        return self.result

    def _tasks(self, threads):
        yield "ceiling", lambda: self._measure_ceiling(threads)
        for workload in self.workloads:
            for batch in self._batches(workload.operation in self.what and networks.SWEEP[workload.model]):
                yield (
                    f"{workload.layer} {workload.direction}",
                    lambda w=workload, b=batch: self._add(self._layer(w, b, threads)),
                )
        for model in self.models:
            for batch in self._batches(networks.SWEEP[model]):
                yield (
                    "training step",
                    lambda m=model, b=batch: self._add(self._network(m, "training step", b, threads)),
                )
            for images in networks.PREDICTED[model]:
                yield (
                    "prediction",
                    lambda m=model, n=images: self._add(self._network(m, "prediction", n, threads)),
                )
        for device in self._climbed() if self.climbs else ():
            for workload in workloads.ladder_shapes(device):
                yield (
                    "ladder",
                    lambda w=workload, d=device: self._add(self._climb(w, max(self.batches), threads, d)),
                )

    def _batches(self, sweep):
        """The batches that were asked for; where two devices are compared, those of `sweep` too."""
        return sorted({*self.batches, *sweep}) if self.compares and sweep else self.batches

    def _climbed(self):
        """The devices whose ladders are climbed; a user's kernel stands on that of the CPU."""
        on_gpu = ["cuda"] if "cuda" in self.backends else []
        return on_gpu if on_gpu and "cpu" not in self.backends and not self.users else ["cpu", *on_gpu]

    def _add(self, rows):
        self.result["rows"] += rows
        self.show(rows)

    def _measure_ceiling(self, threads):
        ceilings = self.result["ceilings"]
        on_cpu = set(self.backends) != {"cuda"} or self.against or self.users
        for count in {1, threads} if on_cpu else ():
            if str(count) not in ceilings:  # an optimiser works on one thread
                ceilings[str(count)] = ceiling.measure(self.dtype, count, self.seconds)
        if "cuda" in self.backends and "cuda" not in ceilings:
            from .gpu import roofs  # here, since it needs the package of the GPU

            found, self.result["gpu"] = roofs.measure(self.dtype, self.climbs)
            ceilings |= found

    def _layer(self, w, batch, threads):
        threads = threads if w.splits else 1
        entries = [self._entry(backend, w, batch, threads) for backend in self.backends]
        if "torch" in self.against:
            make = lambda: pytorch.contender(w, batch, self.dtype, threads)
            entries.append(Entry("torch", threads, make, str(threads)))
        described = _described("layer", w, batch) | {"checked": w.checked(batch)}
        return compare.kernels(
            described, entries, w, batch, self.dtype, self.result["ceilings"], self.seconds
        )

    def _entry(self, backend, w, batch, threads):
        make = self.contestants.kernel if self.contestants else kernel_contender
        on, ceiling = (1, "cuda") if backend == "cuda" else (threads, str(threads))
        return Entry(backend, on, lambda: make(backend, w, batch, self.dtype, threads), ceiling)

    def _network(self, model, work, batch, threads):
        task = networks.Task(model, work, batch, self.dtype.name, threads)
        return networks.measure(
            task, self.backends, self.against, self.result["ceilings"], self.seconds, self.contestants
        )

    def _climb(self, w, batch, threads, device):
        """All rungs of a device's ladder, and the user's kernel where it is of this direction."""
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        ceiling = "cuda" if device == "cuda" else str(threads)
        entries = [rung.entry(w, batch, self.dtype, threads, ceiling) for rung in ladder.rungs(device)]
        if self.users and self.users.direction == w.direction and device == "cpu":
            make = lambda: self.users.contender(w, batch, self.dtype)
            stranger = lambda: self.users.check(self.dtype)
            entries.append(Entry(self.users.title, threads, make, ceiling, stranger=stranger))
        rows = compare.kernels(
            _described("ladder", w, batch) | {"device": device},
            entries,
            w,
            batch,
            self.dtype,
            self.result["ceilings"],
            self.seconds,
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
