"""Is what the GPU computes right? Everything is held against the reference in float64, and against itself."""

import copy
from dataclasses import fields

import numpy as np

from ...device import pack, put, to_host
from ...gradient_cases import CASES
from ...network import walk
from ...optimizers import SGD
from .. import parity, workloads
from ..backends import BACKENDS
from ..workloads import IN_PLACE, RECIPES, Workload
from .calls import OurCall

PRODUCTS = "conv2d", "dense"  # the operations that have a tf32 path
TF32 = 2.0**-10  # of a product of two factors, each rounded to 10 bits behind the point: 2^-11 of each
STEPS = 3  # of training, after which a replayed graph must have left the same bits


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
    """The Parity of what `workload` gave in float32 or tf32. For tf32 error is a share of the bound."""
    terms = workload.terms(batch, expected)
    if precision == "float32":
        return parity.check(found, expected, np.dtype(np.float32), terms)
    if found.shape != expected.shape:
        return parity.Parity(np.inf, f"expected shape {expected.shape}, got {found.shape}")
    added = (
        parity.LIMIT * np.sqrt(terms) * np.finfo(np.float32).eps * np.abs(expected).max()
    )  # as if in float32: PTX leaves it open
    bound = TF32 * Magnitudes.of(workload).expected(batch) + added
    share = np.nan_to_num(np.abs(found - expected), nan=np.inf) / bound
    worst = np.unravel_index(share.argmax(), share.shape)
    why = (
        ""
        if share[worst] <= 1
        else f"at {[int(i) for i in worst]}: expected {expected[worst]:.6g} +- {bound[worst]:.2g}, got {found[worst]:.6g}"  # noqa: E501
    )
    return parity.Parity(float(share[worst]), why)


def check_call(call, workload, batch, precision, expected):
    """The columns of a row: whether the result is right, and the same bits a second time."""
    call()
    first = call.result()
    result = check(first, workload, batch, precision, expected)
    if result.ok and workload.direction not in IN_PLACE:  # those would go on from where they are
        call()
        if first.tobytes() != call.result().tobytes():
            result = parity.Parity(result.error, "two runs give different bits")
    return result.columns()


def operation(workload, batch, precision):
    return check_call(
        OurCall(workload, batch, np.float32, precision), workload, batch, precision, workload.expected(batch)
    )


def case(one, dtype):
    """Forward and backward of a case of gradient_cases.py through its layer: as
    tests/test_parity.py has it.
    """
    obj, x, options = one.build(seed=2)
    labels, training = options.get("labels"), options.get("training", False)
    expected = _all(copy.deepcopy(obj).to("reference"), x, labels, training)
    found = _all(obj.to("cuda"), x.astype(dtype), labels, training)
    tolerance, error = 8 * np.sqrt(max(x.size, 400)) * np.finfo(dtype).eps, 0.0
    for name, value in expected.items():
        off = float(np.abs(found[name] - value).max() / np.abs(value).max()) / tolerance
        error = max(error, off)
        if not off <= 1:
            return {"status": "wrong", "error": off, "why": f"{name}: off by {off:.3g} times the tolerance"}
    return {"status": "ok", "error": error, "why": ""}


def _all(obj, x, labels, training):
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
    net, _ = workloads.MODELS[model]()
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


def replayed(model, batch, precision):
    """Training steps by a captured graph, against the same calls one by one: the same bits of every
    parameter.
    """
    nets = []
    for captured in (True, False):
        net, loss = workloads.MODELS[model]()
        net, loss = net.to("cuda", precision), loss.to("cuda")
        optimizer = SGD(net, **RECIPES[model])
        rng = np.random.default_rng(2)
        for _ in range(STEPS):
            x, labels = (
                rng.standard_normal((batch, *net.input_shape), np.float32),
                rng.integers(net.output_shape((1, *net.input_shape))[1], size=batch),
            )
            if captured:
                net.train_step(x, labels, loss, optimizer)
                continue
            scores = net.forward(pack(x, "cuda", net), training=True)
            loss.forward(scores, labels)
            net.backward(loss.backward(), need_dx=False)
            optimizer.step()
        nets.append({name: to_host(value) for name, value in net.params.items()})
    other = [name for name, value in nets[0].items() if value.tobytes() != nets[1][name].tobytes()]
    return {
        "status": "wrong" if other else "ok",
        "error": float(len(other)),
        "why": f"other bits in {', '.join(other)}" if other else "",
    }


def measure(run):
    """Yield (title, function that returns a row), in the order in which worker.py calls them."""
    for name, cases in CASES.items():
        for place, one in enumerate(cases):
            if name in run.sizes.cases or run.sizes.cases == "all":
                for dtype in ("float64", "float32"):
                    yield f"{name} {place}, {dtype}", lambda one=one, dtype=dtype: case(one, np.dtype(dtype))
    for model, batches in run.sizes.batches.items():
        of_model = workloads.of_model(model)
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
        for precision in ("float32", "tf32"):
            yield (
                f"{model}, batch {batches[0]}, {precision}: a graph leaves the bits of its calls",
                lambda m=model, b=batches[0], p=precision: replayed(m, b, p),
            )
