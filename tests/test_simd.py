"""The micro-kernels compute the sums that their docstrings give, for every tile that exists, in both
precisions.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from tinyconv.kernels._cpu import simd
from tinyconv.kernels._cpu.native import lanes

DTYPES = [np.float32, np.float64]
# argument for argument what the tests call the micro-kernels with; an intrinsic can be called from compiled
# code alone
multiply_add = njit(lambda *a: simd.multiply_add(*a))
dot = njit(lambda *a: simd.dot(*a))
add_row = njit(lambda *a: simd.add_row(*a))
add_row_turned = njit(lambda *a: simd.add_row_turned(*a))
transpose = njit(lambda *a: simd.transpose(*a))


def numbers(rng, dtype, size):
    return rng.integers(-8, 9, size).astype(
        dtype
    )  # sums of products of small integers are exact in both precisions


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("M, P", simd._shapes(simd.TILES))
def test_multiply_add(M, P, dtype):
    rng, L = np.random.default_rng(M * P), lanes(dtype)
    R, T, w_r, w_t, w_m, o_r, x_p = 2, 3, 40, 10, 1, 5, L + 1
    weight, x, bias, offset = (
        numbers(rng, dtype, 200),
        numbers(rng, dtype, 400 + 12 * x_p),
        numbers(rng, dtype, 20),
        rng.integers(0, 300, 20, np.int32),
    )
    y = np.full(3 + M * P * L + 7, np.nan, dtype)
    multiply_add(
        M, P, R, T, weight, 2, w_r, w_t, w_m, x, 4, x_p, offset, 1, o_r, bias, 3, y, 3, P * L, L, False
    )
    expected = np.empty((M, P, L), dtype)
    for m, p, lane in np.ndindex(M, P, L):
        expected[m, p, lane] = bias[3 + m] + sum(
            weight[2 + r * w_r + t * w_t + m * w_m] * x[4 + offset[1 + r * o_r + t] + p * x_p + lane]
            for r in range(R)
            for t in range(T)
        )
    np.testing.assert_array_equal(y[3:-7].reshape(M, P, L), expected)
    multiply_add(
        M, P, R, T, weight, 2, w_r, w_t, w_m, x, 4, x_p, offset, 1, o_r, bias, 3, y, 3, P * L, L, True
    )
    np.testing.assert_array_equal(y[3:-7].reshape(M, P, L), 2 * expected - bias[3 : 3 + M, None, None])
    assert np.isnan(y[:3]).all() and np.isnan(y[-7:]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("A, B", simd._shapes(simd.DOTS))
def test_dot(A, B, dtype):
    rng, L = np.random.default_rng(A * B), lanes(dtype)
    blocks, R, T = 2, 2, 3
    d_block, d_r, d_a, x_block, x_r, x_t, x_b = 900, 400, 80, 800, 300, L + 3, 5
    dy, x, out = numbers(rng, dtype, 2500), numbers(rng, dtype, 2500), np.full(1 + A * B, np.nan, dtype)
    dot(A, B, blocks, R, T, dy, 2, d_block, d_r, d_a, x, 3, x_block, x_r, x_t, x_b, out, 1, B, False)
    twice = out.copy()
    dot(A, B, blocks, R, T, dy, 2, d_block, d_r, d_a, x, 3, x_block, x_r, x_t, x_b, twice, 1, B, True)
    np.testing.assert_array_equal(twice, 2 * out)
    for a, b in np.ndindex(A, B):
        terms = [
            dy[2 + n * d_block + r * d_r + t * L + a * d_a + lane]
            * x[3 + n * x_block + r * x_r + t * x_t + b * x_b + lane]
            for n in range(blocks)
            for r in range(R)
            for t in range(T)
            for lane in range(L)
        ]
        assert out[1 + a * B + b] == sum(terms)
    assert np.isnan(out[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("V, P", simd._shapes(simd.ROWS))
def test_add_row(V, P, turned, dtype):
    rng, L = np.random.default_rng(V * P), lanes(dtype)
    T, w_t = 3, 10
    weight, x, offset = (
        numbers(rng, dtype, 200),
        numbers(rng, dtype, 300 + 20 * L),
        rng.integers(0, 250, 20, np.int32),
    )
    y = numbers(rng, dtype, (P + V + 1) * L)
    expected = y.copy()
    for t, v, p, lane in np.ndindex(T, V, P, L):
        source, target = (p, p + v) if turned else (p + v, p)
        expected[L + target * L + lane] += weight[2 + t * w_t + v] * x[4 + offset[1 + t] + source * L + lane]
    (add_row_turned if turned else add_row)(V, P, T, weight, 2, w_t, x, 4, offset, 1, y, L)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose(dtype):
    L = lanes(dtype)
    x, y = np.arange(L * (L + 2), dtype=dtype), np.zeros(L * (L + 3) + 5, dtype)
    transpose(x, 1, L + 1, y, 5, L + 3)
    rows = x[1 : 1 + L * (L + 1)].reshape(L, L + 1)[:, :L]
    np.testing.assert_array_equal(y[5:].reshape(L, L + 3)[:, :L], rows.T)


def test_without_jit_all_of_this_holds_too():
    """NUMBA_DISABLE_JIT=1 swaps NumPy functions in: the same tests, in a process of their own."""
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        pytest.skip("this is that process")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", __file__, "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert result.returncode == 0, result.stdout[-2000:]
