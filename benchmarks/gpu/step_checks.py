"""Is a training step on the GPU right? Scores, loss and all gradients against the reference in float64; and
some steps of a captured graph against the same calls one by one.
"""

import numpy as np

from ... import execution
from ...device import pack, to_host, unpack
from ...execution.one_block import why_not
from ...layers import MaxPool2d, ReLU
from ...network import tree
from ...optimizers import SGD, Adam
from ..networks import Ours
from ..workloads import RECIPES
from .tasks import network, task_of

DECIDE = ReLU, MaxPool2d  # layers whose backward pass depends on a comparison of their inputs
BAR = {"float32": 1e-3, "tf32": 1e-2}  # of |found - expected| / |expected|, as lengths of vectors
STEPS = 3  # of training, after which a replayed graph must have left the same bits
UPDATES = 0.01  # of the length of what STEPS steps change; see updates()
OPTIMIZERS = {
    "SGD": lambda net, recipe: SGD(net, **recipe),
    "SGD, clipped": lambda net, recipe: SGD(net, **recipe, clip=0.1),
    "Adam": lambda net, recipe: Adam(net),
}


def step(model, batch, precision):
    """Return the columns of a row: scores, loss and every gradient of one step.

    Where two inputs of a maximum are nearer to each other than the rounding, another one may win, and one
    gradient goes another way. The check does not ask for that: the reference's way back decides at every
    ReLU and MaxPool2d by the inputs that they had on the GPU. What is left of the distance is that of the
    arithmetic.
    """
    task = task_of(model, batch)
    ours = Ours("cuda", task, checked=True, precision=precision)
    value, scores = execution.forward_backward(ours.net, ours.x, ours.labels, ours.loss)
    found = {"loss": np.array(value), "scores": scores}
    found |= {name: to_host(grad) for name, grad in ours.net.grads.items()}
    return compared(found, expected(task, decisions(ours.net, ours.x, task.distinct(ours.net))), precision)


def compared(found, expected, precision):
    """Return the columns of a row: the largest relative distance of all arrays, as a share of the bar."""
    share = {name: _distance(found[name], value) / BAR[precision] for name, value in expected.items()}
    worst = max(share, key=share.get)
    ok = share[worst] <= 1
    return {
        "status": "ok" if ok else "wrong",
        "error": share[worst] if np.isfinite(share[worst]) else None,
        "why": "" if ok else f"{worst}: {100 * share[worst] * BAR[precision]:.2g} % off as a whole",
    }


def _distance(found, expected):
    """|found - expected| / |expected|; infinite where a number is not finite or the shape differs."""
    if np.shape(found) != np.shape(expected) or not np.isfinite(found).all():
        return np.inf
    return float(np.linalg.norm(np.ravel(found - expected)) / np.linalg.norm(np.ravel(expected)))


def decisions(net, x, images):
    """Return {dotted name: x of the first `images` images} of every ReLU and MaxPool2d in a forward pass."""
    twin, seen = net.replica(), {}

    def watch(name, layer):
        forward = layer.forward

        def noted(x, training=False):
            seen[name] = unpack(x)[:images].copy()
            return forward(x, training)

        layer.forward = noted

    for name, layer in tree(twin):
        if isinstance(layer, DECIDE):
            watch(name, layer)
    twin.forward(pack(x, net.device, net), training=True)
    return seen


def expected(task, seen):
    """Return the loss, the scores and all gradients that the reference computes in float64.

    seen  decisions() of the network whose step is checked; {}: the reference decides by its own inputs
    """
    net, loss = task.network(checked=True)
    x, labels = task.data(net)
    n, net, loss = task.distinct(net), net.to("reference").astype(np.float64), loss.to("reference")
    repeated = np.arange(task.images) % n
    share = np.bincount(repeated) / task.images  # of each different image in the mean over the batch
    scores, labels = net.forward(x[:n].astype(np.float64), training=True), labels[:n]
    layers = dict(tree(net))
    for name, x in seen.items():
        # the way back finds what this forward pass leaves in the cache
        layers[name].forward(x.astype(np.float64), training=True)
    losses = loss.kernel.forward(scores, labels, *loss._options())
    net.backward(loss.kernel.backward_input(share, scores, labels, *loss._options()), need_dx=False)
    return {"loss": np.array(share @ losses), "scores": scores[repeated], **net.grads}


