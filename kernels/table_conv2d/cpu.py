"""table_conv2d in Numba: conv2d's tiles, where every output map has a list of its own of the input maps that
it sees.

Maps that see different maps cannot share a load of x, so a tile is one map times ten pixels
(kernels/_cpu/simd.py): a scalar of weight and ten vectors of x for ten multiply-adds. Only connections that
exist are computed.
"""

import numpy as np

from .._cpu import convolution
from .._cpu.native import Native
from ..conv2d import cpu as conv2d
from . import output_shape

STRIDE, PADDING = (1, 1), (0, 0)


def forward(x, weight, bias, connections):
    y = Native.empty(
        output_shape(x.shape, weight.shape[1:], (len(bias), x.shape[1])), x.dtype, x.data.shape[-1]
    )
    wiring = _wiring(connections, len(bias), x.shape[1])
    convolution.forward(x, weight, bias, wiring, weight.shape[1:], STRIDE, PADDING, y)
    return y


def backward_input(dy, weight, connections, x_shape):
    dx = Native.empty(x_shape, dy.dtype, dy.data.shape[-1])
    wiring = _wiring(connections, dy.shape[1], x_shape[1])
    # reverses: y[o] += weight[k, u, v] x[c, i + u, j + v] for every connection k = (o, c)
    convolution.backward_input(dy, weight, wiring, weight.shape[1:], STRIDE, PADDING, dx)
    return dx


def backward_weight(dy, x, connections, kernel_size):
    dweight = np.empty((len(connections), *kernel_size), dy.dtype)
    wiring = _wiring(connections, dy.shape[1], x.shape[1])
    # reverses: y[o] += weight[k, u, v] x[c, i + u, j + v] for every connection k = (o, c)
    convolution.backward_weight(dy, x, wiring, kernel_size, STRIDE, PADDING, dweight)
    return dweight


def backward_bias(dy):
    return conv2d.backward_bias(dy)


def _wiring(connections, O, C):
    return convolution.wiring_of_table(np.ascontiguousarray(connections, np.int64).tobytes(), O, C)
