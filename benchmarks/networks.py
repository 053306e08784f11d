"""Whole networks: a training step, and the prediction of 10,000 images, on a backend of tinyconv and in PyTorch."""
import copy
import time

import numpy as np

from .. import parallel
from ..optimizers import SGD
from . import parity, pytorch
from .backends import BACKENDS, NotMeasured
from .compare import timed
from .timing import Contender
from .workloads import MODELS

CHECKED = 100                                               # images of a prediction that are held against the reference
PREDICTED, CHUNKS = 10_000, (100, 250, 500, 1000, 2500, 10_000)
RECIPE = {"lr": 1e-4, "momentum": 0.9, "nesterov": True}


class Ours:
    """A network of tinyconv on one backend."""

    def __init__(self, model, backend, dtype, threads):
        if backend not in BACKENDS:
            raise NotMeasured(f"{model} does not run on {backend} yet")
        net, loss = MODELS[model]()
        self.net, self.loss, self.threads = net.to(backend).astype(dtype), loss.to(backend), threads if backend == "cpu" else 1
        self.optimizer = SGD(self.net, **RECIPE)

    def evaluate(self, x, labels):
        """The loss and all gradients."""
        value, _ = parallel.forward_backward(self.net, x, labels, self.loss, self.threads)
        return value, self.net.grads

    def train_step(self, x, labels):
        return self.net.train_step(x, labels, self.loss, self.optimizer, self.threads)

    def predict(self, x):
        return parallel.forward(self.net, x, self.threads)


class Torch:
    """The same network in PyTorch, from the same weights."""

    def __init__(self, model, dtype, threads):
        net, loss = MODELS[model]()
        self.net, self.threads = pytorch.Network(net, loss, dtype), threads
        self.torch = self.net.torch
        self.net.optimizer = self.torch.optim.SGD([tensor for tensor, _, _ in self.net.params.values()], **RECIPE)

    def evaluate(self, x, labels):
        value = self.net.evaluate(*self._enter(x, labels)).item()
        return value, self.net.grads()

    def train_step(self, x, labels):
        return self.net.train_step(*self._enter(x, labels))

    def predict(self, x):
        with self.torch.no_grad():
            return self.net.forward(*self._enter(x)).numpy()

    def _enter(self, *arrays):
        self.torch.set_num_threads(self.threads)
        return [self.torch.from_numpy(array) for array in arrays]


def contestants(model, backends, against, dtype, threads):
    """[(name, threads, network or the NotMeasured that says why there is none)]"""
    makers = [(backend, lambda backend=backend: Ours(model, backend, dtype, threads)) for backend in backends]
    makers += [("torch", lambda: Torch(model, dtype, threads))] if "torch" in against else []
    found = []
    for name, make in makers:
        try:
            found.append((name, make()))
        except NotMeasured as error:
            found.append((name, error))
    return found


def measure(model, work, batch, backends, against, dtype, threads, ceilings, seconds):
    """The rows of `work` ("training step" or "prediction") for one batch size; prediction takes PREDICTED images in each one's best chunks."""
    net, loss = MODELS[model]()
    images = batch if work == "training step" else PREDICTED
    x = np.random.default_rng(0).standard_normal((images, *net.input_shape)).astype(dtype)
    labels = np.arange(images) % 10
    reference = copy.deepcopy(net).to("reference").astype(np.float64), loss.to("reference")
    expected = _expected(work, reference, x, labels)
    multiply_adds = _multiply_adds(net, training=work == "training step")
    rows, sound = [], {}
    for name, one in contestants(model, backends, against, dtype, threads):
        row = {"kind": "network", "model": model, "layer": model, "operation": "network", "direction": work, "batch": batch, "contender": name,
               "threads": getattr(one, "threads", threads), "status": "ok", "why": "", "flop": 2 * multiply_adds * images, "bytes": 0, "footprint": 0}
        rows.append(row)
        if isinstance(one, NotMeasured):
            row |= {"status": "not measured", "why": str(one)}
            continue
        start = time.perf_counter()
        found = _found(work, one, x, labels)
        row["first_call"] = time.perf_counter() - start
        result = _parity(found, expected, dtype, x.size)
        row |= result.columns()
        if result.ok:
            sound[name] = _contender(name, work, one, x, labels, row)
    return timed(rows, sound, ceilings, seconds)


def _contender(name, work, one, x, labels, row):
    if work == "training step":
        return Contender(name, one.threads, lambda n: [one.train_step(x, labels) for _ in range(n)], None)

    def predict(chunk):
        for first in range(0, len(x), chunk):
            one.predict(x[first:first + chunk])

    row["chunk"] = chunk = min(CHUNKS, key=lambda chunk: _seconds(predict, chunk))
    return Contender(name, one.threads, lambda n: [predict(chunk) for _ in range(n)], None)


def _seconds(function, argument):
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start

def _expected(work, reference, x, labels):
    net, loss = reference
    x = x.astype(np.float64)
    if work == "prediction":
        return {"scores": net.forward(x[:CHECKED])}
    value, _ = parallel.forward_backward(net, x, labels, loss)
    return {"loss": np.array(value), **net.grads}


def _found(work, one, x, labels):
    if work == "prediction":
        return {"scores": one.predict(x[:CHECKED])}
    value, grads = one.evaluate(x, labels)
    return {"loss": np.array(value), **grads}


def _parity(found, expected, dtype, terms):
    """The worst of all arrays; an error has passed through the whole network, so its sums are taken to be as long as the batch."""
    results = {name: parity.check(np.asarray(found[name]), value, dtype, terms) for name, value in expected.items()}
    name = max(results, key=lambda name: results[name].error)
    worst = results[name]
    return worst if worst.ok else parity.Parity(worst.error, f"{name}: {worst.why}")


def _multiply_adds(net, training):
    """Of one image: forward once; the way back twice, except that the first layer needs no dx."""
    rows = [row[5] for row in net.summary().rows]
    return 3 * sum(rows) - rows[0] if training else sum(rows)
