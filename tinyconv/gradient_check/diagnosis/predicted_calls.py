"""Predictions of mistakes in a call: another dy, another x or weight, another stride. They return claims."""

import copy
from itertools import combinations, product

import numpy as np

from .claims import Claim, axis_names, borders, changed, elementwise, factors, is_known, join, moved, subsets

# dy


def dy_ignored(e):
    if getattr(e.subject, "takes_dy", True):
        yield changed("ones", dy=np.ones(e.dy.shape))
        yield changed("1 / N", dy=np.full(e.dy.shape, 1 / len(e.dy)) if e.dy.ndim else np.ones(()))
        yield changed("1 / its size", dy=np.full(e.dy.shape, 1 / e.dy.size))


def dy_flipped(e):
    names = axis_names(e.dy)
    for axes in subsets(range(e.dy.ndim)):
        yield changed(join([names[axis] for axis in axes]), dy=np.flip(e.dy, axes))


def dy_transposed(e):
    names = axis_names(e.dy)
    for a, b in combinations(range(e.dy.ndim), 2):
        if e.dy.shape[a] == e.dy.shape[b]:
            yield changed(f"{names[a]} and {names[b]}", dy=np.ascontiguousarray(e.dy.swapaxes(a, b)))
        else:
            yield changed(
                f"{names[a]} and {names[b]}, the shape kept by a reshape,",
                dy=e.dy.swapaxes(a, b).reshape(e.dy.shape),
            )


def dy_averaged(e):
    names = axis_names(e.dy)
    for axes in subsets(range(e.dy.ndim)):
        mean = np.broadcast_to(e.dy.mean(axis=axes, keepdims=True), e.dy.shape)
        yield changed(join([names[axis] for axis in axes]), dy=mean)
        yield changed(
            join([names[axis] for axis in axes]) + " (the sum, rather)",
            dy=mean * np.prod([e.dy.shape[axis] for axis in axes]),
        )


def dy_one(e):
    names = axis_names(e.dy)
    for axes in subsets(range(e.dy.ndim)):
        for place, word in ((-1, "last"), (0, "first")):
            kept, index = np.zeros(e.dy.shape), [slice(None)] * e.dy.ndim
            for axis in axes:
                index[axis] = place
            kept[tuple(index)] = e.dy[tuple(index)]
            yield changed(f"the {word} of its {join([names[axis] for axis in axes])}", dy=kept)


def dy_shifted(e):
    for shift in product((-1, 0, 1), repeat=2) if e.dy.ndim == 4 else ():
        if any(shift):
            words = join([word for step, word in zip(shift, ("row", "column")) if step])
            yield changed(words, dy=moved(e.dy, shift))
            yield changed(f"{words}, around the edge,", dy=np.roll(e.dy, shift, (2, 3)))


def x_shifted(e):
    for shift in product((-1, 0, 1), repeat=2) if e.x.ndim == 4 else ():
        if any(shift):
            words = join([word for step, word in zip(shift, ("row", "column")) if step])
            yield changed(words, values={next(iter(e.values)): moved(e.x, shift)})


def dy_border(e):
    for detail, inner in borders(e.dy) if e.dy.ndim == 4 else ():
        yield changed(detail, dy=np.where(inner, e.dy, 0))


def dy_changed(e):
    candidates = {
        "the absolute value of dy": np.abs(e.dy),
        "the square of dy": e.dy**2,
        "the sign of dy": np.sign(e.dy),
        "y": e.y,
        "y dy": e.y * e.dy,
        "the positive part of dy": np.maximum(e.dy, 0),
    }
    if e.x.shape == e.dy.shape:
        candidates |= {"x": e.x, "x dy": e.x * e.dy}
    for words, dy in candidates.items():
        yield changed(words, dy=dy)
    if elementwise(e):
        yield Claim("the positive part of dy, whatever x is,", np.maximum(e.dy, 0))


# what forward has kept


def earlier_call(e):
    before = {name: value for name, value in e.earlier.items() if name != "dy"}
    if "dy" in e.earlier:
        yield changed("at the x of an earlier call, for the dy of this one", values=before)
        yield changed("for the dy of an earlier call", dy=e.earlier["dy"])
        yield changed("of an earlier call", values=before, dy=e.earlier["dy"])


def accumulated(e):
    if "dy" in e.earlier:
        before = {name: value for name, value in e.earlier.items() if name != "dy"}
        yield Claim(terms=[(1.0, {}), (1.0, {"values": before, "dy": e.earlier["dy"]})])


def another_mask(e):
    if elementwise(e) and is_known(e):
        kinds = [np.unique(np.round(gradient / e.dy, 9)) for gradient in (e.true, e.found)]
        if len(kinds[0]) == 2 and kinds[0][0] == 0 and np.array_equal(*kinds):
            yield Claim(array=e.found)


# what it is computed from


def _others(e):
    """The parameters, inputs and fixed arrays that the gradient is computed from, by name; first the other
    ones.
    """
    arrays = {**e.values, **e.fixed}
    return sorted(arrays.items(), key=lambda item: item[0] == e.name)


