"""Whole networks: a training step, and predictions, on a backend of tinyconv and in PyTorch."""

import contextlib
import time
from dataclasses import dataclass

import numpy as np

from .. import device, execution
from ..device import to_host
from ..execution.plans import plan_for
from ..layers import Dropout
from ..optimizers import SGD
from . import parity, process, pytorch
from .backends import NotMeasured
from .compare import timed
from .timing import Contender
from .workloads import MEASURED, MODELS, RECIPES, distinct

CHECKED = 100  # images of a prediction that are held against the reference
# model -> images of each prediction, of which contestants in this process take the best of CHUNKS
PREDICTED = {name: model.bench.predictions for name, model in MEASURED.items()}
CHUNKS = (100, 250, 500, 1000, 2500, 10_000)
# Large networks get a process for each contestant, whose peak memory tells something then. PyTorch comes in
# its variants, {name: what its environment must say before it starts}: eager, compiled, and eager with glibc
# told to keep memory that was given back to it.
IN_PROCESSES = {name for name, model in MEASURED.items() if model.bench.alone}
TORCH = {
    "torch": {},
    "torch.compile": {"TORCHINDUCTOR_COMPILE_THREADS": "1"},
    "torch malloc": {
        "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"
    },
}
# of every update: speed does not depend on it, and the numbers stay finite however often a step is repeated
RATE = {"lr": 1e-6}
# batches of a training step from which the one is found that a GPU is faster from
SWEEP = {
    name: (1, 4, 16, 64) if model.bench.alone else (1, 4, 16, 64, 256, 1024)
    for name, model in MEASURED.items()
}
PATIENCE = 10  # times the seconds of other rows that are spent on such a contestant


@dataclass(frozen=True)
class Task:
    """What every contestant does: a "training step" of so many images, or a "prediction"."""

    model: str
    work: str
    images: int
    dtype: str
    threads: int

    @property
    def trains(self):
        return self.work == "training step"

    def network(self, checked=False):
        """(network, loss). To be checked, it trains without dropout: no two contestants would drop
        the same.
        """
        net, loss = MODELS[self.model]()
        for layer in net.layers:
            if isinstance(layer, Dropout) and checked and self.trains:
                layer.rate = 0.0
        return net.astype(self.dtype), loss

    def distinct(self, net):
        """How many of the images differ: see workloads.py."""
        checked = self.images if self.trains else min(self.images, CHECKED)
        return self.images if (n := distinct(checked, net.summary().multiply_adds)) == checked else n

    def data(self, net):
        """x and labels of all images."""
        n = self.distinct(net)
        x = np.random.default_rng(0).standard_normal((n, *net.input_shape)).astype(self.dtype)
        repeated = np.arange(self.images) % n
        return (x if n == self.images else x[repeated]), repeated % 10

    def expected(self):
        """What the reference computes in float64, by name."""
        net, loss = self.network(checked=True)
        x, labels = self.data(net)
        n, net, loss = self.distinct(net), net.to("reference").astype(np.float64), loss.to("reference")
        if not self.trains:
            scores = net.forward(x[: min(n, CHECKED)].astype(np.float64))
            return {"scores": scores[np.arange(min(self.images, CHECKED)) % len(scores)]}
        share = (
            np.bincount(np.arange(self.images) % n) / self.images
        )  # of each different image in the mean over the batch
        scores, labels = net.forward(x[:n].astype(np.float64), training=True), labels[:n]
        losses = loss.kernel.forward(scores, labels, *loss._options())
        net.backward(loss.kernel.backward_input(share, scores, labels, *loss._options()), need_dx=False)
        return {"loss": np.array(share @ losses), **net.grads}

    def multiply_adds(self, net):
        """Of one image: forward once; the way back twice, except that the first layer needs no dx."""
        rows = [row[5] for row in net.summary().rows]
        return 3 * sum(rows) - rows[0] if self.trains else sum(rows)


class Contestant:
    """A network at its task. Subclasses have evaluate, train_step and predict."""

    def once(self):
        return self.train_step(self.x, self.labels) if self.task.trains else self.predict(self.x)

    def repeat(self, n):
        """Do the task n times."""
        for _ in range(n):
            self.once()

    def resident(self):
        """The training step as a Contender, its batch on the GPU already; None where there is no such
        thing.
        """
        return None

    def found(self):
        """What is held against Task.expected, by name."""
        if not self.task.trains:
            return {"scores": self.predict(self.x[:CHECKED])}
        value, grads = self.evaluate(self.x, self.labels)
        return {"loss": np.array(value), **grads}


class Ours(Contestant):
    """A network of tinyconv on one backend."""

    def __init__(self, backend, task, checked=False, precision="float32"):
        net, loss = task.network(checked)
        self.task, (self.x, self.labels) = task, task.data(net)
        self.net, self.loss, self.threads = (
            net.to(backend, precision),
            loss.to(backend),
            task.threads if backend == "cpu" else 1,
        )
        self.optimizer = SGD(self.net, **(RECIPES[task.model] | RATE)) if task.trains else None
        self.records = device.backend(backend).records == "graph"

    def repeat(self, n):
        """Training steps as Trainer makes them: each is submitted before the loss of the last one is asked
        for, so that a GPU never waits for Python.
        """
        if not self.task.trains or not self.records:
            return super().repeat(n)
        last = None
        for _ in range(n):
            this = execution.submit(self.net, self.x, self.labels, self.loss, self.optimizer, self.threads)
            if last is not None:
                last.checked()
            last = this
        last.checked()

    def resident(self):
        """The captured training step by itself; None where the device captures none."""
        if not self.task.trains or not self.records:
            return None
        from .gpu.clock import OnGpu, clock

        self.repeat(1)
        plan = plan_for(self.net, self.x, self.threads, self.loss, self.optimizer)
        # a graph that begins with the copy of a batch has a second one without it
        return OnGpu("resident", getattr(plan, "play_resident", plan.play), clock())

    def evaluate(self, x, labels):
        """The loss and all gradients."""
        value, _ = execution.forward_backward(self.net, x, labels, self.loss, self.threads)
        return value, {name: to_host(grad) for name, grad in self.net.grads.items()}

    def train_step(self, x, labels):
        return self.net.train_step(x, labels, self.loss, self.optimizer, self.threads)

    def predict(self, x):
        return execution.forward(self.net, x, self.threads)


