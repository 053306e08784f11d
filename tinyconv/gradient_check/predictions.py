"""What each hypothesis predicts: functions of the evidence (diagnosis.Evidence) that give claims."""
from dataclasses import dataclass, field
from itertools import chain, combinations, permutations, product

import numpy as np


@dataclass
class Claim:
    """What the gradient would be: `array` where `known` (everywhere, if None), or the sum of c * (the gradient for a dy, values and options)."""

    detail: str = ""
    array: np.ndarray = None
    known: np.ndarray = None
    terms: list = field(default_factory=list)               # [(c, {"dy": ..., "values": ..., "options": ...}), ...]


def changed(detail="", c=1.0, **changes):
    """The gradient of a call that is changed so."""
    return Claim(detail, terms=[(c, changes)])


def _subsets(items):
    return chain.from_iterable(combinations(items, n) for n in range(1, len(items) + 1))


def _known(e):
    return e.true is not None


def _elementwise(e):
    return e.name == next(iter(e.values)) and e.fits and e.y.shape == e.shape


def _axis_names(array):
    return {4: ("images", "channels", "rows", "columns"), 2: ("images", "features"), 3: ("images", "channels", "positions")}.get(
        array.ndim, tuple(f"axis {axis}" for axis in range(array.ndim)))


def _join(names):
    return " and ".join(names)


# the gradient as a whole

def zero(e):
    yield Claim(array=np.zeros(e.shape))


def sign(e):
    yield changed(c=-1.0)


def another_array(e):
    for name, array in {"dy, unchanged": None, "y": e.y, **e.values, **e.fixed}.items():
        if array is not None and array.shape == e.found.shape:
            yield Claim(f"{name} itself", array)


def exchanged(e):
    for name, gradient in e.others.items():
        if name != e.name and gradient.shape == e.found.shape:
            yield Claim(name, gradient)


def passed_through(e):
    if e.name == next(iter(e.values)) and e.dy.size == e.found.size:
        c = float(np.vdot(e.dy, e.found) / np.vdot(e.dy, e.dy))
        yield Claim("" if abs(c - 1) < 1e-9 else f" times {c:.6g}", c * e.dy.reshape(e.found.shape))


def _ratio(e):
    if not e.fits:
        return np.nan
    direction = e.found / (np.sqrt(np.sum(e.found ** 2)) or 1)    # along the found gradient itself: exact where one is a multiple of the other
    true, found = e.along(direction), float(np.sum(e.found * direction))
    return found / true if true else np.nan


def batch_factor(e):
    N, ratio = len(e.x) if e.x.ndim else 1, _ratio(e)
    for factor, words in ((N, f"{N} times the true gradient, the number of images"), (1 / N, f"the true gradient divided by {N}, the number of images"),
                          (N * N, f"{N}^2 times the true gradient, {N} the number of images")):
        if N > 1 and np.isclose(ratio, factor, rtol=1e-7):
            yield changed(words, c=factor)


def known_factor(e):
    ratio = _ratio(e)
    for factor, words in _factors(e):
        if factor and factor not in (1, -1) and np.isclose(ratio, factor, rtol=1e-7):
            yield changed(f"{factor:.6g}, {words}", c=factor)


def _factors(e):
    scalars = [(2.0, "a factor of 2"), (0.5, "a factor of 2")]
    if e.y.ndim > 2:
        scalars.append((float(np.prod(e.y.shape[2:])), "the number of pixels of y"))
    for name, value in vars(e.obj).items() if hasattr(e.obj, "__dict__") and not isinstance(e.obj, type) else ():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            scalars += [(float(value), name), (1 - value, f"1 - {name}"), (value * value, f"{name}^2")]
        if isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
            scalars.append((float(np.prod(value)), f"the product of {name}"))
    if {"amplitude", "slope"} <= set(vars(e.obj) if hasattr(e.obj, "__dict__") else ()):
        scalars.append((e.obj.amplitude * e.obj.slope, "amplitude times slope"))
    for factor, words in scalars:
        yield factor, words
        yield (1 / factor if factor else 0), f"1 / {words}"
        yield -factor, f"minus {words}"


def factor(e):
    ratio = _ratio(e)
    if np.isfinite(ratio) and ratio not in (0, 1):
        yield changed(f"{ratio:.8g}", c=ratio)


