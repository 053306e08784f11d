"""Whole networks on the GPU: training steps and predictions against PyTorch and against the CPU, and training to an error."""
import gc
import time

import numpy as np

from .. import parallel
from ..cli.optimizing import optimizer
from ..cli.recipes import build, recipe
from ..cli.settings import defaults
from ..data import Inputs, cifar10, mnist
from ..data.dataset import Images
from ..evaluation import central, evaluate
from ..optimizers import SGD
from ..training import Trainer
from . import networks, parity
from .backends import NotMeasured
from .gpu_ceilings import precision as computing_in
from .gpu_clock import OnGpu, clock
from .networks import RECIPES, Ours, Task, Torch
from .timing import Contender, interleaved, summary

RATE = {"lr": 1e-6}                                         # speed does not depend on it, and the numbers stay finite however often a step is repeated


# ---- training steps and predictions

def measure(run):
    """(title, function that gives a row), as gpu.py calls them."""
    sizes = run.sizes
    for model, batches in sizes.steps.items():
        for batch in batches:
            for precision in ("float32", "tf32"):
                if precision == "float32" or model in sizes.tf32_steps:
                    yield f"{model} training step, batch {batch}, {precision}", lambda m=model, b=batch, p=precision: _step(run, m, b, p)
    for model, batches in sizes.predictions.items():
        for images in batches:
            yield f"{model} prediction of {images}", lambda m=model, n=images: _prediction(run, m, n)
    if sizes.crossing:
        yield f"{sizes.crossing[0]}: the batch from which the GPU is faster than the CPU", lambda: _crossing(run, *sizes.crossing)
    for model in sizes.compiled:
        for precision in ("float32", "tf32") if model in sizes.tf32_steps else ("float32",):
            for batch in sizes.steps[model]:
                yield (f"{model} training step, batch {batch}, {precision}, torch.compile",
                       lambda m=model, b=batch, p=precision: _compiled(run, m, b, p))


class OurSteps:
    """Training steps of ours on a device, from NumPy arrays: as Trainer makes them, each submitted before the loss of the last is asked for."""

    def __init__(self, model, batch, device="cuda", precision="float32"):
        self.one = one = Ours(device, _task(model, batch), precision=precision)
        one.optimizer = SGD(one.net, **(RECIPES[model] | RATE))

    def __call__(self, n):
        one, last = self.one, None
        for _ in range(n):
            this = parallel.submit(one.net, one.x, one.labels, one.loss, one.optimizer)
            if last is not None:
                last.checked()
            last = this
        last.checked()

    def graph_alone(self):
        """The captured step by itself, on the batch that lies on the GPU."""
        one = self.one
        self(1)
        plan = parallel._plan(one.net, one.x, parallel.available_threads(), one.loss, one.optimizer)
        return OnGpu("cuda, resident", plan.graph.launch, clock())


class TorchSteps:
    """The same in PyTorch: resident, with the batch on the GPU already, or from pinned memory. The loss of a step is never asked for."""

    def __init__(self, model, batch, device, variant="torch", checked=False):
        self.one = one = Torch(variant, _task(model, batch), checked=checked, device=device)
        self.torch, one.net.optimizer = one.torch, one.torch.optim.SGD([t for t, _, _ in one.net.params.values()], **(RECIPES[model] | RATE))
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
    return Task(model, work, batch, "float32", parallel.available_threads())


def _step(run, model, batch, precision):
    """One row: is the step right? Then ours and PyTorch's in turns, from the processor's memory and with the batch resident."""
    task, row = _task(model, batch), {"model": model, "batch": batch, "precision": precision, "work": "training step"}
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
            theirs.resident(3)                              # cuDNN tries its ways
            contenders += [Contender("torch", 1, theirs.from_memory, None), Contender("torch, resident", 1, theirs.resident, None)]
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
    row = {"model": model, "batch": batch, "precision": precision, "work": "training step", "against": "torch.compile", "status": "ok"}
    torch.compiler.reset()                                  # else the second size of batch would be compiled for any size
    with computing_in(torch, precision == "tf32"):
        theirs, start = TorchSteps(model, batch, run.torch_device, "torch.compile"), time.perf_counter()
        theirs.resident(3)
        row["compiled_in"] = time.perf_counter() - start
        ours = OurSteps(model, batch, precision=precision)
        contenders = [Contender("cuda", 1, ours, None), Contender("torch", 1, theirs.from_memory, None),
                      Contender("torch, resident", 1, theirs.resident, None)]
        row |= _medians(contenders, run.sizes.seconds)
    row["times_torch"] = row["torch_median"] / row["median"]
    return row


def _prediction(run, model, images):
    """From a NumPy array to a NumPy array."""
    task = _task(model, images, "prediction")
    ours = Ours("cuda", task)
    result = networks._parity(ours.found(), task.expected(), "float32", images * ours.x[0].size, parity.check_as_a_whole)
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
    """Training steps on both devices for more and more images; the first batch from which on the GPU is faster."""
    times = []
    for batch in batches:
        contenders = [Contender(device, 1, OurSteps(model, batch, device), None) for device in ("cuda", "cpu")]
        row = _medians(contenders, run.sizes.seconds / 2)
        times.append({"batch": batch, "cuda": row["median"], "cpu": row["cpu_median"]})
    slower = [place for place, row in enumerate(times) if row["cuda"] >= row["cpu"]]
    first = max(slower) + 1 if slower else 0
    return {"status": "ok", "model": model, "times": times, "from_batch": times[first]["batch"] if first < len(times) else None,
            "threads": parallel.available_threads()}


