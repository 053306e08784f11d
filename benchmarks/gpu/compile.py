"""PyTorch's training step as torch.compile makes it, beside ours."""

import gc
import time

from ..timing import Contender
from .ceilings import precision as computing_in
from .steps import WARM, OurSteps, TorchSteps, both, described, medians, ratios


def timed(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    for model in run.sizes.compiled:
        batch = run.sizes.steps[model][0]
        for precision in run.sizes.precisions(model):
            yield (
                f"{model} training step, batch {batch}, {precision}, torch.compile",
                lambda m=model, b=batch, p=precision: _compiled(run, m, b, p),
            )


def _compiled(run, model, batch, precision):
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
