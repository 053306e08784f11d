"""Whole networks on the GPU: training steps and predictions against PyTorch and against the CPU."""

import gc
import time

import numpy as np

from ... import execution
from ...execution.plans import plan_for
from ...optimizers import SGD
from .. import networks, parity
from ..backends import NotMeasured
from ..networks import RECIPES, Ours, Task, Torch
from ..timing import Contender, interleaved, summary
from .ceilings import precision as computing_in
from .clock import OnGpu, clock

RATE = {
    "lr": 1e-6
}  # speed does not depend on it, and the numbers stay finite however often a step is repeated


def measure(run):
    """Yield (title, function that returns a row), in the order in which worker.py calls them."""
    sizes = run.sizes
    for model, batches in sizes.steps.items():
        for batch in batches:
            for precision in ("float32", "tf32"):
                if precision == "float32" or model in sizes.tf32_steps:
                    yield (
                        f"{model} training step, batch {batch}, {precision}",
                        lambda m=model, b=batch, p=precision: _step(run, m, b, p),
                    )
    for model, batches in sizes.predictions.items():
        for images in batches:
            yield f"{model} prediction of {images}", lambda m=model, n=images: _prediction(run, m, n)
    if sizes.crossing:
        yield (
            f"{sizes.crossing[0]}: the batch from which the GPU is faster than the CPU",
            lambda: _crossing(run, *sizes.crossing),
        )
    for model in sizes.compiled:
        for precision in ("float32", "tf32") if model in sizes.tf32_steps else ("float32",):
            for batch in sizes.steps[model]:
                yield (
                    f"{model} training step, batch {batch}, {precision}, torch.compile",
                    lambda m=model, b=batch, p=precision: _compiled(run, m, b, p),
                )


class OurSteps:
    """Training steps of ours on a device, from NumPy arrays: as Trainer makes them, each submitted before the
    loss of the last is asked for.
    """

    def __init__(self, model, batch, device="cuda", precision="float32"):
        self.one = one = Ours(device, _task(model, batch), precision=precision)
        one.optimizer = SGD(one.net, **(RECIPES[model] | RATE))

    def __call__(self, n):
        one, last = self.one, None
        for _ in range(n):
            this = execution.submit(one.net, one.x, one.labels, one.loss, one.optimizer)
            if last is not None:
                last.checked()
            last = this
        last.checked()

    def graph_alone(self):
        """The captured step by itself, on the batch that lies on the GPU."""
        one = self.one
        self(1)
        plan = plan_for(one.net, one.x, execution.available_threads(), one.loss, one.optimizer)
        return OnGpu("cuda, resident", plan.play, clock())


class TorchSteps:
    """The same in PyTorch: resident, with the batch on the GPU already, or from pinned memory. The loss of a
    step is never asked for.
    """

    def __init__(self, model, batch, device, variant="torch", checked=False):
        self.one = one = Torch(variant, _task(model, batch), checked=checked, device=device)
        self.torch, one.net.optimizer = (
            one.torch,
            one.torch.optim.SGD([t for t, _, _ in one.net.params.values()], **(RECIPES[model] | RATE)),
        )
        self.device, self.here = device, [self.torch.from_numpy(array) for array in (one.x, one.labels)]
        if device == "cuda":
            self.here = [tensor.pin_memory() for tensor in self.here]
        self.there = [tensor.to(device) for tensor in self.here]

    def resident(self, n):
        for _ in range(n):
            self._step(self.there)
        self._wait()

    def from_memory(self, n):
        for _ in range(n):
            self._step([tensor.to(self.device, non_blocking=True) for tensor in self.here])
        self._wait()

    def _step(self, batch):
        self.one.net.evaluate(*batch)
        self.one.net.optimizer.step()

    def _wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()


def _task(model, batch, work="training step"):
    return Task(model, work, batch, "float32", execution.available_threads())


