"""subsample2d in NumPy: cut the map into windows by a reshape, add up each window."""

import numpy as np


def forward(x, coefficient, bias, size):
    return coefficient[:, None, None] * _window_sums(x, size) + bias[:, None, None]


def backward_input(dy, coefficient, x_shape, size):
    dx = np.zeros(x_shape, dy.dtype)
    dsums = coefficient[:, None, None] * dy  # reverses: y = coefficient * sums
    spread = dsums.repeat(size[0], axis=2).repeat(
        size[1], axis=3
    )  # reverses the sum: each input of a window gets its dsums
    dx[:, :, : spread.shape[2], : spread.shape[3]] = spread
    return dx


def backward_coefficient(dy, x, size):
    return (dy * _window_sums(x, size)).sum(axis=(0, 2, 3))  # reverses: y = coefficient * sums


def backward_bias(dy):
    return dy.sum(axis=(0, 2, 3))  # reverses: y = ... + bias


def _window_sums(x, size):
    N, C, H, W = x.shape
    OH, OW = H // size[0], W // size[1]
    windows = x[:, :, : OH * size[0], : OW * size[1]].reshape(N, C, OH, size[0], OW, size[1])
    return windows.sum(axis=(3, 5))
