"""Every operation in every direction at the shapes of LeNet-5 and AlexNet: checked, then timed in turns with
PyTorch, and held against the ceilings.
"""

import gc

import numpy as np

from .. import compare, parity
from ..backends import NotMeasured
from ..timing import Pace, interleaved, summary
from .calls import OurCall, TorchCall
from .ceilings import precision as computing_in
from .checks import digest, multiplies, operation

# Our result was held against the reference. PyTorch's is held against ours: in float32 in units of parity.py,
# in tf32 as a share of the largest number, since nobody says how its algorithms round.
PEER = {"float32": 2 * parity.LIMIT, "tf32": 0.01}
PACE = Pace(4e-3, 5, 2e-3)


def checks(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    for title, workload, batch, precision in _all(run, part.model):
        yield title, lambda w=workload, b=batch, p=precision: operation(w, b, p)


def timed(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    for title, workload, batch, precision in _all(run, part.model):
        yield title, lambda t=title, w=workload, b=batch, p=precision: _row(run, t, w, b, p)


def _all(run, model):
    batch = run.sizes.batches[model][-1]
    for workload in run.workloads(model):
        for precision in ("float32", "tf32") if multiplies(workload) else ("float32",):
            title = f"{model} {workload.layer} {workload.operation} {workload.direction}"
            yield f"{title}, batch {batch}, {precision}", workload, batch, precision


def _row(run, title, workload, batch, precision):
    row = {
        "model": workload.model,
        "layer": workload.layer,
        "operation": workload.operation,
        "direction": workload.direction,
        "batch": batch,
        "precision": precision,
    } | run.checked(title)
    call = OurCall(workload, batch, np.float32, precision)
    call()
    made = call.result()
    if digest(made) != row["digest"]:
        return row | {"status": "wrong", "why": "other bits than those that were checked"}
    peer, theirs = None, {}
    try:
        for careful in (False, True):
            peer = TorchCall(workload, batch, np.float32, run.torch_device)
            with computing_in(peer.torch, precision == "tf32", careful):
                peer()
                error, why = peer_error(peer.result(), made, row["terms"], precision)
                theirs |= {"torch_error": error}
                if not why:
                    return row | theirs | _timed(run, row, [call.contender(), peer.contender()])
            theirs["torch_wrong"] = why
            if workload.operation != "conv2d":
                break
        theirs["torch"] = f"computes something else: {theirs.pop('torch_wrong')}"
    except NotMeasured as error:
        theirs["torch"] = str(error)
    finally:
        peer = None
        gc.collect()
        run.empty_caches()
    return row | theirs | _timed(run, row, [call.contender()])


def peer_error(found, ours, terms, precision):
    """Return (the largest distance of PyTorch's result from ours, "" or a sentence where it is wrong)."""
    if found.shape != ours.shape:
        return None, f"expected shape {ours.shape}, got {found.shape}"
    distance = np.atleast_1d(np.nan_to_num(np.abs(found - ours), nan=np.inf))
    place = np.unravel_index(distance.argmax(), distance.shape)
    unit = np.sqrt(terms) * np.finfo(np.float32).eps if precision == "float32" else 1.0
    largest = max(float(np.abs(ours).max()), np.finfo(np.float32).tiny)
    error = float(distance[place]) / (unit * largest)
    if error <= PEER[precision]:
        return error, ""
    at = [int(i) for i in place]
    ours, found = np.atleast_1d(ours)[place], np.atleast_1d(found)[place]
    return error if np.isfinite(error) else None, f"at {at}: expected {ours:.6g}, got {found:.6g}"


def _timed(run, work, contenders):
    """Return median, spread, rate and share of the roof; of PyTorch too, and how many times faster we are."""
    found = {}
    for name, samples in interleaved(contenders, run.sizes.seconds, PACE).items():
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
