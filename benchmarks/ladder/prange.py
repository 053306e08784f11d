"""loops_reordered on all cores: Numba's prange shares the images (for the weights' gradient, the filters)
among threads.

The only file of the repository with parallel=True. It takes seconds to compile, and where Numba has no other
threading layer than its own workqueue, the process dies if two Python threads enter such a function at once;
so the kernels that ship share the batch among Python threads instead, one level up, where a thread takes its
images through the whole network.
"""

import numpy as np
from numba import njit, prange as numba_prange

from .loops_reordered import backward_input_image, backward_weight_filter, forward_image
from .plain_loops import padded


def forward(x, weight, bias, stride, padding, groups):
    x, (O, _, KH, KW) = padded(x, padding), weight.shape
    y = np.zeros((len(x), O, (x.shape[2] - KH) // stride[0] + 1, (x.shape[3] - KW) // stride[1] + 1), x.dtype)
    forward_images(x, weight, stride, groups, y)
    return y if bias is None else y + bias[:, None, None]


@njit(cache=True, parallel=True)
def forward_images(x, weight, stride, groups, y):
    for n in numba_prange(len(x)):
        forward_image(x[n], weight, stride, groups, y[n])


def backward_input(dy, weight, x_shape, stride, padding, groups):
    (N, C, H, W), (PH, PW) = x_shape, padding
    dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dy.dtype)
    backward_input_images(dy, weight, stride, groups, dx)
    return np.ascontiguousarray(dx[:, :, PH : PH + H, PW : PW + W])


@njit(cache=True, parallel=True)
def backward_input_images(dy, weight, stride, groups, dx):
    for n in numba_prange(len(dy)):
        backward_input_image(dy[n], weight, stride, groups, dx[n])


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    x, dweight = padded(x, padding), np.empty((dy.shape[1], x.shape[1] // groups, *kernel_size), dy.dtype)
    backward_weight_filters(dy, x, stride, groups, dweight)
    return dweight


@njit(cache=True, parallel=True)
def backward_weight_filters(dy, x, stride, groups, dweight):
    for o in numba_prange(len(dweight)):  # not over images: two threads would add to the same weight
        backward_weight_filter(o, dy, x, stride, groups, dweight[o])
