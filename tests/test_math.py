"""tanh, exp, log and sigmoid of kernels/_cpu/math.py: how far they are off, in ulp, and what they make of
special numbers.
"""

import numpy as np
import pytest

from tinyconv.kernels._cpu import math as vector_math
from tinyconv.kernels._cpu.kernel import kernel
from tinyconv.kernels._cpu.vector import load_run, store_run, width


@kernel
def tanh(x, y):
    for e in range(0, len(x), width(x)):
        store_run(y, e, vector_math.tanh(load_run(x, e)))


@kernel
def exp(x, y):
    for e in range(0, len(x), width(x)):
        store_run(y, e, vector_math.exp(load_run(x, e)))


@kernel
def log(x, y):
    for e in range(0, len(x), width(x)):
        store_run(y, e, vector_math.log(load_run(x, e)))


@kernel
def sigmoid(x, y):
    for e in range(0, len(x), width(x)):
        store_run(y, e, vector_math.sigmoid(load_run(x, e)))


def of(function, x):
    y = np.full_like(x, 7)
    function(x, y)
    return y


# name: the kernel, the same in NumPy, the largest error in ulp in float32 and float64: the table of
# kernels/_cpu/math.py
FUNCTIONS = {
    "tanh": (tanh, np.tanh, {"float32": 6.9, "float64": 3.0}),
    "exp": (exp, np.exp, {"float32": 1.0, "float64": 0.9}),
    "log": (log, np.log, {"float32": 2.8, "float64": 2.9}),
    "sigmoid": (sigmoid, lambda x: 1 / (1 + np.exp(-x)), {"float32": 2.6, "float64": 2.2}),
}
ALL = pytest.mark.parametrize("name", FUNCTIONS)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def floats(dtype, rng):
    """Numbers all over the line: an even share of all bit patterns, and more where the functions bend."""
    integer, infinity = (np.int32, 0x7F800000) if dtype == np.float32 else (np.int64, 0x7FF << 52)
    positive = np.linspace(0, infinity - 1, 200_001).astype(integer).view(dtype)
    near = np.concatenate(
        [rng.uniform(0, 100, 200_000), rng.uniform(0, 1, 100_000), rng.uniform(0.5, 2, 100_000)]
    ).astype(dtype)
    return np.concatenate([positive, -positive, near, -near])


def ulps(y, exact):
    """|y - exact| in distances of neighbouring floats at `exact`, which is of a wider type."""
    below = np.abs(exact).astype(y.dtype)
    below = np.where(below > np.abs(exact), np.nextafter(below, 0), below)
    return np.abs(y - exact) / (np.nextafter(below, np.array(np.inf, y.dtype)).astype(exact.dtype) - below)


@ALL
@DTYPES
def test_ulps(name, dtype, rng):
    function, exact, bound = FUNCTIONS[name]
    wide = np.float64 if dtype == np.float32 else np.longdouble
    if np.finfo(wide).nmant < np.finfo(dtype).nmant + 10:
        pytest.skip("this machine has no type wider than float64 to compare with")
    x = floats(dtype, rng)
    x = x[x > 0] if name == "log" else x
    with np.errstate(over="ignore", under="ignore"):
        expected = exact(x.astype(wide))
    y, limits = of(function, x), np.finfo(dtype)
    normal = (expected == 0) | (np.abs(expected) <= limits.max)
    if name == "sigmoid":  # below, e^-x is beyond the largest number
        normal &= expected >= limits.smallest_normal
    assert np.isfinite(y[normal]).all()
    assert ulps(y[normal], expected[normal]).max() <= bound[np.dtype(dtype).name]


@ALL
@DTYPES
def test_special_numbers(name, dtype):
    tiny, huge, inf = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max, np.inf
    x = np.array([np.nan, -0.0, 0.0, tiny, -tiny, huge, -huge, inf, -inf], dtype)
    expected = {
        "tanh": [np.nan, -0.0, 0, tiny, -tiny, 1, -1, 1, -1],
        "exp": [np.nan, 1, 1, 1, 1, inf, 0, inf, 0],
        "log": [np.nan, -inf, -inf, np.log(tiny), np.nan, np.log(huge), np.nan, inf, np.nan],
        "sigmoid": [np.nan, 0.5, 0.5, 0.5, 0.5, 1, 0, 1, 0],
    }[name]
    y = of(FUNCTIONS[name][0], x)
    np.testing.assert_allclose(y, np.array(expected, dtype), rtol=4 * np.finfo(dtype).eps, atol=0)
    if name == "tanh":
        np.testing.assert_array_equal(np.signbit(y[1:]), np.signbit(x[1:]))


@DTYPES
def test_tanh_ends_at_one_and_is_odd(dtype, rng):
    x = floats(dtype, rng)
    y = of(tanh, x)
    assert np.abs(y).max() <= 1 and np.abs(y[np.abs(x) > 20]).min() >= 1 - np.finfo(dtype).eps / 2
    np.testing.assert_array_equal(of(tanh, -x), -y) if dtype == np.float32 else np.testing.assert_allclose(
        of(tanh, -x), -y, rtol=1e-15
    )


@ALL
@DTYPES
def test_no_lane_differs_from_another(name, dtype, rng):
    """The same number gives the same bits wherever it stands, also in the last register, which is
    not full.
    """
    x = np.abs(rng.standard_normal(37).astype(dtype))
    whole = of(FUNCTIONS[name][0], x)
    for first in range(37):
        np.testing.assert_array_equal(of(FUNCTIONS[name][0], x[first:].copy()), whole[first:])
