"""local_response_norm in Numba: at each pixel a loop over its neighbouring maps, the L images of a block innermost."""
import numpy as np
from numba import njit

from .._native import Native
from . import output_shape


def forward(x, size, k, alpha, beta):
    y, d = Native.empty(output_shape(x.shape, size), x.dtype), x.like()
    _denominator(x.data, size, *_scalars(x, k, alpha), d.data)
    y.data[...] = x.data * d.data ** x.dtype.type(-beta)
    return y


def backward_input(dy, x, size, k, alpha, beta):
    dx, d = dy.like(), x.like()
    _denominator(x.data, size, *_scalars(x, k, alpha), d.data)
    _backward_input(dy.data, x.data, d.data, size, *_scalars(x, alpha, beta), dx.data)
    return dx


@njit(cache=True, nogil=True)
def _denominator(x, size, k, alpha, d):
    blocks, C, H, W, L = x.shape
    for b, c, i, j in np.ndindex(blocks, C, H, W):
        d[b, c, i, j] = k
        for near in range(max(0, c - size // 2), min(C, c + size // 2 + 1)):
            for l in range(L):
                d[b, c, i, j, l] += alpha * x[b, near, i, j, l] * x[b, near, i, j, l]


@njit(cache=True, nogil=True)
def _backward_input(dy, x, d, size, alpha, beta, dx):
    blocks, C, H, W, L = x.shape
    for b, c, i, j in np.ndindex(blocks, C, H, W):
        for l in range(L):
            total = dy[b, c, i, j, l] * 0
            for near in range(max(0, c - size // 2), min(C, c + size // 2 + 1)):
                # reverses: d[c] += alpha * x[near]^2, where y[near] = x[near] * d[near]^-beta
                total += dy[b, near, i, j, l] * x[b, near, i, j, l] * d[b, near, i, j, l] ** (-beta - 1)
            # reverses: y = x * d^-beta
            dx[b, c, i, j, l] = dy[b, c, i, j, l] * d[b, c, i, j, l] ** -beta - 2 * alpha * beta * x[b, c, i, j, l] * total


def _scalars(x, *values):
    """Options in the dtype of x."""
    return tuple(x.dtype.type(value) for value in values)