def channel_factor(e):
    axis = 1 if e.name == next(iter(e.values)) else 0
    for name, value in e.values.items():
        if _known(e) and e.fits and value.ndim == 1 and e.true.ndim > axis and e.true.shape[axis] == value.size:
            along = value.reshape([-1 if a == axis else 1 for a in range(e.true.ndim)])
            yield Claim(f"times {name}", e.true * along)
            with np.errstate(all="ignore"):
                yield Claim(f"divided by {name}", e.true / along)


# its shape

def reshaped(e):
    if _known(e) and e.found.size == e.true.size:
        if not e.fits:
            yield Claim(f"expected {e.shape}, got {e.found.shape}", e.true.reshape(e.found.shape))
        for order in permutations(range(e.true.ndim)) if 1 < e.true.ndim < 5 else ():
            if e.found.shape != tuple(e.true.shape[axis] for axis in order) and order != tuple(range(e.true.ndim)):
                yield Claim(f"axes {order} of it, reshaped to {e.found.shape}; a transpose is needed before or instead of the reshape",
                            e.true.transpose(order).reshape(e.found.shape))
                inverse = np.argsort(order)
                yield Claim("reshape in the place of a transpose", e.true.reshape([e.true.shape[axis] for axis in order]).transpose(inverse))


def transposed(e):
    if _known(e):
        for order in permutations(range(e.true.ndim)) if 1 < e.true.ndim < 5 else ():
            if order != tuple(range(e.true.ndim)) and tuple(e.true.shape[axis] for axis in order) == e.found.shape:
                yield Claim(f"axes {order} of it", e.true.transpose(order))


def not_summed(e):
    if _known(e) and not e.fits:
        for axes in _subsets(range(e.found.ndim)):
            if e.found.sum(axis=axes).shape == e.true.shape and np.allclose(e.found.sum(axis=axes), e.true, rtol=1e-7, atol=1e-9 * np.abs(e.true).max()):
                yield Claim(_join([f"axis {axis}" for axis in axes]) + f" (got shape {e.found.shape}, expected {e.shape})", e.found)


def wrong_axes(e):
    names = _axis_names(e.dy)
    for axes in _subsets(range(e.dy.ndim)):
        for how, reduce in (("summed", np.sum), ("averaged", np.mean)):
            for keepdims in (False, True):
                reduced = reduce(e.dy, axis=axes, keepdims=keepdims)
                if reduced.size == e.found.size or not e.fits and reduced.shape == e.found.shape:
                    yield Claim(f"{how} over {_join([names[axis] for axis in axes])}", reduced.reshape(e.found.shape))
                elif e.fits and e.found.ndim == 1 and reduced.size == 1:
                    yield Claim(f"{how} over everything", np.full(e.shape, float(reduced.reshape(-1)[0])))


# dy

def dy_ignored(e):
    if getattr(e.subject, "takes_dy", True):
        yield changed("ones", dy=np.ones(e.dy.shape))
        yield changed("1 / N", dy=np.full(e.dy.shape, 1 / len(e.dy)) if e.dy.ndim else np.ones(()))
        yield changed("1 / its size", dy=np.full(e.dy.shape, 1 / e.dy.size))


def dy_flipped(e):
    names = _axis_names(e.dy)
    for axes in _subsets(range(e.dy.ndim)):
        yield changed(_join([names[axis] for axis in axes]), dy=np.flip(e.dy, axes))


def dy_transposed(e):
    names = _axis_names(e.dy)
    for a, b in combinations(range(e.dy.ndim), 2):
        if e.dy.shape[a] == e.dy.shape[b]:
            yield changed(f"{names[a]} and {names[b]}", dy=np.ascontiguousarray(e.dy.swapaxes(a, b)))
        else:
            yield changed(f"{names[a]} and {names[b]}, the shape kept by a reshape,", dy=e.dy.swapaxes(a, b).reshape(e.dy.shape))


def dy_averaged(e):
    names = _axis_names(e.dy)
    for axes in _subsets(range(e.dy.ndim)):
        mean = np.broadcast_to(e.dy.mean(axis=axes, keepdims=True), e.dy.shape)
        yield changed(_join([names[axis] for axis in axes]), dy=mean)
        yield changed(_join([names[axis] for axis in axes]) + " (the sum, rather)", dy=mean * np.prod([e.dy.shape[axis] for axis in axes]))


