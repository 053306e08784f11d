"""The equation as it stands: seven loops, one multiply-add inside. Every rung above computes the same sum.

Compiled it is some hundred times faster than interpreted, and still slow: neighbouring steps of the innermost
loop, over the taps of a row, wait for each other (each adds to the sum that the one before made), so the
processor does one multiply-add where it could do dozens.
"""

import numpy as np
from numba import njit


def forward(x, weight, bias, stride, padding, groups):
    x, (O, _, KH, KW) = padded(x, padding), weight.shape
    y = np.zeros((len(x), O, (x.shape[2] - KH) // stride[0] + 1, (x.shape[3] - KW) // stride[1] + 1), x.dtype)
    forward_loops(x, weight, stride, groups, y)
    return y if bias is None else y + bias[:, None, None]


@njit(cache=True)
def forward_loops(x, weight, stride, groups, y):
    (N, O, OH, OW), (_, C, KH, KW) = y.shape, weight.shape
    for n in range(N):
        for o in range(O):
            first = o // (O // groups) * C  # the first input map that o sees
            for i in range(OH):
                for j in range(OW):
                    for c in range(C):
                        for u in range(KH):
                            for v in range(KW):
                                y[n, o, i, j] += (
                                    weight[o, c, u, v] * x[n, first + c, i * stride[0] + u, j * stride[1] + v]
                                )


def backward_input(dy, weight, x_shape, stride, padding, groups):
    (N, C, H, W), (PH, PW) = x_shape, padding
    dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dy.dtype)
    backward_input_loops(dy, weight, stride, groups, dx)
    return np.ascontiguousarray(dx[:, :, PH : PH + H, PW : PW + W])


@njit(cache=True)
def backward_input_loops(dy, weight, stride, groups, dx):
    (N, O, OH, OW), (_, C, KH, KW) = dy.shape, weight.shape
    for n in range(N):
        for o in range(O):
            first = o // (O // groups) * C
            for i in range(OH):
                for j in range(OW):
                    for c in range(C):
                        for u in range(KH):
                            for v in range(KW):
                                # reverses: y += weight * x
                                dx[n, first + c, i * stride[0] + u, j * stride[1] + v] += (
                                    weight[o, c, u, v] * dy[n, o, i, j]
                                )


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    dweight = np.zeros((dy.shape[1], x.shape[1] // groups, *kernel_size), dy.dtype)
    backward_weight_loops(dy, padded(x, padding), stride, groups, dweight)
    return dweight


@njit(cache=True)
def backward_weight_loops(dy, x, stride, groups, dweight):
    (N, O, OH, OW), (_, C, KH, KW) = dy.shape, dweight.shape
    for n in range(N):
        for o in range(O):
            first = o // (O // groups) * C
            for i in range(OH):
                for j in range(OW):
                    for c in range(C):
                        for u in range(KH):
                            for v in range(KW):
                                # reverses: y += weight * x
                                dweight[o, c, u, v] += (
                                    dy[n, o, i, j] * x[n, first + c, i * stride[0] + u, j * stride[1] + v]
                                )


def padded(x, padding):
    PH, PW = padding
    return np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