def not_rotated(e):
    for name, value in _others(e):
        if value.ndim >= 3 and name != next(iter(e.values)):
            yield changed(name, values={name: value[..., ::-1, ::-1]})
    if is_known(e) and e.fits and e.found.ndim >= 3 and e.name != next(iter(e.values)):
        yield Claim(f"the true d{e.name}", e.true[..., ::-1, ::-1])


def flipped(e):
    if is_known(e) and e.fits:
        for axes in subsets(range(e.true.ndim)):
            yield Claim(
                f"the true gradient, flipped along axis {join(map(str, axes))}", np.flip(e.true, axes)
            )
    for name, value in _others(e):
        for axes in subsets(range(value.ndim)) if value.ndim <= 4 else ():
            yield changed(
                f"what it would be if {name} were flipped along axis {join(map(str, axes))}",
                values={name: np.flip(value, axes)},
            )


def parameter_missing(e):
    for name, value in _others(e):
        if name != next(iter(e.values)):
            yield changed(f"{name} were ones", values={name: np.ones_like(value)})
            yield changed(f"{name} were zero", values={name: np.zeros_like(value)})
            yield changed(f"{name} had the other sign", values={name: -value})
            yield changed(f"{name} were there twice", values={name: value * value})


def parameter_transposed(e):
    for name, value in _others(e):
        for a, b in combinations(range(value.ndim), 2):
            words = f"axes {a} and {b} of {name}"
            if value.shape[a] == value.shape[b]:
                yield changed(words, values={name: np.ascontiguousarray(value.swapaxes(a, b))})
            else:
                yield changed(
                    f"{words}, the shape kept by a reshape,",
                    values={name: value.swapaxes(a, b).reshape(value.shape)},
                )


def permuted(e):
    if not (is_known(e) and e.fits):
        return
    for axis in range(e.true.ndim):
        true, found = (
            np.moveaxis(e.true, axis, 0).reshape(e.shape[axis], -1),
            np.moveaxis(e.found, axis, 0).reshape(e.shape[axis], -1),
        )
        distance = np.abs(found[:, None] - true[None]).max(axis=-1)
        order = distance.argmin(axis=1)
        if (
            len(true) > 1
            and len(true[0]) * len(true) > len(np.unique(order))
            and sorted(order) == list(range(len(order)))
        ):
            place = int(np.argmax(order != np.arange(len(order))))
            yield Claim(
                f"along axis {axis}, place {place} holds what belongs to place {order[place]}",
                np.take(e.true, order, axis),
            )


def parameter_permuted(e):
    for name, value in _others(e):
        for axis in range(value.ndim):
            for step in range(1, value.shape[axis]) if value.shape[axis] <= 64 else (1, -1):
                yield changed(
                    f"{name} were rolled by {step} along axis {axis}",
                    values={name: np.roll(value, step, axis)},
                )
    groups = getattr(e.obj, "groups", 1)
    for name, value in _others(e) if isinstance(groups, int) and groups > 1 else ():
        if value.ndim == 4 and len(value) % groups == 0:
            split = value.reshape(groups, -1, *value.shape[1:])
            yield changed(
                f"the groups of {name} were in reverse order", values={name: split[::-1].reshape(value.shape)}
            )
            yield changed(
                f"the filters of {name} were dealt out to the groups in turn",
                values={
                    name: value.reshape(-1, groups, *value.shape[1:]).swapaxes(0, 1).reshape(value.shape)
                },
            )


def wrong_argument(e):
    x = next(iter(e.values))
    if e.y.shape == e.x.shape:
        yield changed("y, not x", values={x: e.y})
    yield changed("-x", values={x: -e.x})
    yield changed("0", values={x: np.zeros_like(e.x)})
    yield changed("|x|", values={x: np.abs(e.x)})
    for value, words in factors(e):
        if value and value not in (1, -1):
            yield changed(f"x times {words} ({value:.6g})", values={x: e.x * value})
    if elementwise(e) and is_known(e):
        yield from _through_y(e)


def _through_y(e):
    """Activations whose derivative is a polynomial of y (1 - y^2, y (1 - y)): the same formula with x, or a
    multiple of y, in the place of y.
    """
    derivative = (e.true / e.dy).reshape(-1)
    if e.y.size > 3:
        formula = np.polynomial.Polynomial.fit(e.y.reshape(-1), derivative, 2)
        if np.allclose(formula(e.y.reshape(-1)), derivative, rtol=0, atol=1e-9):
            yield Claim("x, in a formula that expects y", e.dy * formula(e.x))
            for value, words in factors(e):
                if value and value != 1:
                    yield Claim(f"y times {words} ({value:.6g})", e.dy * formula(e.y * value))
            constant = float(np.mean((e.found - e.true) / e.dy))
            yield Claim(
                f"the right place, and {constant:.6g} added: the constant of the derivative is wrong",
                e.true + constant * e.dy,
            )