def dy_one(e):
    names = _axis_names(e.dy)
    for axes in _subsets(range(e.dy.ndim)):
        for place, word in ((-1, "last"), (0, "first")):
            kept, index = np.zeros(e.dy.shape), [slice(None)] * e.dy.ndim
            for axis in axes:
                index[axis] = place
            kept[tuple(index)] = e.dy[tuple(index)]
            yield changed(f"the {word} of its {_join([names[axis] for axis in axes])}", dy=kept)


def dy_shifted(e):
    for shift in product((-1, 0, 1), repeat=2) if e.dy.ndim == 4 else ():
        if any(shift):
            words = _join([word for step, word in zip(shift, ("row", "column")) if step])
            yield changed(words, dy=_moved(e.dy, shift))
            yield changed(f"{words}, around the edge,", dy=np.roll(e.dy, shift, (2, 3)))


def _moved(array, shift):
    """The maps moved by (rows, columns), zeros where nothing comes from."""
    result, (H, W), (i, j) = np.zeros_like(array), array.shape[2:], shift
    result[:, :, max(i, 0):H + min(i, 0), max(j, 0):W + min(j, 0)] = array[:, :, max(-i, 0):H + min(-i, 0), max(-j, 0):W + min(-j, 0)]
    return result


def dy_border(e):
    for detail, inner in _borders(e.dy) if e.dy.ndim == 4 else ():
        yield changed(detail, dy=np.where(inner, e.dy, 0))


def _borders(array):
    """(words, bool: what is not in it) for every choice of sides, one or two pixels wide."""
    H, W = array.shape[-2:]
    i, j = np.indices((H, W))
    for width in (1, 2, 3):
        sides = {"the first row": i < width, "the last row": i >= H - width, "the first column": j < width, "the last column": j >= W - width}
        for chosen in _subsets(sides):
            words = _join(chosen) if width == 1 else _join([f"{side}s ({width})" for side in chosen])
            yield words, np.broadcast_to(~np.any([sides[name] for name in chosen], axis=0), array.shape)


def dy_changed(e):
    candidates = {"the absolute value of dy": np.abs(e.dy), "the square of dy": e.dy ** 2, "the sign of dy": np.sign(e.dy), "y": e.y, "y dy": e.y * e.dy,
                  "the positive part of dy": np.maximum(e.dy, 0)}
    if e.x.shape == e.dy.shape:
        candidates |= {"x": e.x, "x dy": e.x * e.dy}
    for words, dy in candidates.items():
        yield changed(words, dy=dy)
    if _elementwise(e):
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
    if _elementwise(e) and _known(e):
        kinds = [np.unique(np.round(gradient / e.dy, 9)) for gradient in (e.true, e.found)]
        if len(kinds[0]) == 2 and kinds[0][0] == 0 and np.array_equal(*kinds):
            yield Claim(array=e.found)


# what it is computed from

def _others(e):
    """The parameters, inputs and fixed arrays that the gradient is computed from, by name; first the other ones."""
    arrays = {**e.values, **e.fixed}
    return sorted(arrays.items(), key=lambda item: item[0] == e.name)


def not_rotated(e):
    for name, value in _others(e):
        if value.ndim >= 3 and name != next(iter(e.values)):
            yield changed(name, values={name: value[..., ::-1, ::-1]})
    if _known(e) and e.fits and e.found.ndim >= 3 and e.name != next(iter(e.values)):
        yield Claim(f"the true d{e.name}", e.true[..., ::-1, ::-1])


def flipped(e):
    if _known(e) and e.fits:
        for axes in _subsets(range(e.true.ndim)):
            yield Claim(f"the true gradient, flipped along axis {_join(map(str, axes))}", np.flip(e.true, axes))
    for name, value in _others(e):
        for axes in _subsets(range(value.ndim)) if value.ndim <= 4 else ():
            yield changed(f"what it would be if {name} were flipped along axis {_join(map(str, axes))}", values={name: np.flip(value, axes)})


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
                yield changed(f"{words}, the shape kept by a reshape,", values={name: value.swapaxes(a, b).reshape(value.shape)})