def replayed(model, batch, precision, rule):
    """Return the columns of a row: training steps by a captured graph leave the same bits in every parameter
    as the same calls one by one. Where the gradient is clipped, the norm is added up on the GPU in one way
    and by the processor in another: then the same numbers to rounding. Where one block computes one image
    (tinyconv/execution/one_block.py), sums are taken in another order than the layers do: then the same
    change of all parameters, as updates() has it.
    """
    captured, called = (
        _trained(model, batch, rule, "cuda", precision, by_calls) for by_calls in (False, True)
    )
    net, loss = network(model)
    if why_not(net.to("cuda", precision), (batch, *net.input_shape), np.float32, loss) is None:
        return _same_change(model, captured, called)
    same = _to_rounding if "clip" in rule else lambda one, two: one.tobytes() == two.tobytes()
    other = [name for name, value in captured.items() if not same(value, called[name])]
    return {
        "status": "wrong" if other else "ok",
        "error": float(len(other)),
        "why": f"other bits in {', '.join(other)}" if other else "",
    }


def _to_rounding(one, two):
    return bool(np.abs(one - two).max(initial=0) <= 1e-5 * np.abs(two).max(initial=0))


def updates(model, batch, rule):
    """Return the columns of a row: what captured steps in float32 change in all parameters, against the
    reference in float64.
    """
    found, right = (_trained(model, batch, rule, device, "float32") for device in ("cuda", "reference"))
    return _same_change(model, found, right)


def _same_change(model, found, right):
    start = {name: np.array(value) for name, value in network(model)[0].params.items()}
    changes = [
        np.concatenate([np.ravel(one[name] - start[name]) for name in start]) for one in (found, right)
    ]
    error = _distance(*changes) / UPDATES
    return {
        "status": "ok" if error <= 1 else "wrong",
        "error": error if np.isfinite(error) else None,
        "why": "" if error <= 1 else f"the change of all parameters is {100 * error * UPDATES:.2g} % off",
    }


def _trained(model, batch, rule, device, precision, by_calls=False):
    """Return the parameters after STEPS steps."""
    net, loss = network(model)
    if device == "reference":
        net.astype(np.float64)
    net, loss = net.to(device, precision), loss.to(device)
    optimizer, rng = OPTIMIZERS[rule](net, RECIPES[model]), np.random.default_rng(2)
    for _ in range(STEPS):
        x = rng.standard_normal((batch, *net.input_shape), np.float32)
        labels = rng.integers(net.output_shape((1, *net.input_shape))[1], size=batch)
        if device == "reference":
            x = x.astype(np.float64)
        if not by_calls:
            net.train_step(x, labels, loss, optimizer)
            continue
        scores = net.forward(pack(x, device, net), training=True)
        loss.forward(scores, labels)
        net.backward(loss.backward(), need_dx=False)
        optimizer.step()
    return {name: to_host(value) for name, value in net.params.items()}


def checks(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    model = part.model
    for batch in run.sizes.steps[model]:
        for precision in run.sizes.precisions(model):
            yield (
                f"{model} training step, batch {batch}, {precision}",
                lambda b=batch, p=precision: step(model, b, p),
            )
    batch = run.sizes.steps[model][0]
    for rule in OPTIMIZERS if model in run.sizes.small else ("SGD",):
        for precision in run.sizes.precisions(model) if rule == "SGD" else ("float32",):
            yield (
                f"{model}, batch {batch}, {precision}, {rule}: a graph leaves the bits of its calls",
                lambda r=rule, p=precision: replayed(model, batch, p, r),
            )
        if model in run.sizes.small:
            yield (
                f"{model}, batch {batch}, {rule}: {STEPS} steps against the reference",
                lambda r=rule: updates(model, batch, r),
            )
