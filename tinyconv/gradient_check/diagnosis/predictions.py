"""Predictions of mistakes that spoil the gradient itself: functions of the Evidence that return claims."""

from itertools import permutations, product

import numpy as np

from .claims import Claim, axis_names, borders, changed, factors, is_known, join, moved, subsets

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
    direction = e.found / (
        np.sqrt(np.sum(e.found**2)) or 1
    )  # along the found gradient itself: exact where one is a multiple of the other
    true, found = e.along(direction), float(np.sum(e.found * direction))
    return found / true if true else np.nan


def batch_factor(e):
    N, ratio = len(e.x) if e.x.ndim else 1, _ratio(e)
    for factor, words in (
        (
            N,
            f"{N} times the true gradient, {N} the number of images: summed over the batch where the mean "
            "belongs",
        ),
        (
            1 / N,
            f"the true gradient divided by {N}, the number of images: averaged over the batch where the "
            "sum belongs, or divided twice",
        ),
        (
            N * N,
            f"{N}^2 times the true gradient, {N} the number of images: multiplied where it should be divided",
        ),
    ):
        if N > 1 and np.isclose(ratio, factor, rtol=1e-7):
            yield changed(words, c=factor)


def known_factor(e):
    ratio = _ratio(e)
    for factor, words in factors(e):
        if factor and factor not in (1, -1) and np.isclose(ratio, factor, rtol=1e-7):
            yield changed(f"{factor:.6g}, {words}", c=factor)


def factor(e):
    ratio = _ratio(e)
    if np.isfinite(ratio) and ratio not in (0, 1):
        yield changed(f"{ratio:.8g}", c=ratio)


def channel_factor(e):
    axis = 1 if e.name == next(iter(e.values)) else 0
    for name, value in e.values.items():
        if (
            is_known(e)
            and e.fits
            and value.ndim == 1
            and e.true.ndim > axis
            and e.true.shape[axis] == value.size
        ):
            along = value.reshape([-1 if a == axis else 1 for a in range(e.true.ndim)])
            yield Claim(f"times {name}", e.true * along)
            with np.errstate(all="ignore"):
                yield Claim(f"divided by {name}", e.true / along)


def clipped(e):
    if is_known(e) and e.fits:
        low, high = float(e.found.min()), float(e.found.max())
        if np.any((e.found > low) & (e.found < high)):
            yield Claim(f"[{low:.6g}, {high:.6g}]", np.clip(e.true, low, high))


def parameter_added(e):
    if is_known(e) and e.fits and e.name != next(iter(e.values)):
        value = e.values[e.name]
        c = float(np.vdot(e.found - e.true, value) / (np.vdot(value, value) or 1))
        yield Claim(f"{c:.6g} times {e.name} itself", e.true + c * value)


def rounded(e):
    if (
        is_known(e)
        and e.fits
        and np.array_equal(e.found, e.found.astype(np.float32))
        and np.allclose(e.found, e.true, rtol=1e-4, atol=1e-6)
    ):
        yield Claim(array=e.found)


# its shape


def reshaped(e):
    if is_known(e) and e.found.size == e.true.size:
        if not e.fits:
            yield Claim(f"expected {e.shape}, got {e.found.shape}", e.true.reshape(e.found.shape))
        for order in permutations(range(e.true.ndim)) if 1 < e.true.ndim < 5 else ():
            if e.found.shape != tuple(e.true.shape[axis] for axis in order) and order != tuple(
                range(e.true.ndim)
            ):
                yield Claim(
                    f"axes {order} of it, reshaped to {e.found.shape}; a transpose is needed before or "
                    "instead of the reshape",
                    e.true.transpose(order).reshape(e.found.shape),
                )
                inverse = np.argsort(order)
                yield Claim(
                    "reshape in the place of a transpose",
                    e.true.reshape([e.true.shape[axis] for axis in order]).transpose(inverse),
                )