def permuted(e):
    if not (_known(e) and e.fits):
        return
    for axis in range(e.true.ndim):
        true, found = np.moveaxis(e.true, axis, 0).reshape(e.shape[axis], -1), np.moveaxis(e.found, axis, 0).reshape(e.shape[axis], -1)
        distance = np.abs(found[:, None] - true[None]).max(axis=-1)
        order = distance.argmin(axis=1)
        if len(true) > 1 and len(true[0]) * len(true) > len(np.unique(order)) and sorted(order) == list(range(len(order))):
            place = int(np.argmax(order != np.arange(len(order))))
            yield Claim(f"along axis {axis}, place {place} holds what belongs to place {order[place]}", np.take(e.true, order, axis))


def parameter_permuted(e):
    for name, value in _others(e):
        for axis in range(value.ndim):
            for step in range(1, value.shape[axis]) if value.shape[axis] <= 64 else (1, -1):
                yield changed(f"{name} were rolled by {step} along axis {axis}", values={name: np.roll(value, step, axis)})
    groups = getattr(e.obj, "groups", 1)
    for name, value in _others(e) if isinstance(groups, int) and groups > 1 else ():
        if value.ndim == 4 and len(value) % groups == 0:
            split = value.reshape(groups, -1, *value.shape[1:])
            yield changed(f"the groups of {name} were in reverse order", values={name: split[::-1].reshape(value.shape)})
            yield changed(f"the filters of {name} were dealt out to the groups in turn",
                          values={name: value.reshape(-1, groups, *value.shape[1:]).swapaxes(0, 1).reshape(value.shape)})


def wrong_argument(e):
    x = next(iter(e.values))
    if e.y.shape == e.x.shape:
        yield changed("y, not x", values={x: e.y})
    yield changed("-x", values={x: -e.x})
    yield changed("0", values={x: np.zeros_like(e.x)})
    yield changed("|x|", values={x: np.abs(e.x)})
    for value, words in _factors(e):
        if value and value not in (1, -1):
            yield changed(f"x times {value:.6g}, {words},", values={x: e.x * value})
    if _elementwise(e) and _known(e):
        yield from _through_y(e)


def _through_y(e):
    """Activations whose derivative is a polynomial of y (1 - y^2, y (1 - y)): the same formula with x, or a multiple of y, in the place of y."""
    derivative = (e.true / e.dy).reshape(-1)
    if e.y.size > 3:
        formula = np.polynomial.Polynomial.fit(e.y.reshape(-1), derivative, 2)
        if np.allclose(formula(e.y.reshape(-1)), derivative, rtol=0, atol=1e-9):
            yield Claim("x, in a formula that expects y", e.dy * formula(e.x))
            for value, words in _factors(e):
                if value and value != 1:
                    yield Claim(f"y times {value:.6g}, {words},", e.dy * formula(e.y * value))
            constant = float(np.mean((e.found - e.true) / e.dy))
            yield Claim(f"the right place, and {constant:.6g} added: the constant of the derivative is wrong", e.true + constant * e.dy)


def derivative_misused(e):
    if _elementwise(e) and _known(e):
        with np.errstate(all="ignore"):
            derivative = e.true / e.dy
            candidates = {"times the derivative squared": e.dy * derivative ** 2, "divided by the derivative": e.dy / derivative,
                          "times y, not times the derivative": e.dy * e.y, "times x, not times the derivative": e.dy * e.x,
                          "plus the derivative": e.dy + derivative, "times 1 - derivative": e.dy * (1 - derivative),
                          "times 1 - y": e.dy * (1 - e.y), "times 1 - y^2": e.dy * (1 - e.y ** 2), "times y^2": e.dy * e.y ** 2,
                          "times the root of the derivative": e.dy * np.sqrt(np.abs(derivative)), "times 1 + y^2": e.dy * (1 + e.y ** 2)}
            coefficients = np.linalg.lstsq(np.stack([np.ones(e.y.size), e.y.reshape(-1), e.y.reshape(-1) ** 2], 1),
                                           (e.found / e.dy).reshape(-1), rcond=None)[0]
            words = " + ".join(f"{c:.5g}{power}" for c, power in zip(coefficients, ("", " y", " y^2")) if abs(c) > 1e-9)
            candidates[f"times ({words}), which is not the derivative"] = e.dy * (coefficients[0] + coefficients[1] * e.y + coefficients[2] * e.y ** 2)
        for words, array in candidates.items():
            yield Claim(words, array)


def constant_denominator(e):
    if _elementwise(e):
        with np.errstate(all="ignore"):
            yield Claim(array=e.dy * e.y / e.x)


