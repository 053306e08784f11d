"""The same multiply-adds in another order: the pixels j of a row innermost, and one weight for the whole row.

Neighbouring steps no longer wait for each other and lie side by side in memory, so the compiler turns 8 or 16
of them into one vector instruction; where the stride is over 1 it cannot, and every row is taken pixel by
pixel. What is left: rows are short (28 pixels in C1, 10 in C3), so much of the time goes into beginning and
ending them, and each multiply-add still loads and stores its y.
"""

import numpy as np
from numba import njit

from .plain_loops import padded


def forward(x, weight, bias, stride, padding, groups):
    x, (O, _, KH, KW) = padded(x, padding), weight.shape
    y = np.zeros((len(x), O, (x.shape[2] - KH) // stride[0] + 1, (x.shape[3] - KW) // stride[1] + 1), x.dtype)
    for image in range(len(x)):
        forward_image(x[image], weight, stride, groups, y[image])
    return y if bias is None else y + bias[:, None, None]


@njit(cache=True)
def forward_image(x, weight, stride, groups, y):
    (O, OH, OW), (_, C, KH, KW) = y.shape, weight.shape
    for o in range(O):
        for c in range(C):
            x_map = x[o // (O // groups) * C + c]
            for u in range(KH):
                for v in range(KW):
                    w = weight[o, c, u, v]
                    for i in range(OH):
                        y_row, x_row = y[o, i], x_map[i * stride[0] + u, v:]
                        if (
                            stride[1] == 1
                        ):  # spelled out: only here does the compiler know that the pixels are neighbours
                            for j in range(OW):
                                y_row[j] += w * x_row[j]
                        else:
                            for j in range(OW):
                                y_row[j] += w * x_row[j * stride[1]]


def backward_input(dy, weight, x_shape, stride, padding, groups):
    (N, C, H, W), (PH, PW) = x_shape, padding
    dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dy.dtype)
    for image in range(N):
        backward_input_image(dy[image], weight, stride, groups, dx[image])
    return np.ascontiguousarray(dx[:, :, PH : PH + H, PW : PW + W])


@njit(cache=True)
def backward_input_image(dy, weight, stride, groups, dx):
    (O, OH, OW), (_, C, KH, KW) = dy.shape, weight.shape
    for o in range(O):
        for c in range(C):
            dx_map = dx[o // (O // groups) * C + c]
            for u in range(KH):
                for v in range(KW):
                    w = weight[o, c, u, v]
                    for i in range(OH):
                        dy_row, dx_row = dy[o, i], dx_map[i * stride[0] + u, v:]
                        if stride[1] == 1:
                            for j in range(OW):
                                dx_row[j] += w * dy_row[j]  # reverses: y_row += w * x_row
                        else:
                            for j in range(OW):
                                dx_row[j * stride[1]] += w * dy_row[j]


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    x, dweight = padded(x, padding), np.empty((dy.shape[1], x.shape[1] // groups, *kernel_size), dy.dtype)
    for o in range(len(dweight)):
        backward_weight_filter(o, dy, x, stride, groups, dweight[o])
    return dweight


@njit(
    cache=True, fastmath={"reassoc"}
)  # a sum may be added up in another order: only then can its steps go side by side
def backward_weight_filter(o, dy, x, stride, groups, dfilter):
    (N, O, OH, OW), (C, KH, KW) = dy.shape, dfilter.shape
    for c in range(C):
        for u in range(KH):
            for v in range(KW):
                total = dy.dtype.type(0)
                for n in range(N):
                    x_map = x[n, o // (O // groups) * C + c]
                    for i in range(OH):
                        dy_row, x_row = dy[n, o, i], x_map[i * stride[0] + u, v:]
                        if stride[1] == 1:
                            for j in range(OW):
                                total += dy_row[j] * x_row[j]  # reverses: y_row += w * x_row
                        else:
                            for j in range(OW):
                                total += dy_row[j] * x_row[j * stride[1]]
                dfilter[c, u, v] = total
