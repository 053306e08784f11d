"""table_conv2d in numba.cuda: a thread computes a row of pixels of one map (kernels/_cuda/few_maps.py), or
all taps of a filter's gradient (kernels/_cuda/few_maps_weight.py).
"""

from .._cuda import few_maps, few_maps_weight, memory
from .._cuda.native import CudaNative
from ..conv2d import cuda as conv2d
from . import output_shape


def forward(x, weight, bias, connections):
    y = CudaNative.empty(output_shape(x.shape, weight.shape[1:], (bias.shape[0], x.shape[1])), x.dtype)
    few_maps.forward(x.data, weight, bias, connections, y.data)
    return y


def backward_input(dy, weight, connections, x_shape):
    dx = CudaNative.empty(x_shape, dy.dtype)
    few_maps.backward_input(dy.data, weight, connections, dx.data)
    return dx


def backward_weight(dy, x, connections, kernel_size):
    dweight = memory.empty((len(connections), *kernel_size), dy.dtype)
    few_maps_weight.backward_weight(dy.data, x.data, connections, dweight)
    return dweight


def backward_bias(dy):
    return conv2d.backward_bias(dy)  # reverses: y + bias[o], as there
