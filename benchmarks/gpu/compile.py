"""PyTorch's training steps and predictions as torch.compile makes them, beside ours."""

import gc
import time

from ..networks import Ours, Torch
from ..timing import Contender
from .ceilings import precision as computing_in
from .predictions import predicting
from .steps import WARM, OurSteps, TorchSteps, both, described, medians, ratios
from .tasks import task_of


def timed(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    for model in run.sizes.compiled:
        batch = run.sizes.steps[model][0]
        for precision in run.sizes.precisions(model):
            yield (
                f"{model} training step, batch {batch}, {precision}, torch.compile",
                lambda m=model, b=batch, p=precision: _step(run, m, b, p),
            )
    for model in run.sizes.compiled:
        images = run.sizes.predictions[model][0]
        yield (
            f"{model} prediction of {images}, torch.compile",
            lambda m=model, n=images: _prediction(run, m, n),
        )


def _step(run, model, batch, precision):
    torch = run.torch()
    row = described(model, batch, precision, "training step") | {"against": "torch.compile"}
    torch.compiler.reset()  # else the second size of batch would be compiled for any size
    with computing_in(torch, precision == "tf32"):
        theirs, start = (
            TorchSteps(model, batch, run.torch_device, variant="torch.compile"),
            time.perf_counter(),
        )
        theirs.resident(WARM)
        row["compiled_in"] = time.perf_counter() - start
        ours = OurSteps(model, batch, precision=precision)
        contenders = {"": Contender("", 1, ours, None), "resident": ours.resident()} | both("torch", theirs)
        row |= medians(run, contenders)
    theirs = ours = contenders = None
    gc.collect()
    run.empty_caches()
    return row | ratios(row)


def _prediction(run, model, images):
    torch = run.torch()
    task = task_of(model, images, "prediction")
    row = described(model, images, "float32", "prediction") | {"against": "torch.compile"}
    torch.compiler.reset()
    with computing_in(torch, tf32=False):
        theirs, start = Torch("torch.compile", task, device=run.torch_device), time.perf_counter()
        theirs.predict(theirs.x)
        row["compiled_in"] = time.perf_counter() - start
        ours = Ours("cuda", task)
        row |= medians(run, {"": predicting(ours, ours.x), "torch": predicting(theirs, ours.x)})
    theirs = ours = None
    gc.collect()
    run.empty_caches()
    return row | ratios(row)
