"""Predictions, from a NumPy array to a NumPy array: ours, PyTorch eager, and PyTorch as a CUDA graph."""

import gc

import numpy as np

from .. import parity
from ..backends import NotMeasured
from ..networks import CHECKED, Ours, Torch
from ..timing import Contender
from .ceilings import precision as computing_in
from .steps import captured, described, medians, ratios
from .tasks import task_of


def checks(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    for model, images in _all(run):
        yield _title(model, images), lambda m=model, n=images: _check(m, n)


def timed(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    for model, images in _all(run):
        yield _title(model, images), lambda m=model, n=images: _row(run, m, n)


def _all(run):
    return [(model, images) for model, batches in run.sizes.predictions.items() for images in batches]


def _title(model, images):
    return f"{model} prediction of {images}"


def _check(model, images):
    """The scores of the whole batch against the reference in float64: the first CHECKED images are computed
    by it.
    """
    task = task_of(model, images, "prediction")
    ours, expected = Ours("cuda", task), task.expected()["scores"]
    found = ours.predict(ours.x)[:CHECKED]
    terms = images * ours.x[0].size
    return parity.check_as_a_whole(found, expected, np.dtype(np.float32), terms).columns()


class TorchGraph:
    """PyTorch's prediction captured once; predict(x) copies a batch in and its scores out."""

    def __init__(self, one):
        self.torch, self.x = one.torch, one.torch.from_numpy(one.x).to(one.device)
        with self.torch.no_grad():
            self.graph = captured(self.torch, lambda: setattr(self, "y", one.net.forward(self.x)))

    def predict(self, x):
        self.x.copy_(self.torch.from_numpy(x), non_blocking=True)
        self.graph.replay()
        return self.y.cpu().numpy()


def _row(run, model, images):
    task = task_of(model, images, "prediction")
    row = described(model, images, "float32", "prediction") | run.checked(_title(model, images))
    ours = Ours("cuda", task)
    contenders = {"": predicting(ours, ours.x)}
    try:
        torch = run.torch()
        with computing_in(torch, tf32=False):
            theirs = Torch("torch", task, device=run.torch_device)
            contenders["torch"] = predicting(theirs, ours.x)
            try:
                contenders["graph"] = predicting(TorchGraph(theirs), ours.x)
            except Exception as error:  # whatever PyTorch or the driver says: the other rows stay
                row["graph"] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
            row |= medians(run, contenders)
    except NotMeasured as error:
        row |= {"torch": str(error)} | medians(run, contenders)
    contenders = theirs = ours = None
    gc.collect()
    run.empty_caches()
    return row | ratios(row)


def predicting(one, x):
    """Return predictions of `one` from the NumPy array x as a Contender."""
    return Contender("", 1, lambda n: [one.predict(x) for _ in range(n)], None)
