"""Networks of full size, in seconds: identities that need one evaluation for a whole array, or for all arrays
at once.

    <dy, J u> = <dx, u>                      for each layer alone, at the x and dy that reach it, u random; likewise for each parameter
    <dy, J (u_1, u_2, ...)> = sum <g_k, u_k>   for the whole network: all arrays g_k of gradients at once, by one complex step

J u is the slope of forward along u (oracles.py): where forward is linear in an array, as most are, a step of
any size gives it exactly. An error in a single element changes the sum by its part of it, which is far above
rounding; which element it is, a check of the layer alone tells.
"""  # noqa: E501

import copy
import textwrap

import numpy as np
from tqdm import tqdm

from ..errors import ShapeError
from ..network import named_leaves, observe, state_restored
from .diagnosis import Diagnosis
from .oracles import EPS, central
from .report import Report, Row

TOLERANCE = {
    "linear": 1e-10,
    "complex": 1e-10,
    "central": 1e-6,
}  # relative to the root of the sum of the squared terms, its size if they are random


def check_full_size(net, x=None, *, training=False, seed=0, quiet=False, progress=False):
    """Check every gradient of a Sequential at the size that it is used at, in float64; print the table; give
    the Report.

    x         array (N, ...); None: one random image of net.input_shape         training  whether forward is called with training=True
    Each row is a sum over all elements of an array. The last row is the whole network, which also shows
    whether gradients pass rightly from layer to layer. Raises ShapeError for a network that has no
    input_shape where x is None.
    """  # noqa: E501
    rng = np.random.default_rng(seed)
    if x is None and not getattr(net, "input_shape", None):
        raise ShapeError(f"check_full_size: {net!r} has no input_shape; give x=...")
    x = rng.standard_normal((1, *net.input_shape)) if x is None else np.asarray(x, np.float64)
    title, net, rows = (
        textwrap.shorten(repr(net), 130, placeholder=" ..."),
        copy.deepcopy(net).astype(np.float64),
        [],
    )
    dy_of_net = None

    def random_dy(y):
        nonlocal dy_of_net
        dy_of_net = rng.standard_normal(y.shape)
        return dy_of_net

    with state_restored(net):
        seen = observe(net, x, training, random_dy)
    layers = {name: layer for name, layer in named_leaves(net).items() if layer is not net}
    for name, layer in tqdm(layers.items(), desc="layers", leave=False, disable=not progress):
        at = seen[name]
        if "y" not in at:
            raise RuntimeError(
                f"check_full_size: {name} = {layer!r} was not called by the network's forward; take it "
                "out, or call it"
            )
        # where backward left a layer out, the last row shows it, and the layer itself is checked all the same
        dy = at.get("dy", rng.standard_normal(at["y"].shape))
        with state_restored(layer):  # so that dropout draws the same mask again
            y = layer.forward(at["x"], training=training)
            dx = layer.backward(dy)
        rows += _rows_of_layer(name, layer, at["x"], y, dy, dx, training, rng)
    rows.append(_row_of_network(net, x, dy_of_net, training, rng))
    wrong = {
        name: row for name in layers for row in rows[:-1] if row.array.startswith(f"{name}.d") and not row.ok
    }
    said = tuple(
        Diagnosis(
            row.array,
            "",
            "wrong somewhere; check the layer alone, on a small x: check_gradients(layer, x), the layer "
            f"being {name}",
            "",
        )
        for name, row in wrong.items()
    )
    report = Report(title, tuple(rows), diagnoses=said)
    if not quiet:
        print(report)
    return report


def _called(layer, x, training):
    """forward of a layer that is left as it was."""
    with state_restored(layer):
        return layer.forward(x, training=training)


def _rows_of_layer(name, layer, x, y, dy, dx, training, rng):
    def with_x(value):
        return _called(layer, value, training)

    yield _row(f"{name}.dx", with_x, x, y, dy, dx, rng, layer, training)
    for key, value in list(layer.params.items()):

        def with_parameter(moved, key=key, value=value):
            layer.replace_parameter(key, moved)
            try:
                return _called(layer, x, training)
            finally:
                layer.replace_parameter(key, value)

        yield _row(f"{name}.d{key}", with_parameter, value, y, dy, layer.grads[key], rng)


def _row(array, forward, value, y, dy, gradient, rng, layer=None, training=False):
    u = (rng.random(value.shape) - 0.5) * (np.abs(value).max() or 1)
    oracle, slope = "linear", None
    plus, minus = forward(value + u), forward(value - u)
    if np.all(np.abs(plus + minus - 2 * y) <= 1e4 * EPS * np.abs(plus).max()):
        slope = (plus - minus) / 2
    elif layer is not None and layer.supports_complex_step:
        oracle, twin = "complex", copy.deepcopy(layer).to("reference")
        slope = _complex_slope(lambda: _called(twin, value + 1e-30j * u, training))
    if slope is None:
        oracle, slope = "central", central(_along(forward, value, u), y).y
    return _compared(
        array,
        oracle,
        value.size,
        dy * slope,
        gradient * u if np.shape(gradient) == value.shape else np.full(1, np.nan),
    )


def _complex_slope(forward):
    """The slope of a forward pass that was moved by 1e-30 i; None where a user's own code does not take
    complex numbers.
    """
    try:
        return forward().imag / 1e-30
    except Exception:  # whatever it says of them
        return None


def _along(forward, value, u):
    def along(t):
        return forward(value + t * u)

    along.scale = 1.0
    return along


def _row_of_network(net, x, dy, training, rng):
    """All arrays at once. Each is moved so far that it takes an equal part in the sum, however small its
    gradients are.
    """
    with state_restored(net):
        y = net.forward(x, training=training)
        found = {"x": net.backward(dy), **net.grads}
    u = {
        name: (rng.random(gradient.shape) - 0.5) / (np.sqrt(np.sum(np.asarray(gradient) ** 2)) or 1)
        for name, gradient in found.items()
    }
    products = np.array([np.sum(found[name] * u[name]) for name in found])
    values = {"x": x, **net.params}
    if net.supports_complex_step:
        moved = {name: value + 1e-30j * u[name] for name, value in values.items()}
        twin = copy.deepcopy(net, {id(value): moved[name] for name, value in net.params.items()}).to(
            "reference"
        )
        slope = _complex_slope(lambda: twin.forward(moved["x"], training=training))
        if slope is not None:
            return _compared(
                "network", "complex", sum(value.size for value in values.values()), dy * slope, products
            )

    def along(t):
        twin = copy.deepcopy(net, {id(value): value + t * u[name] for name, value in net.params.items()})
        return twin.forward(x + t * u["x"], training=training)

    along.scale = 1.0
    return _compared(
        "network", "central", sum(value.size for value in values.values()), dy * central(along, y).y, products
    )


def _compared(array, oracle, size, expected, products):
    """The row for sum(expected) against sum(products), both random in sign: relative to the size that such a
    sum has.
    """
    scale = max(float(np.sqrt(np.sum(np.square(terms)))) for terms in (expected, products))
    found, expected = float(np.sum(products)), float(np.sum(expected))
    note = "" if scale else "WRONG: zero was compared with zero"
    return Row(
        array,
        oracle,
        size,
        size,
        abs(found - expected) / (scale or 1),
        (),
        found,
        expected,
        TOLERANCE[oracle],
        note,
    )