def derivative_misused(e):
    if elementwise(e) and is_known(e):
        with np.errstate(all="ignore"):
            derivative = e.true / e.dy
            candidates = {
                "times the derivative squared": e.dy * derivative**2,
                "divided by the derivative": e.dy / derivative,
                "times y, not times the derivative": e.dy * e.y,
                "times x, not times the derivative": e.dy * e.x,
                "plus the derivative": e.dy + derivative,
                "times 1 - derivative": e.dy * (1 - derivative),
                "times 1 - y": e.dy * (1 - e.y),
                "times 1 - y^2": e.dy * (1 - e.y**2),
                "times y^2": e.dy * e.y**2,
                "times the root of the derivative": e.dy * np.sqrt(np.abs(derivative)),
                "times 1 + y^2": e.dy * (1 + e.y**2),
            }
            coefficients = np.linalg.lstsq(
                np.stack([np.ones(e.y.size), e.y.reshape(-1), e.y.reshape(-1) ** 2], 1),
                (e.found / e.dy).reshape(-1),
                rcond=None,
            )[0]
            words = " + ".join(
                f"{c:.5g}{power}" for c, power in zip(coefficients, ("", " y", " y^2")) if abs(c) > 1e-9
            )
            candidates[f"times ({words}), which is not the derivative"] = e.dy * (
                coefficients[0] + coefficients[1] * e.y + coefficients[2] * e.y**2
            )
        for words, array in candidates.items():
            yield Claim(words, array)


def constant_denominator(e):
    """y = x / d(x): dx = dy / d, plus a part through d."""
    if elementwise(e) and is_known(e):
        with np.errstate(all="ignore"):
            direct = e.dy * e.y / e.x
        yield Claim("is dy y / x, as if the denominator were a constant", direct)
        through = e.true - direct
        c = float(np.vdot(e.found - direct, through) / (np.vdot(through, through) or 1))
        yield Claim(f"has the part through the denominator times {c:.6g}", direct + c * through)


def neighbours_left_out(e):
    if elementwise(e) and is_known(e):
        yield Claim(array=np.diagonal(e.columns).reshape(e.shape) * e.dy)


def label_term(e):
    if (
        is_known(e)
        and e.fits
        and e.labels is not None
        and e.true.ndim == 2
        and np.shape(e.labels) == (len(e.true),)
    ):
        one_hot = np.zeros(e.shape)
        one_hot[np.arange(len(one_hot)), e.labels] = 1
        c = float(np.vdot(e.found - e.true, one_hot) / len(one_hot))
        yield Claim(f"{c:.6g}", e.true + c * one_hot)


def chain(e):
    """The layers of a network in the wrong order, or not all of them."""
    edges = e.obj.edges() if hasattr(e.obj, "edges") else None
    if edges is not None and any(layer is e.obj for _, layer, _ in edges):
        return  # two paths, which no order of layers describes
    layers = dict(getattr(e.obj, "named_layers", None) or enumerate(getattr(e.obj, "layers", ())))
    if len(layers) < 2:
        return
    layers = {
        name: copy.deepcopy(layer).astype(float) if hasattr(layer, "astype") else copy.deepcopy(layer)
        for name, layer in layers.items()
    }
    x = e.x
    for layer in layers.values():
        x = layer.forward(x)
    orders = {"the layers in the order of forward": list(layers)}
    orders |= {
        f"leaving layer {left} out": [name for name in reversed(layers) if name != left] for left in layers
    }
    for words, order in orders.items():
        dy, grads = e.dy, {}
        try:
            for name in order:
                dy = layers[name].backward(dy)
                grads |= {
                    f"{name}.{key}": gradient for key, gradient in getattr(layers[name], "grads", {}).items()
                }
        except Exception:  # shapes that do not fit into this order: then it was another one
            continue
        yield Claim(words, dy if e.name == next(iter(e.values)) else grads.get(e.name))


def option(e):
    """The same call of an object one of whose numbers is another one."""
    for name, value in (
        vars(e.obj).items() if e.fits and hasattr(e.obj, "__dict__") and not isinstance(e.obj, type) else ()
    ):
        if name.startswith("_"):
            continue
        for other in _other_values(name, value, e.obj):
            yield changed(
                f"{name} = {other if not isinstance(other, float) else round(other, 6)}, and not {value}",
                options={name: other},
            )


def _other_values(name, value, obj):
    if isinstance(value, (bool, np.bool_)):
        return [not value]
    if isinstance(value, int):
        return [value - 1, value + 1, value - 2, value + 2, 1, 0]
    if isinstance(value, float):
        size = getattr(obj, "size", 2)
        scale = float(np.prod(size)) if isinstance(size, (int, tuple)) else 2.0
        return [
            0.0,
            1.0,
            value / 2,
            value * 2,
            value - 1,
            value + 1,
            value / scale,
            value * scale,
            1 / value if value else 1.0,
            -value,
            1 - value,
            1e6,
        ]
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int) for v in value):
        near = [(value[0] + i, value[1] + j) for i, j in product((0, -1, 1, -2), repeat=2) if i or j]
        return [
            value[::-1],
            (1, 1),
            (0, 0),
            *near,
            *[other for other in vars(obj).values() if isinstance(other, tuple) and len(other) == 2],
        ]
    return []
