"""max_pool2d in Numba: plain loops, the L images of a block innermost.

The L images of a block have their maxima at different places, so backward_input finds the winner of each lane again, in the
order of forward, and adds to that lane alone.
"""
import numpy as np
from numba import njit

from .._native import Native
from . import output_shape


def forward(x, size, stride, padding):
    y = Native.empty(output_shape(x.shape, size, stride, padding), x.dtype)
    _forward(x.data, size, stride, padding, y.data)
    return y


@njit(cache=True, nogil=True)
def _forward(x, size, stride, padding, y):
    (blocks, C, OH, OW, L), H, W = y.shape, x.shape[2], x.shape[3]
    for b, c, i, j in np.ndindex(blocks, C, OH, OW):
        y[b, c, i, j] = -np.inf
        for h in range(max(0, i * stride[0] - padding[0]), min(H, i * stride[0] - padding[0] + size[0])):
            for w in range(max(0, j * stride[1] - padding[1]), min(W, j * stride[1] - padding[1] + size[1])):
                for l in range(L):
                    value = x[b, c, h, w, l]
                    if value > y[b, c, i, j, l] or np.isnan(value):
                        y[b, c, i, j, l] = value


def backward_input(dy, x, size, stride, padding):
    dx = Native.zeros(x.shape, dy.dtype)
    _backward_input(dy.data, x.data, size, stride, padding, dx.data)
    return dx


@njit(cache=True, nogil=True)
def _backward_input(dy, x, size, stride, padding, dx):
    (blocks, C, OH, OW, L), H, W = dy.shape, x.shape[2], x.shape[3]
    best = np.empty(L, x.dtype)
    row, column = np.empty(L, np.int64), np.empty(L, np.int64)
    for b, c, i, j in np.ndindex(blocks, C, OH, OW):
        first_row, first_column = max(0, i * stride[0] - padding[0]), max(0, j * stride[1] - padding[1])
        best[:], row[:], column[:] = -np.inf, first_row, first_column
        for h in range(first_row, min(H, i * stride[0] - padding[0] + size[0])):
            for w in range(first_column, min(W, j * stride[1] - padding[1] + size[1])):
                for l in range(L):
                    value = x[b, c, h, w, l]
                    if value > best[l] or (np.isnan(value) and not np.isnan(best[l])):
                        best[l], row[l], column[l] = value, h, w
        for l in range(L):
            dx[b, c, row[l], column[l], l] += dy[b, c, i, j, l]        # reverses: y = x[row, column]