def neighbours_left_out(e):
    if _elementwise(e) and _known(e):
        yield Claim(array=np.diagonal(e.columns).reshape(e.shape) * e.dy)


def label_term(e):
    if _known(e) and e.fits and e.labels is not None and e.true.ndim == 2 and np.shape(e.labels) == (len(e.true),):
        one_hot = np.zeros(e.shape)
        one_hot[np.arange(len(one_hot)), e.labels] = 1
        c = float(np.vdot(e.found - e.true, one_hot) / len(one_hot))
        yield Claim(f"{c:.6g}", e.true + c * one_hot)


# windows

def overwritten(e):
    if not _known(e) or e.y.ndim < 2:
        return
    J = e.columns.reshape(len(e.columns), e.y.shape[0], e.y.shape[1], -1)          # element, image, channel, pixel
    terms, names = J * e.dy.reshape(J.shape[1:]), {1: "image", 2: "channel", 3: "pixel"}
    for axes in _subsets((3, 2, 1)):
        others = tuple(axis for axis in (1, 2, 3) if axis not in axes)
        sums, there = terms.sum(axis=others).reshape(len(J), -1), (J != 0).any(axis=others).reshape(len(J), -1)
        for word, place in (("last", there.shape[1] - 1 - there[:, ::-1].argmax(axis=1)), ("first", there.argmax(axis=1))):
            yield Claim(f"{word} {_join([names[axis] for axis in axes])}'s", sums[np.arange(len(J)), place].reshape(e.shape))


def averaged_over_windows(e):
    if _known(e) and e.y.ndim == 4:
        pixels = (e.columns.reshape(len(e.columns), -1, int(np.prod(e.y.shape[2:]))) != 0).any(axis=1).sum(axis=1).reshape(e.shape)
        yield Claim(array=e.true / np.maximum(pixels, 1))


def whole_window(e):
    if getattr(e.obj, "operation", "") == "max_pool2d":
        area = float(np.prod(e.obj.size))
        yield changed("", c=area, options={"operation": "avg_pool2d"})
        yield changed(", divided by their number", options={"operation": "avg_pool2d"})
    if getattr(e.obj, "operation", "") == "avg_pool2d":
        yield changed(" that is largest", options={"operation": "max_pool2d"})


def border_lost(e):
    if _known(e) and e.true.ndim == 4:
        for detail, inner in _borders(e.true):
            yield Claim(detail, np.where(inner, e.true, 0))


def shifted(e):
    if _known(e) and e.fits and e.true.ndim == 4:
        for shift in product((-2, -1, 0, 1, 2), repeat=2):
            known = _moved(np.ones(e.shape), shift) > 0
            if any(shift) and known.mean() > 0.3:
                words = _join([f"{abs(step)} {name}{'s' * (abs(step) > 1)}" for step, name in zip(shift, ("row", "column")) if step])
                yield Claim(words, _moved(e.true, shift), known)


def option(e):
    """The same call of an object one of whose numbers is another one."""
    for name, value in vars(e.obj).items() if e.fits and hasattr(e.obj, "__dict__") and not isinstance(e.obj, type) else ():
        if name.startswith("_"):
            continue
        for other in _other_values(name, value, e.obj):
            yield changed(f"{name} = {other if not isinstance(other, float) else round(other, 6)}, and not {value}", options={name: other})


def _other_values(name, value, obj):
    if isinstance(value, (bool, np.bool_)):
        return [not value]
    if isinstance(value, int):
        return [value - 1, value + 1, value - 2, value + 2, 1, 0]
    if isinstance(value, float):
        size = getattr(obj, "size", 2)
        scale = float(np.prod(size)) if isinstance(size, (int, tuple)) else 2.0
        return [0.0, 1.0, value / 2, value * 2, value - 1, value + 1, value / scale, value * scale, 1 / value if value else 1.0, -value, 1 - value, 1e6]
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int) for v in value):
        near = [(value[0] + i, value[1] + j) for i, j in product((0, -1, 1, -2), repeat=2) if i or j]
        return [value[::-1], (1, 1), (0, 0), *near, *[other for other in vars(obj).values() if isinstance(other, tuple) and len(other) == 2]]
    return []


def left_out(e):
    if _known(e) and e.fits and np.any(e.found):
        yield Claim(array=np.where(e.found == 0, 0, e.true))
