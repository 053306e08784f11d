"""Is what the GPU computes right? Everything is held against the reference in float64, and against itself."""

import copy
import zlib
from dataclasses import fields

import numpy as np

from ...device import put, to_host
from ...gradient_cases import CASES
from ...network import walk
from .. import parity
from ..backends import BACKENDS
from ..workloads import IN_PLACE, Workload
from .calls import OurCall
from .tasks import network

PRODUCTS = "conv2d", "dense"  # the operations that have a tf32 path
TF32 = 2.0**-10  # of a product of two factors, each rounded to 10 bits behind the point: 2^-11 of each


class Magnitudes(Workload):
    """The same work on the magnitudes of all numbers: |a| |b| summed up, which bounds what rounding the
    factors can do.
    """

    def _different(self, n, dtype):
        found = super()._different(n, dtype)
        return {
            name: np.abs(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
            for name, value in found.items()
        }

    @classmethod
    def of(cls, workload):
        return cls(**{field.name: getattr(workload, field.name) for field in fields(workload)})


def multiplies(workload):
    """Whether tf32 makes a difference to it."""
    return workload.operation in PRODUCTS and workload.direction != "backward_bias"


def check(found, workload, batch, precision, expected):
    """Return the Parity of what `workload` gave. Its error: for tf32 a share of the bound."""
    bound = _bound(workload, batch, expected) if precision == "tf32" else None
    return _compared(found, expected, workload, batch, bound)


def _bound(workload, batch, expected):
    """Return how far each element of a result in tf32 may be off."""
    # the second part as if in float32: PTX leaves open how tensor cores add
    added = parity.LIMIT * np.sqrt(workload.terms(batch, expected)) * np.finfo(np.float32).eps
    return TF32 * Magnitudes.of(workload).expected(batch) + added * np.abs(expected).max()


def _compared(found, expected, workload, batch, bound):
    if bound is None:
        return parity.check(found, expected, np.dtype(np.float32), workload.terms(batch, expected))
    if found.shape != expected.shape:
        return parity.Parity(np.inf, f"expected shape {expected.shape}, got {found.shape}")
    bound = bound[: len(found)] if bound.ndim else bound
    share = np.nan_to_num(np.abs(found - expected), nan=np.inf) / bound
    worst = np.unravel_index(share.argmax(), share.shape)
    why = (
        ""
        if share[worst] <= 1
        else f"at {[int(i) for i in worst]}: expected {expected[worst]:.6g} +- {bound[worst]:.2g}, got {found[worst]:.6g}"  # noqa: E501
    )
    return parity.Parity(float(share[worst]), why)


def operation(workload, batch, precision):
    """Return the columns of a row: whether the result is right, and has the same bits a second time; and what
    is needed to time it: its work, its terms, the digest of its bits.
    """
    call = OurCall(workload, batch, np.float32, precision)
    call()
    first = call.result()
    result = _checked(first, workload, batch, precision)
    if result.ok and workload.direction not in IN_PLACE:  # those would go on from where they are
        call()
        if digest(first) != digest(call.result()):
            result = parity.Parity(result.error, "two runs give different bits")
    sizes = [np.prod(shape) for shape in (workload.x_shape, workload.y_shape)]
    return {
        **result.columns(),
        **workload.work(batch, np.float32, first),
        "terms": float(workload.terms(batch, first)),
        "largest": int(4 * max(sizes) * (1 if workload.updates else batch)),
        "digest": digest(first),
    }


def digest(array):
    """Return a checksum of the bits of an array."""
    return zlib.crc32(np.ascontiguousarray(array).data)


def _checked(found, workload, batch, precision):
    """Return the Parity of a result. Where images repeat, each repetition is compared with what the reference
    computes of those that differ.
    """
    n = workload.distinct(batch)
    if workload.sums_over_images or workload.updates or n == batch:
        return check(found, workload, batch, precision, workload.expected(batch))
    if len(found) != batch:
        return parity.Parity(np.inf, f"expected {batch} images, got {len(found)}")
    expected, worst = workload.expected(n), parity.Parity(0.0)
    bound = _bound(workload, n, expected) if precision == "tf32" else None
    for first in range(0, batch, n):
        part = found[first : first + n]
        result = _compared(part, expected[: len(part)], workload, n, bound)
        if not result.ok:
            return parity.Parity(result.error, f"images from {first} on: {result.why}")
        worst = max(worst, result, key=lambda one: one.error)
    return worst


def case(one, dtype):
    """Forward and backward of a case of gradient_cases.py through its layer: as
    tests/test_parity.py has it.
    """
    obj, x, options = one.build(seed=2)
    labels, training = options.get("labels"), options.get("training", False)
    expected = everything(copy.deepcopy(obj).to("reference"), x, labels, training)
    found = everything(obj.to("cuda"), x.astype(dtype), labels, training)
    tolerance, error = 8 * np.sqrt(max(x.size, 400)) * np.finfo(dtype).eps, 0.0
    for name, value in expected.items():
        off = float(np.abs(found[name] - value).max() / np.abs(value).max()) / tolerance
        error = max(error, off)
        if not off <= 1:
            return {"status": "wrong", "error": off, "why": f"{name}: off by {off:.3g} times the tolerance"}
    return {"status": "ok", "error": error, "why": ""}


def everything(obj, x, labels, training):
    """{"y", "dx", and the gradient of each parameter} as NumPy arrays."""
    if labels is not None:
        return {"y": np.array(obj.forward(x, labels)), "dx": obj.backward()}
    y = obj.forward(x, training=training)
    dx = obj.backward(np.random.default_rng(3).standard_normal(y.shape).astype(y.dtype))
    return {"y": y, "dx": dx, **{name: to_host(grad) for name, grad in obj.grads.items()}}


def adjoint(model, layer, batch):
    """<dy, A x> = <A' dy, x> at full size, with no two images alike: forward and backward_input are each
    other's transposes, whatever the reference.
    """
    net, _ = network(model)
    net, leave, rng, shape = (
        net.to("cuda"),
        BACKENDS["cuda"].leave,
        np.random.default_rng(1),
        (batch, *net.input_shape),
    )
    one, shape = next((node.layer, node.x_shape) for node in walk(net, shape) if node.name == layer)
    if "bias" in one.params:  # less the bias it is linear in x
        put(np.zeros(one.params["bias"].shape), one.params["bias"])
    x = rng.standard_normal(shape, np.float32)
    y = leave(one.forward(_there(x)))
    dy = rng.standard_normal(y.shape, np.float32)
    dx = leave(one.backward(_there(dy)))
    left, right = np.vdot(dy.astype(np.float64), y), np.vdot(dx.astype(np.float64), x)
    size = np.linalg.norm(dy.astype(np.float64)) * np.linalg.norm(y.astype(np.float64))
    error = abs(left - right) / size
    return {
        "status": "ok" if error < 1e-6 else "wrong",
        "error": float(error),
        "why": "" if error < 1e-6 else f"{left:.9g} and {right:.9g}",
    }


def _there(x):
    return BACKENDS["cuda"].parts({"x": x}, 1)[0]["x"]


def checks(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    for name, cases in CASES.items():
        for place, one in enumerate(cases):
            if name in run.sizes.cases or run.sizes.cases == "all":
                for dtype in ("float64", "float32"):
                    yield f"{name} {place}, {dtype}", lambda one=one, dtype=dtype: case(one, np.dtype(dtype))
    for model, batches in run.sizes.batches.items():
        of_model = run.workloads(model)
        for workload in of_model:
            for precision in ("float32", "tf32") if multiplies(workload) else ("float32",):
                # operations.py checks the last batch before it times it
                for batch in batches[:-1]:
                    yield (
                        f"{model} {workload.layer} {workload.operation} {workload.direction}, batch "
                        f"{batch}, {precision}",
                        lambda w=workload, b=batch, p=precision: operation(w, b, p),
                    )
        for layer in dict.fromkeys(
            w.layer for w in of_model if w.operation in ("conv2d", "table_conv2d", "dense")
        ):
            yield (
                f"{model} {layer}, batch {batches[-1]}, <dy, y> = <dx, x>",
                lambda m=model, la=layer, b=batches[-1]: adjoint(m, la, b),
            )