class Torch(Contestant):
    """The same network in PyTorch, from the same weights, on its `device`."""

    def __init__(self, variant, task, checked=False, device="cpu"):
        pytorch.load()
        net, loss = task.network(checked)
        self.task, (self.x, self.labels) = task, task.data(net)
        self.net, self.threads = (
            pytorch.Network(net, loss, task.dtype, compiled=variant == "torch.compile", device=device),
            task.threads,
        )
        self.device = device
        self.torch = self.net.torch
        self.net.optimizer = self.torch.optim.SGD(
            [tensor for tensor, _, _ in self.net.params.values()], **(RECIPES[task.model] | RATE)
        )

    def evaluate(self, x, labels):
        value = self.net.evaluate(*self._enter(x, labels)).item()
        return value, self.net.grads()

    def train_step(self, x, labels):
        return self.net.train_step(*self._enter(x, labels))

    def predict(self, x):
        with self.torch.no_grad():
            return self.net.forward(*self._enter(x)).cpu().numpy()

    def _enter(self, *arrays):
        self.torch.set_num_threads(self.threads)
        return [self.torch.from_numpy(array).to(self.device) for array in arrays]


def make(name, task, checked=False):
    """The contestant of that name: a backend, or a variant of PyTorch. Raises NotMeasured where there is
    none.
    """
    return (Torch if name in TORCH else Ours)(name, task, checked)


class Here:
    """A contestant in this process; process.Elsewhere is one in a process of its own."""

    def __init__(self, name, task):
        self.name, self.task = name, task

    def found(self, row):
        """What the contestant computes, by name. Notes its first call in its row."""
        start = time.perf_counter()
        found = make(self.name, self.task, checked=True).found()
        row["first_call"] = time.perf_counter() - start
        return found

    def contender(self, row, stack):
        """It as a Contender; notes in its row of how many images it makes a chunk."""
        one = make(self.name, self.task)
        if self.task.trains:
            return Contender(self.name, one.threads, one.repeat, None)

        def predict(chunk):
            for first in range(0, len(one.x), chunk):
                one.predict(one.x[first : first + chunk])

        row["chunk"] = chunk = min(CHUNKS, key=lambda chunk: _seconds(predict, chunk))
        return Contender(self.name, one.threads, lambda n: [predict(chunk) for _ in range(n)], None)


def measure(task, backends, against, ceilings, seconds, contestants=None):
    """The rows of a task, one a contestant. All are checked before any is timed.

    contestants  process.Contestants, for a process of its own each; None: only models in IN_PROCESSES have
    them
    """
    alone = task.model in IN_PROCESSES
    apart = alone or contestants is not None
    names = [*backends, *((TORCH if alone else ["torch"]) if "torch" in against else [])]
    net, _ = task.network()
    n, flop = task.distinct(net), 2 * task.multiply_adds(net) * task.images
    checked = [f"{n} images, repeated"] * (n < task.images) + ["without dropout"] * any(
        isinstance(layer, Dropout) for layer in net.layers
    )
    terms = task.images * int(
        np.prod(net.input_shape)
    )  # an error has passed through the whole network: sums as long as the batch
    del net
    rows, sound, expected = [], {}, task.expected()
    with contextlib.ExitStack() as stack:
        for name in names:
            row = {
                "kind": "network",
                "model": task.model,
                "layer": task.model,
                "operation": "network",
                "direction": task.work,
                "batch": task.images,
                "contender": name,
                "threads": 1 if name in ("reference", "cuda") else task.threads,
                "ceiling": "cuda" if name == "cuda" else str(task.threads),
                "status": "ok",
                "why": "",
                "checked": ", ".join(checked),
                "flop": flop,
                "bytes": 0,
                "footprint": 0,
            }
            rows.append(row)
            one = Here(name, task)
            if apart:
                one = process.Elsewhere(name, task, TORCH.get(name, {}), None if alone else contestants)
            try:
                if name in TORCH:
                    pytorch.load()
                found = one.found(row)
            except NotMeasured as error:
                row |= {"status": "not measured", "why": str(error)}
                continue
            result = _parity(
                found,
                expected,
                task.dtype,
                terms,
                parity.check_as_a_whole if alone and task.trains else parity.check,
            )
            row |= result.columns()
            if result.ok:
                sound[name] = one, row
        del expected
        contenders = {name: one.contender(row, stack) for name, (one, row) in sound.items()}
        rows = timed(rows, contenders, ceilings, PATIENCE * seconds if alone else seconds)
        for name, contender in contenders.items() if apart else ():
            row = sound[name][1]
            if alone:
                row["peak_memory"] = contender.peak_memory
            if name == "cuda" and task.trains:
                row["resident"] = contender.ask(resident=True)["seconds"]
    return rows


def _seconds(function, argument):
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def _parity(found, expected, dtype, terms, check=parity.check):
    """The worst of all arrays."""
    results = {
        name: check(np.asarray(found[name]), value, np.dtype(dtype), terms)
        for name, value in expected.items()
    }
    name = max(results, key=lambda name: results[name].error)
    worst = results[name]
    return worst if worst.ok else parity.Parity(worst.error, f"{name}: {worst.why}")