def transposed(e):
    if is_known(e):
        for order in permutations(range(e.true.ndim)) if 1 < e.true.ndim < 5 else ():
            if (
                order != tuple(range(e.true.ndim))
                and tuple(e.true.shape[axis] for axis in order) == e.found.shape
            ):
                yield Claim(f"axes {order} of it", e.true.transpose(order))


def not_summed(e):
    if is_known(e) and not e.fits:
        for axes in subsets(range(e.found.ndim)):
            if e.found.sum(axis=axes).shape == e.true.shape and np.allclose(
                e.found.sum(axis=axes), e.true, rtol=1e-7, atol=1e-9 * np.abs(e.true).max()
            ):
                yield Claim(
                    join([f"axis {axis}" for axis in axes])
                    + f" (got shape {e.found.shape}, expected {e.shape})",
                    e.found,
                )


def wrong_axes(e):
    names = axis_names(e.dy)
    for axes in subsets(range(e.dy.ndim)):
        for how, reduce in (("summed", np.sum), ("averaged", np.mean)):
            for keepdims in (False, True):
                reduced = reduce(e.dy, axis=axes, keepdims=keepdims)
                if reduced.size == e.found.size or not e.fits and reduced.shape == e.found.shape:
                    yield Claim(
                        f"{how} over {join([names[axis] for axis in axes])}", reduced.reshape(e.found.shape)
                    )
                elif e.fits and e.found.ndim == 1 and reduced.size == 1:
                    yield Claim(f"{how} over everything", np.full(e.shape, float(reduced.reshape(-1)[0])))


# windows


def overwritten(e):
    if not is_known(e) or e.y.ndim < 2:
        return
    J = e.columns.reshape(len(e.columns), e.y.shape[0], e.y.shape[1], -1)  # element, image, channel, pixel
    terms, names = J * e.dy.reshape(J.shape[1:]), {1: "image", 2: "channel", 3: "pixel"}
    for axes in subsets((3, 2, 1)):
        others = tuple(axis for axis in (1, 2, 3) if axis not in axes)
        sums, there = (
            terms.sum(axis=others).reshape(len(J), -1),
            (J != 0).any(axis=others).reshape(len(J), -1),
        )
        for word, place in (
            ("last", there.shape[1] - 1 - there[:, ::-1].argmax(axis=1)),
            ("first", there.argmax(axis=1)),
        ):
            yield Claim(
                f"{word} {join([names[axis] for axis in axes])}'s",
                sums[np.arange(len(J)), place].reshape(e.shape),
            )


def averaged_over_windows(e):
    if is_known(e) and e.y.ndim == 4:
        pixels = (
            (e.columns.reshape(len(e.columns), -1, int(np.prod(e.y.shape[2:]))) != 0)
            .any(axis=1)
            .sum(axis=1)
            .reshape(e.shape)
        )
        yield Claim(array=e.true / np.maximum(pixels, 1))


def whole_window(e):
    if getattr(e.obj, "operation", "") == "max_pool2d":
        area = float(np.prod(e.obj.size))
        yield changed("", c=area, options={"operation": "avg_pool2d"})
        yield changed(", divided by their number", options={"operation": "avg_pool2d"})
    if getattr(e.obj, "operation", "") == "avg_pool2d":
        yield changed(" that is largest", options={"operation": "max_pool2d"})


def border_lost(e):
    if is_known(e) and e.true.ndim == 4:
        for detail, inner in borders(e.true):
            yield Claim(detail, np.where(inner, e.true, 0))


def shifted(e):
    if is_known(e) and e.fits and e.true.ndim == 4:
        for shift in product((-2, -1, 0, 1, 2), repeat=2):
            known = moved(np.ones(e.shape), shift) > 0
            if any(shift) and known.mean() > 0.3:
                words = join(
                    [
                        f"{abs(step)} {name}{'s' * (abs(step) > 1)}"
                        for step, name in zip(shift, ("row", "column"))
                        if step
                    ]
                )
                yield Claim(words, moved(e.true, shift), known)


def left_out(e):
    if is_known(e) and e.fits and np.any(e.found):
        yield Claim(array=np.where(e.found == 0, 0, e.true))
