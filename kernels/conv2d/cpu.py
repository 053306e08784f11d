"""conv2d in Numba: tiles of output maps times pixels, for L images at once.

What is vectorised: L images lie side by side, so one vector holds one pixel of L images, and a window at any
place, of any stride, is whole vectors. (With fewer images the pixels of a row lie side by side instead.)

What is blocked: 8 output maps times 3 pixels are summed up together in registers, over all input maps and
taps,

                    pixel j    j+1    j+2
        map o      [ sum    ][ sum  ][ sum  ]      += weight[o, c, u, v] * x[c, i SH + u, (j .. j+2) SW + v]
        map o+1    [ sum    ][ sum  ][ sum  ]         one scalar of weight times three vectors of x,
          ...                                         three loads and eight scalars for 24 multiply-adds
        map o+7    [ sum    ][ sum  ][ sum  ]

so that memory is read once for several uses and the arithmetic units never wait. backward_input is the same
sum with the taps turned round; backward_weight holds a block of weights in registers and runs over the
pixels. The micro-kernels stand in kernels/_cpu/simd.py, the loops that lay them over an array in
kernels/_cpu/tiles.py, and the tables of what lies where in kernels/_cpu/convolution.py.
"""

import numpy as np

from .._cpu import convolution
from .._cpu.native import Native
from .._cpu.tiles import lane_sums
from ..dense import cpu as dense
from . import output_shape


def forward(x, weight, bias, stride, padding, groups, ceil=False):
    y_shape = output_shape(x.shape, weight.shape, stride, padding, groups, ceil)
    if _one_window(x.shape, weight.shape[2:], padding, groups):
        return dense.forward(_features(x), weight.reshape(len(weight), -1), bias).reshape(y_shape)
    y = Native.empty(y_shape, x.dtype, x.data.shape[-1])
    bias = np.zeros(len(weight), x.dtype) if bias is None else bias
    convolution.forward(x, weight, bias, _wiring(weight.shape, groups), weight.shape[2:], stride, padding, y)
    return y


def backward_input(dy, weight, x_shape, stride, padding, groups):
    if _one_window(x_shape, weight.shape[2:], padding, groups):
        return dense.backward_input(_features(dy), weight.reshape(len(weight), -1)).reshape(x_shape)
    dx = Native.empty(x_shape, dy.dtype, dy.data.shape[-1])
    # reverses: y[o, i, j] += weight[o, c, u, v] x[c, i SH + u - PH, j SW + v - PW]
    convolution.backward_input(
        dy, weight, _wiring(weight.shape, groups), weight.shape[2:], stride, padding, dx
    )
    return dx


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    shape = (dy.shape[1], x.shape[1] // groups, *kernel_size)
    if _one_window(x.shape, kernel_size, padding, groups):
        return dense.backward_weight(_features(dy), _features(x)).reshape(shape)
    dweight = np.empty(shape, dy.dtype)
    # reverses: y[o, i, j] += weight[o, c, u, v] x[c, i SH + u - PH, j SW + v - PW]
    convolution.backward_weight(dy, x, _wiring(shape, groups), kernel_size, stride, padding, dweight)
    return dweight


def backward_bias(dy):
    dbias = np.empty(dy.shape[1], dy.dtype)
    lane_sums(dy.data.reshape(*dy.data.shape[:2], -1), dbias)  # reverses: y[o] = bias[o] + ...
    return dbias


def _one_window(x_shape, kernel_size, padding, groups):
    """Whether one window covers the whole map (C5 of LeNet-5): then every pixel of every map is a feature,
    and this is a dense layer.
    """
    return tuple(x_shape[2:]) == tuple(kernel_size) and tuple(padding) == (0, 0) and groups == 1


def _features(x):
    """Maps (N, C, H, W) as features (N, C * H * W)."""
    return x.reshape((x.shape[0], int(np.prod(x.shape[1:]))))


def _wiring(weight_shape, groups):
    return convolution.wiring_of_groups(weight_shape[0], weight_shape[1] * groups, groups)
