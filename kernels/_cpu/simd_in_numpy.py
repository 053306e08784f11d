"""The micro-kernels of kernels/_cpu/simd.py as NumPy functions of the same contract, for stepping through
under NUMBA_DISABLE_JIT=1.
"""

import numpy as np

from .native import lanes


def transpose(x, x0, x_row, y, y0, y_row):
    L = lanes(x.dtype)
    i, j = np.arange(L)[:, None], np.arange(L)
    y[y0 + j * y_row + i] = x[x0 + i * x_row + j]


def multiply_add(
    M, P, R, T, weight, w0, w_r, w_t, w_m, x, x0, x_p, offset, o0, o_r, bias, b0, y, y0, y_m, y_p, add
):
    lane, m, p = np.arange(lanes(x.dtype)), np.arange(M), np.arange(P)[:, None]
    total, places = np.empty((M, P, len(lane)), x.dtype), y0 + m[:, None, None] * y_m + p * y_p + lane
    total[:] = y[places] if add else bias[b0 + m, None, None]
    for r in range(R):
        for t in range(T):
            total += (
                weight[w0 + r * w_r + t * w_t + m * w_m, None, None]
                * x[x0 + offset[o0 + r * o_r + t] + p * x_p + lane]
            )
    y[places] = total


def _row_in_numpy(turned):
    def row_tile(V, P, T, weight, w0, w_t, x, x0, offset, o0, y, y0):
        L = lanes(x.dtype)
        for t in range(T):
            for v in range(V):
                x_first, y_first = (
                    x0 + offset[o0 + t] + (0 if turned else v * L),
                    y0 + (v * L if turned else 0),
                )
                y[y_first : y_first + P * L] += weight[w0 + t * w_t + v] * x[x_first : x_first + P * L]

    return row_tile


add_row, add_row_turned = _row_in_numpy(False), _row_in_numpy(True)


def dot(A, B, blocks, R, T, dy, d0, d_block, d_r, d_a, x, x0, x_block, x_r, x_t, x_b, out, o0, o_a, add):
    lane = np.arange(lanes(x.dtype))
    n, r, t = np.arange(blocks)[:, None, None, None], np.arange(R)[:, None, None], np.arange(T)[:, None]
    for a in range(A):
        for b in range(B):
            place = o0 + a * o_a + b
            total = np.sum(
                dy[d0 + n * d_block + r * d_r + t * len(lane) + a * d_a + lane]
                * x[x0 + n * x_block + r * x_r + t * x_t + b * x_b + lane]
            )
            out[place] = out[place] + total if add else total
