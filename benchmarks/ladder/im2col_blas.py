"""Copy what every window sees into a column of a matrix (im2col); then convolution is one matrix product, and
BLAS is good at those.

BLAS keeps a tile of the result in registers and the rest in cache. The price is the copy: each input pixel is
written KH KW times, and LeNet-5's layers have so few filters that the copy costs more than the product. Large
layers repay it better. How many threads the product takes is NumPy's decision.
"""

import numpy as np

from .plain_loops import padded


def forward(x, weight, bias, stride, padding, groups):
    O, _, KH, KW = weight.shape
    columns, (OH, OW) = im2col(padded(x, padding), (KH, KW), stride, groups)
    y = weight.reshape(groups, O // groups, -1) @ columns  # (groups, O/groups, N OH OW)
    y = np.ascontiguousarray(y.reshape(O, len(x), OH, OW).swapaxes(0, 1))
    return y if bias is None else y + bias[:, None, None]


def backward_input(dy, weight, x_shape, stride, padding, groups):
    (N, C, H, W), (O, _, KH, KW), (PH, PW), (OH, OW) = x_shape, weight.shape, padding, dy.shape[2:]
    rows = dy.swapaxes(0, 1).reshape(groups, O // groups, -1)
    dcolumns = weight.reshape(groups, O // groups, -1).swapaxes(1, 2) @ rows  # reverses: y = weight @ columns
    dcolumns = dcolumns.reshape(C, KH, KW, N, OH, OW)
    dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dy.dtype)
    for u in range(KH):  # reverses im2col: what was copied from one pixel is added up there
        for v in range(KW):
            dx[:, :, u : u + stride[0] * OH : stride[0], v : v + stride[1] * OW : stride[1]] += dcolumns[
                :, u, v
            ].swapaxes(0, 1)
    return np.ascontiguousarray(dx[:, :, PH : PH + H, PW : PW + W])


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    O = dy.shape[1]
    columns, _ = im2col(padded(x, padding), kernel_size, stride, groups)
    rows = dy.swapaxes(0, 1).reshape(groups, O // groups, -1)
    return (rows @ columns.swapaxes(1, 2)).reshape(O, -1, *kernel_size)  # reverses: y = weight @ columns


def im2col(x, kernel_size, stride, groups):
    """(groups, C/groups KH KW, N OH OW): one column for each window, a copy; and (OH, OW)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel_size, axis=(2, 3))[
        :, :, :: stride[0], :: stride[1]
    ]
    N, C, OH, OW, KH, KW = windows.shape
    return windows.transpose(1, 4, 5, 0, 2, 3).reshape(groups, C // groups * KH * KW, -1), (OH, OW)
