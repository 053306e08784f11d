"""Every operation in every direction at the shapes of LeNet-5 and AlexNet: checked, then timed in turns with
PyTorch, and held against the ceilings.
"""

import gc

import numpy as np

from .. import compare, parity, workloads
from ..backends import NotMeasured
from ..timing import interleaved, summary
from .calls import OurCall, TorchCall
from .ceilings import precision as computing_in
from .checks import check_call, multiplies


def measure(run):
    """Yield (title, function that returns a row), in the order in which worker.py calls them."""
    for model, batches in run.sizes.batches.items():
        for workload in workloads.of_model(model):
            for precision in ("float32", "tf32") if multiplies(workload) else ("float32",):
                title = (
                    f"{model} {workload.layer} {workload.operation} {workload.direction}, batch "
                    f"{batches[-1]}, {precision}"
                )
                yield title, lambda w=workload, b=batches[-1], p=precision: _row(run, w, b, p)


def _row(run, workload, batch, precision):
    expected = workload.expected(batch)
    row = {
        "model": workload.model,
        "layer": workload.layer,
        "operation": workload.operation,
        "direction": workload.direction,
        "batch": batch,
        "precision": precision,
        **workload.work(batch, np.float32, expected),
    }
    call = OurCall(workload, batch, np.float32, precision)
    row |= check_call(call, workload, batch, precision, expected)
    if row["status"] != "ok":
        return row
    peer = None
    try:
        peer = TorchCall(workload, batch, np.float32, run.torch_device)
    except NotMeasured as error:
        row["torch"] = str(error)
    if peer is None:
        return row | _timed(run, row, [call.contender()])
    try:
        with computing_in(peer.torch, precision == "tf32"):
            peer()
            terms = workload.terms(batch, expected)
            theirs = parity.check(peer.result(), expected, np.float32, terms)
            if (
                precision == "float32" and not theirs.ok
            ):  # then the two do not do the same, and a ratio would say nothing
                row["torch"] = f"computes something else: {theirs.why}"
                return row | _timed(run, row, [call.contender()])
            return (
                row | {"torch_error": theirs.error} | _timed(run, row, [call.contender(), peer.contender()])
            )
    finally:
        del peer, call
        gc.collect()
        run.empty_caches()


def _timed(run, work, contenders):
    """Median, spread, rate and share of the roof; of PyTorch too, and how many times faster we are."""
    found = {}
    for name, samples in interleaved(contenders, run.sizes.seconds).items():
        found[name] = {"median": summary(samples)[0], "spread": summary(samples)[1], "samples": samples}
    how = {one.name: one.how for one in contenders}
    ours = found["cuda"] | {"how": how["cuda"]}
    arithmetic = run.ceilings.get(work["precision"])
    if arithmetic and run.ceilings.get("copy"):
        roofs = {
            "arithmetic": {"flops": arithmetic},
            "memory": {"bytes_per_second": run.ceilings["copy"], "fits": None},
        }
        ours |= compare.rate(work, ours["median"], roofs)
    if "torch" in found:
        theirs = found["torch"]
        ours |= {
            "torch_median": theirs["median"],
            "torch_spread": theirs["spread"],
            "torch_samples": theirs["samples"],
            "torch_how": how["torch"],
            "times_torch": theirs["median"] / ours["median"],
        }
    return ours
