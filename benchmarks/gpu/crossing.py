"""Training steps on the GPU and on the CPU: the batch from which on the GPU is faster."""

from ... import execution
from ..timing import Contender
from ..versus import Comparison, Pair
from .steps import OurSteps, medians


def timed(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    if run.sizes.crossing:
        model, batches = run.sizes.crossing
        yield (
            f"{model}: the batch from which the GPU is faster than the CPU",
            lambda: _row(run, model, batches),
        )


def _row(run, model, batches):
    times, pairs = [], []
    for batch in batches:
        contenders = {
            "" if device == "cuda" else device: Contender(device, 1, OurSteps(model, batch, device), None)
            for device in ("cuda", "cpu")
        }
        row = medians(run, contenders)
        times.append({"batch": batch, "cuda": row["median"], "cpu": row["cpu_median"]})
        pairs.append(Pair({"batch": batch, "median": row["cpu_median"]}, row))
    return {
        "model": model,
        "times": times,
        "from_batch": Comparison(model, execution.available_threads(), pairs).wins_from()[0],
        "threads": execution.available_threads(),
    }