# ---- training to an error

def train(run):
    """(title, function that gives a row), as gpu.py calls them."""
    yield "MNIST, LeNet-5, to its test error", lambda: _mnist(run)
    yield "CIFAR-10 at 224x224, AlexNet", lambda: _alexnet(run)


class Enlarged(Images):
    """Images `factor` times as high and wide, when they are read: each pixel becomes a square."""

    def __init__(self, whole, factor):
        C, H, W = whole.shape
        super().__init__(whole.name, whole.labels, whole.class_names, f"photo {factor * W}", (C, factor * H, factor * W))
        self.whole, self.factor = whole, factor

    def read_places(self, places):
        small, f = self.whole.read_places(places), self.factor
        n, C, H, W = small.shape
        return np.broadcast_to(small[:, :, :, None, :, None], (n, C, H, f, W, f)).reshape(n, C, H * f, W * f)

    def fingerprint(self):
        return self.whole.fingerprint()


def _mnist(run):
    if mnist.find() is None:
        raise NotMeasured(f"MNIST is not on this machine: {mnist.where()}; name its folder with TINYCONV_DATA")
    train, test = (_some(part, run.sizes.images) for part in mnist.load(progress=False))
    settings = defaults("lenet5", "map") | {"class_names": train.class_names} | run.sizes.training
    trainer, compiled_in = _trainer(settings, train, test, recipe("lenet5", "map").inputs, "float32", augment=False)
    start = time.perf_counter()
    trainer.run(show=False, stop=_after(run.sizes.mnist_seconds))
    history = trainer.progress.history
    if not history:
        raise NotMeasured("no epoch was finished in time")
    return {"status": "ok", "epochs": len(history), "test_error": history[-1]["test_error"], "best_test_error": min(r["test_error"] for r in history),
            "seconds": sum(epoch["seconds"] for epoch in history), "waited": sum(epoch["waited"] for epoch in history),
            "with_tests": time.perf_counter() - start, "compiled_in": compiled_in, "history": history, "of": settings["epochs"]}


def _alexnet(run):
    if cifar10.find() is None:
        raise NotMeasured(f"CIFAR-10 is not on this machine: {cifar10.where()}; name its folder with TINYCONV_DATA")
    small, test = cifar10.load(progress=False)
    small, factor = _some(small, run.sizes.images), 7
    train, test = Enlarged(small, factor), Enlarged(_some(test, run.sizes.tested), factor)
    mean = _some(small, 5000).read().mean(axis=0).repeat(factor, 1).repeat(factor, 2)
    settings = defaults("alexnet", "softmax") | {"class_names": train.class_names}
    inputs = lambda *_: Inputs(train.shape, crop=train.shape[1], mean=mean, mirror=True)
    trainer, compiled_in = _trainer(settings, train, test, inputs, run.sizes.alexnet_precision, augment=True)
    left = run.end - time.time() - 10                       # the test comes behind it
    start, until = time.perf_counter(), _after(min(run.sizes.alexnet_seconds, max(5, left)))
    trainer.run(show=False, stop=until)
    seconds, p = time.perf_counter() - start, trainer.progress
    result = evaluate(trainer.net, trainer.loss, test, central(trainer.inputs), None, lambda: False, False)
    steps = trainer.optimizer.steps
    return {"status": "ok", "precision": run.sizes.alexnet_precision, "seconds": seconds, "steps": steps,
            "images_per_second": steps * settings["batch_size"] / seconds,
            "epochs": steps / trainer.steps_per_epoch, "test_error": result.error, "tested": len(test), "waited": p.waited,
            "compiled_in": compiled_in, "history": p.history}


def _some(images, count):
    """About `count` of them, evenly spread, since they may be sorted by class; None: all."""
    return images.subset(slice(None, None, max(1, len(images) // count) if count else 1), images.name)


def _trainer(settings, train, test, inputs, precision, augment):
    """(a Trainer on the GPU, seconds that compiling took: a first step of another network, whose kernels are the same)"""
    holder, size = [], settings["batch_size"]
    for _ in range(2):
        net, loss = build(settings, rng=0)
        made_of = inputs(train, net, settings)
        net, loss = net.to("cuda", precision), loss.to("cuda")
        rule = optimizer(settings, net, -(-len(train) // size), lambda: [row["test_error"] for row in holder[-1].progress.history])
        holder.append(Trainer(net, loss, rule, train, test, made_of, epochs=settings["epochs"], batch_size=size, seed=0, augment=augment))
    rehearsal, trainer = holder
    start = time.perf_counter()
    for images in {min(size, len(train)), len(train) % size or size}:       # the last batch of an epoch is smaller
        x = central(rehearsal.inputs).testing(train.read(slice(images)))
        rehearsal.net.train_step(x, train.labels[:images], rehearsal.loss, rehearsal.optimizer)
    return trainer, time.perf_counter() - start


def _after(seconds):
    """stop() that says yes once `seconds` are over."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() > end
