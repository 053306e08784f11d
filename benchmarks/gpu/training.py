"""Training on the GPU to a test error: LeNet-5 on MNIST, and AlexNet on enlarged photographs of CIFAR-10."""

import time

import numpy as np

from ...cli.optimizing import optimizer
from ...cli.recipes import build, recipe
from ...cli.settings import defaults
from ...data import Inputs, cifar10, mnist
from ...data.dataset import Images
from ...evaluation import central, evaluate
from ...training import Trainer
from ..backends import NotMeasured


def timed(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    if part.name == "mnist":
        yield "MNIST, LeNet-5, to its test error", lambda: _mnist(run)
    else:
        yield "CIFAR-10 at 224x224, AlexNet", lambda: _alexnet(run)


class Enlarged(Images):
    """Images `factor` times as high and wide, when they are read: each pixel becomes a square."""

    def __init__(self, whole, factor):
        C, H, W = whole.shape
        super().__init__(
            whole.name, whole.labels, whole.class_names, f"photo {factor * W}", (C, factor * H, factor * W)
        )
        self.whole, self.factor = whole, factor

    def read_places(self, places):
        small, f = self.whole.read_places(places), self.factor
        n, C, H, W = small.shape
        return np.broadcast_to(small[:, :, :, None, :, None], (n, C, H, f, W, f)).reshape(n, C, H * f, W * f)

    def fingerprint(self):
        return self.whole.fingerprint()


def _mnist(run):
    if mnist.find() is None:
        raise NotMeasured(
            f"MNIST is not on this machine: {mnist.where()}; name its folder with TINYCONV_DATA"
        )
    train, test = (_some(part, run.sizes.images) for part in mnist.load(progress=False))
    settings = defaults("lenet5", "map") | {"class_names": train.class_names} | run.sizes.training
    trainer, compiled_in = _trainer(
        settings, train, test, recipe("lenet5", "map").inputs, "float32", augment=False
    )
    start = time.perf_counter()
    trainer.run(show=False, stop=_after(run.sizes.mnist_seconds))
    history = trainer.progress.history
    if not history:
        raise NotMeasured("no epoch was finished in time")
    return {
        "status": "ok",
        "epochs": len(history),
        "test_error": history[-1]["test_error"],
        "best_test_error": min(r["test_error"] for r in history),
        "seconds": sum(epoch["seconds"] for epoch in history),
        "waited": sum(epoch["waited"] for epoch in history),
        "with_tests": time.perf_counter() - start,
        "compiled_in": compiled_in,
        "history": history,
        "of": settings["epochs"],
    }


def _alexnet(run):
    if cifar10.find() is None:
        raise NotMeasured(
            f"CIFAR-10 is not on this machine: {cifar10.where()}; name its folder with TINYCONV_DATA"
        )
    small, test = cifar10.load(progress=False)
    small, factor = _some(small, run.sizes.images), 7
    train, test = Enlarged(small, factor), Enlarged(_some(test, run.sizes.tested), factor)
    mean = _some(small, 5000).read().mean(axis=0).repeat(factor, 1).repeat(factor, 2)
    settings = defaults("alexnet", "softmax") | {"class_names": train.class_names}
    inputs = lambda *_: Inputs(train.shape, crop=train.shape[1], mean=mean, mirror=True)
    trainer, compiled_in = _trainer(settings, train, test, inputs, run.sizes.alexnet_precision, augment=True)
    left = run.end - time.time() - 10  # the test comes behind it
    start, until = time.perf_counter(), _after(min(run.sizes.alexnet_seconds, max(5, left)))
    trainer.run(show=False, stop=until)
    seconds, p = time.perf_counter() - start, trainer.progress
    result = evaluate(trainer.net, trainer.loss, test, central(trainer.inputs), None, lambda: False, False)
    steps = trainer.optimizer.steps
    return {
        "status": "ok",
        "precision": run.sizes.alexnet_precision,
        "seconds": seconds,
        "steps": steps,
        "images_per_second": steps * settings["batch_size"] / seconds,
        "epochs": steps / trainer.steps_per_epoch,
        "test_error": result.error,
        "tested": len(test),
        "waited": p.waited,
        "compiled_in": compiled_in,
        "history": p.history,
    }


def _some(images, count):
    """About `count` of them, evenly spread, since they may be sorted by class; None: all."""
    return images.subset(slice(None, None, max(1, len(images) // count) if count else 1), images.name)


def _trainer(settings, train, test, inputs, precision, augment):
    """(a Trainer on the GPU, seconds that compiling took: a short epoch of another network, whose kernels are
    the same)
    """
    holder, size = [], settings["batch_size"]
    for _ in range(2):
        net, loss = build(settings, rng=0)
        made_of = inputs(train, net, settings)
        net, loss = net.to("cuda", precision), loss.to("cuda")
        rule = optimizer(
            settings,
            net,
            -(-len(train) // size),
            lambda: [row["test_error"] for row in holder[-1].progress.history],
        )
        holder.append(
            Trainer(
                net,
                loss,
                rule,
                train,
                test,
                made_of,
                epochs=settings["epochs"],
                batch_size=size,
                seed=0,
                augment=augment,
            )
        )
    rehearsal, trainer = holder
    start = time.perf_counter()
    # a whole batch and the smaller one at the end of an epoch, then the test
    rehearsal.train = train.subset(slice(min(size, len(train)) + len(train) % size), train.name)
    rehearsal.test, rehearsal.epochs = (
        test.subset(slice(len(test) if augment is False else size), test.name),
        1,
    )
    rehearsal.run(show=False)
    return trainer, time.perf_counter() - start


def _after(seconds):
    """stop() that says yes once `seconds` are over."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() > end
