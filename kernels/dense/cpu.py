"""dense in Numba: plain loops over features, then positions, with the L images of a block innermost."""
import numpy as np
from numba import njit

from .._native import Native
from . import output_shape


def forward(x, weight, bias):
    y = Native.empty(output_shape(x.shape, weight.shape), x.dtype)
    bias = np.zeros(len(weight), x.dtype) if bias is None else bias
    _forward(x.positions(), weight, bias, y.positions())
    return y


@njit(cache=True, nogil=True)
def _forward(x, weight, bias, y):
    (blocks, C, P, L), O = x.shape, len(weight)
    for b in range(blocks):
        for o in range(O):
            y[b, o] = bias[o]
            for c in range(C):
                w = weight[o, c]
                for p in range(P):
                    for l in range(L):
                        y[b, o, p, l] += w * x[b, c, p, l]


def backward_input(dy, weight):
    dx = Native.zeros((dy.shape[0], weight.shape[1], *dy.shape[2:]), dy.dtype)
    _backward_input(dy.positions(), weight, dx.positions())
    return dx


@njit(cache=True, nogil=True)
def _backward_input(dy, weight, dx):
    (blocks, O, P, L), C = dy.shape, weight.shape[1]
    for b in range(blocks):
        for o in range(O):
            for c in range(C):
                w = weight[o, c]
                for p in range(P):
                    for l in range(L):
                        dx[b, c, p, l] += w * dy[b, o, p, l]            # reverses: y[o] += w * x[c]


def backward_weight(dy, x):
    dweight = np.empty((dy.shape[1], x.shape[1]), dy.dtype)
    _backward_weight(dy.positions(), x.positions(), dweight)
    return dweight


@njit(cache=True, nogil=True)
def _backward_weight(dy, x, dweight):
    (blocks, C, P, L), O = x.shape, dy.shape[1]
    lane_sums = np.empty(L, x.dtype)                                    # one sum a lane, added up at the end
    for o in range(O):
        for c in range(C):
            lane_sums[:] = 0
            for b in range(blocks):
                for p in range(P):
                    for l in range(L):
                        lane_sums[l] += dy[b, o, p, l] * x[b, c, p, l]  # reverses: y[o] += w * x[c]
            dweight[o, c] = lane_sums.sum()


def backward_bias(dy):
    return dy.positions().sum(axis=(0, 2, 3))                           # reverses: y[o] = bias[o]
