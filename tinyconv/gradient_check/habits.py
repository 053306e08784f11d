"""What makes a comparison worthless though it agrees, and comparisons that need no slope."""

import copy

import numpy as np

from .report import Refusal, Row

OF_THE_POINT = ("zero", "too many kinks", "no digits")  # refusals that another x may lift
UNITS = 8  # of sqrt(K) eps: terms may be larger than their sum, and dy is rounded too


def refusals(subject, dy, found):
    """Bad habits of the passes: a list of Refusal.

    An argument or parameter that changes hands a wrong value to the next layer, or the oracle; a result that
    differs between two calls has no slope.
    """
    again, x, dy_after, owner = subject.run(dy)
    first = next(iter(subject.values))
    result = list(subject.refusals)
    if not np.array_equal(x, subject.values[first].astype(x.dtype)):
        result.append(
            Refusal(
                f"d{first}",
                "input changed",
                f"forward or backward changes its input {first}; write into an array of its own: "
                f"{first}.copy()",
            )
        )
    if not np.array_equal(dy_after, dy.astype(dy_after.dtype)):
        result.append(
            Refusal(
                "dy",
                "dy changed",
                "backward changes the dy that it is given; write into an array of its own: dy.copy()",
            )
        )
    for name, value in subject.params_of(owner).items():
        if name != first and not np.array_equal(value, subject.values[name].astype(value.dtype)):
            result.append(
                Refusal(
                    f"d{name}",
                    "parameter changed",
                    f"forward or backward changes {name}; only the optimizer may do that",
                )
            )
    if not _same(subject.forward(), subject.y):
        result.append(
            Refusal(
                "y",
                "not deterministic",
                "forward gives another y for the same x; draw random numbers from a numpy Generator that the "
                "object keeps, so that they can be repeated",
            )
        )
    for name, gradient in found.items():
        if gradient is not None and not _same(gradient, again[name]):
            result.append(
                Refusal(f"d{name}", "not deterministic", "two backward passes for the same x and dy differ")
            )
    return result or _not_linear(subject, dy, found)


def _not_linear(subject, dy, found):
    """Whatever forward is, backward is linear in dy: twice the dy makes twice the gradient. One that does not
    is clipped, or does not look at dy.
    """
    if not getattr(subject, "takes_dy", True):
        return []
    larger, result = subject.backward(1024 * dy), []  # a power of 2, which costs no rounding
    for name, gradient in found.items():
        if (
            gradient is None
            or np.shape(larger[name]) != np.shape(gradient)
            or not np.all(np.isfinite(gradient))
        ):
            continue
        if np.any(gradient) and np.array_equal(gradient, larger[name]):
            result.append(
                Refusal(
                    f"d{name}",
                    "dy ignored",
                    f"the gradient of {name} is the same for every dy: backward does not use dy",
                )
            )
        elif not np.allclose(
            larger[name], 1024 * np.asarray(gradient), rtol=1e-6, atol=1e-9 * np.abs(gradient).max(initial=0)
        ):
            result.append(
                Refusal(
                    f"d{name}",
                    "not linear in dy",
                    f"1024 times the dy does not make 1024 times the gradient of {name}: it is clipped, or "
                    "something is added to it",
                )
            )
    return result


def _same(a, b):
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)


def against_reference(subject, seed):
    """Rows for y and all gradients of float32, or of another device, against the reference in float64: its
    terms summed in another order, no more.

    The rounding errors of a sum of K terms grow like sqrt(K) eps; K is not known here, and no sum has more
    terms than the largest array has elements.
    """
    eps, dy = np.finfo(subject.dtype).eps, np.random.default_rng(seed).standard_normal(subject.y.shape)
    x, rounded = subject.values["x"], dy.astype(subject.dtype).astype(np.float64)
    tested, exact = subject.tested, subject.complex
    subject.tested, dtype, subject.dtype = exact, subject.dtype, np.dtype(np.float64)
    expected = {"y": subject.forward({"x": x.astype(dtype).astype(np.float64)}), **subject.backward(rounded)}
    subject.tested, subject.dtype = tested, dtype
    found = {"y": subject._call(copy.deepcopy(tested), x.astype(dtype)), **subject.backward(rounded)}
    K = max(value.size for value in expected.values())
    rows = []
    for name, value in expected.items():
        size = np.maximum(np.abs(value), np.sqrt(np.mean(value**2)))
        # a result far below the numbers that it is the difference of has their rounding: log(1 + e^-x) where
        # e^-x is small
        allowed = UNITS * eps * (np.sqrt(K) * size + np.sqrt(np.mean((x if name == "y" else rounded) ** 2)))
        errors = np.abs(found[name] - value)
        worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors / allowed)))
        error, limit, scale = (
            float(array.reshape(-1)[worst]) for array in (errors, allowed, np.where(size == 0, 1, size))
        )
        index = tuple(int(i) for i in np.unravel_index(worst, value.shape))
        rows.append(
            Row(
                name if name == "y" else f"d{name}",
                "reference",
                value.size,
                value.size,
                error / scale,
                index,
                float(np.asarray(found[name]).reshape(-1)[worst]),
                float(value.reshape(-1)[worst]),
                limit / scale,
                x_shape=x.shape,
            )
        )
    return tuple(rows)
