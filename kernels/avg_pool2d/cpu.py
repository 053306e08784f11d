"""avg_pool2d in Numba: plain loops, the L images of a block innermost. Padding adds nothing, so windows are cut off at the edge."""
import numpy as np
from numba import njit

from .._native import Native
from . import output_shape


def forward(x, size, stride, padding):
    y = Native.zeros(output_shape(x.shape, size, stride, padding), x.dtype)
    _forward(x.data, size, stride, padding, x.dtype.type(1 / (size[0] * size[1])), y.data)
    return y


@njit(cache=True, nogil=True)
def _forward(x, size, stride, padding, share, y):
    (blocks, C, OH, OW, L), H, W = y.shape, x.shape[2], x.shape[3]
    for b, c, i, j in np.ndindex(blocks, C, OH, OW):
        for h in range(max(0, i * stride[0] - padding[0]), min(H, i * stride[0] - padding[0] + size[0])):
            for w in range(max(0, j * stride[1] - padding[1]), min(W, j * stride[1] - padding[1] + size[1])):
                for l in range(L):
                    y[b, c, i, j, l] += share * x[b, c, h, w, l]


def backward_input(dy, x_shape, size, stride, padding):
    dx = Native.zeros(x_shape, dy.dtype)
    _backward_input(dy.data, size, stride, padding, dy.dtype.type(1 / (size[0] * size[1])), dx.data)
    return dx


@njit(cache=True, nogil=True)
def _backward_input(dy, size, stride, padding, share, dx):
    (blocks, C, OH, OW, L), H, W = dy.shape, dx.shape[2], dx.shape[3]
    for b, c, i, j in np.ndindex(blocks, C, OH, OW):
        for h in range(max(0, i * stride[0] - padding[0]), min(H, i * stride[0] - padding[0] + size[0])):
            for w in range(max(0, j * stride[1] - padding[1]), min(W, j * stride[1] - padding[1] + size[1])):
                for l in range(L):
                    dx[b, c, h, w, l] += share * dy[b, c, i, j, l]     # reverses: y[i, j] += share * x[h, w]
