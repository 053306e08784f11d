"""subsample2d in Numba: plain loops, the L images of a block innermost."""
import numpy as np
from numba import njit

from .._native import Native
from ..conv2d import cpu as conv2d
from . import output_shape


def forward(x, coefficient, bias, size):
    y = Native.zeros(output_shape(x.shape, len(bias), size), x.dtype)
    _forward(x.data, coefficient, bias, size, y.data)
    return y


@njit(cache=True, nogil=True)
def _forward(x, coefficient, bias, size, y):
    blocks, C, OH, OW, L = y.shape
    for b, c, i, j in np.ndindex(blocks, C, OH, OW):
        for u in range(size[0]):
            for v in range(size[1]):
                for l in range(L):
                    y[b, c, i, j, l] += x[b, c, i * size[0] + u, j * size[1] + v, l]
        for l in range(L):
            y[b, c, i, j, l] = coefficient[c] * y[b, c, i, j, l] + bias[c]


def backward_input(dy, coefficient, x_shape, size):
    dx = Native.zeros(x_shape, dy.dtype)
    _backward_input(dy.data, coefficient, size, dx.data)
    return dx


@njit(cache=True, nogil=True)
def _backward_input(dy, coefficient, size, dx):
    blocks, C, OH, OW, L = dy.shape
    for b, c, i, j in np.ndindex(blocks, C, OH, OW):
        for u in range(size[0]):
            for v in range(size[1]):
                for l in range(L):
                    # reverses: y += x[i SH + u, j SW + v], then y = coefficient * y
                    dx[b, c, i * size[0] + u, j * size[1] + v, l] = coefficient[c] * dy[b, c, i, j, l]


def backward_coefficient(dy, x, size):
    dcoefficient = np.empty(x.shape[1], dy.dtype)
    _backward_coefficient(dy.data, x.data, size, dcoefficient)
    return dcoefficient


@njit(cache=True, nogil=True)
def _backward_coefficient(dy, x, size, dcoefficient):
    blocks, C, OH, OW, L = dy.shape
    lane_sums = np.empty(L, dy.dtype)
    for c in range(C):
        lane_sums[:] = 0
        for b, i, j in np.ndindex(blocks, OH, OW):
            for u in range(size[0]):
                for v in range(size[1]):
                    for l in range(L):
                        # reverses: y = coefficient * (sum of x over the window)
                        lane_sums[l] += dy[b, c, i, j, l] * x[b, c, i * size[0] + u, j * size[1] + v, l]
        dcoefficient[c] = lane_sums.sum()


def backward_bias(dy):
    return conv2d.backward_bias(dy)                          # reverses: y = ... + bias[c], as there