def _step(run, model, batch, precision):
    """One row: is the step right? Then ours and PyTorch's in turns, from the processor's memory and with the
    batch resident.
    """
    task, row = (
        _task(model, batch),
        {"model": model, "batch": batch, "precision": precision, "work": "training step"},
    )
    expected, (net, _) = task.expected(), task.network()
    terms = batch * int(np.prod(net.input_shape))
    row["flop"] = 2 * task.multiply_adds(net) * batch
    found = Ours("cuda", task, checked=True, precision=precision).found()
    result = networks._parity(found, expected, "float32", terms, parity.check_as_a_whole)
    del expected, found, net
    row |= result.columns()
    if not result.ok:
        return row
    ours = OurSteps(model, batch, precision=precision)
    contenders = [Contender("cuda", 1, ours, None), ours.graph_alone()]
    try:
        torch = run.torch()
        with computing_in(torch, precision == "tf32"):
            theirs = TorchSteps(model, batch, run.torch_device)
            theirs.resident(3)  # cuDNN tries its ways
            contenders += [
                Contender("torch", 1, theirs.from_memory, None),
                Contender("torch, resident", 1, theirs.resident, None),
            ]
            row |= _medians(contenders, run.sizes.seconds)
    except NotMeasured as error:
        row |= {"torch": str(error)} | _medians(contenders[:2], run.sizes.seconds)
    contenders = theirs = ours = None
    gc.collect()
    run.empty_caches()
    if "torch_median" in row:
        row["times_torch"] = row["torch_median"] / row["median"]
        row["times_torch_resident"] = row["torch_resident_median"] / row["resident_median"]
    return row


def _medians(contenders, seconds):
    """{"median", "spread"} of "cuda", and of the others under their names."""
    row = {}
    for name, samples in interleaved(contenders, 4 * seconds).items():
        before = {"cuda": ""}.get(name, name.removeprefix("cuda, ").replace(", ", "_") + "_")
        row[f"{before}median"], row[f"{before}spread"] = summary(samples)
        row[f"{before}samples"] = samples
    return row


def _compiled(run, model, batch, precision):
    """PyTorch's step as torch.compile makes it, beside ours."""
    torch = run.torch()
    row = {
        "model": model,
        "batch": batch,
        "precision": precision,
        "work": "training step",
        "against": "torch.compile",
        "status": "ok",
    }
    torch.compiler.reset()  # else the second size of batch would be compiled for any size
    with computing_in(torch, precision == "tf32"):
        theirs, start = TorchSteps(model, batch, run.torch_device, "torch.compile"), time.perf_counter()
        theirs.resident(3)
        row["compiled_in"] = time.perf_counter() - start
        ours = OurSteps(model, batch, precision=precision)
        contenders = [
            Contender("cuda", 1, ours, None),
            Contender("torch", 1, theirs.from_memory, None),
            Contender("torch, resident", 1, theirs.resident, None),
        ]
        row |= _medians(contenders, run.sizes.seconds)
    row["times_torch"] = row["torch_median"] / row["median"]
    return row


def _prediction(run, model, images):
    """From a NumPy array to a NumPy array."""
    task = _task(model, images, "prediction")
    ours = Ours("cuda", task)
    result = networks._parity(
        ours.found(), task.expected(), "float32", images * ours.x[0].size, parity.check_as_a_whole
    )
    row = {"model": model, "batch": images, "precision": "float32", "work": "prediction", **result.columns()}
    if not result.ok:
        return row
    contenders = [Contender("cuda", 1, lambda n: [ours.predict(ours.x) for _ in range(n)], None)]
    try:
        run.torch()
        theirs = Torch("torch", task, device=run.torch_device)
        contenders.append(Contender("torch", 1, lambda n: [theirs.predict(theirs.x) for _ in range(n)], None))
    except NotMeasured as error:
        row["torch"] = str(error)
    row |= _medians(contenders, run.sizes.seconds)
    return row | ({"times_torch": row["torch_median"] / row["median"]} if "torch_median" in row else {})


def _crossing(run, model, batches):
    """Training steps on both devices for more and more images; the first batch from which on the GPU is
    faster.
    """
    times = []
    for batch in batches:
        contenders = [
            Contender(device, 1, OurSteps(model, batch, device), None) for device in ("cuda", "cpu")
        ]
        row = _medians(contenders, run.sizes.seconds / 2)
        times.append({"batch": batch, "cuda": row["median"], "cpu": row["cpu_median"]})
    slower = [place for place, row in enumerate(times) if row["cuda"] >= row["cpu"]]
    first = max(slower) + 1 if slower else 0
    return {
        "status": "ok",
        "model": model,
        "times": times,
        "from_batch": times[first]["batch"] if first < len(times) else None,
        "threads": execution.available_threads(),
    }
