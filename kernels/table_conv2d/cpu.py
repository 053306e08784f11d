"""table_conv2d in Numba: conv2d's loops over a list of connections, here those of the table."""
import numpy as np

from .._native import Native
from ..conv2d import cpu as conv2d
from . import output_shape

STRIDE, PADDING = (1, 1), (0, 0)


def forward(x, weight, bias, connections):
    y = Native.empty(output_shape(x.shape, weight.shape[1:], (len(bias), x.shape[1])), x.dtype)
    conv2d.forward_loops(x.data, weight, bias, connections, STRIDE, PADDING, y.data)
    return y


def backward_input(dy, weight, connections, x_shape):
    dx = Native.zeros(x_shape, dy.dtype)
    conv2d.backward_input_loops(dy.data, weight, connections, STRIDE, PADDING, dx.data)
    return dx


def backward_weight(dy, x, connections, kernel_size):
    dweight = np.empty((len(connections), *kernel_size), dy.dtype)
    conv2d.backward_weight_loops(dy.data, x.data, connections, STRIDE, PADDING, dweight)
    return dweight


def backward_bias(dy):
    return conv2d.backward_bias(dy)
