"""conv2d in NumPy: one matrix product for each tap (u, v) of the window.

The three directions are one line, read three ways.
"""

import numpy as np

from .._windows_reference import cropped, padded, tap, window_positions


def forward(x, weight, bias, stride, padding, groups, ceil=False):
    O, _, KH, KW = weight.shape
    positions = OH, OW = window_positions(x.shape, (KH, KW), stride, padding, ceil)
    x = _grouped(padded(x, (KH, KW), stride, padding, positions), groups)
    weight = weight.reshape(groups, -1, *weight.shape[1:])
    y = np.zeros((len(x), groups, O // groups, OH, OW), x.dtype)
    for u in range(KH):
        for v in range(KW):
            seen = tap(x, u, v, positions, stride)
            y += np.einsum("goc,ngcij->ngoij", weight[..., u, v], seen, optimize=True)
    y = y.reshape(len(x), O, OH, OW)
    return y if bias is None else y + bias[:, None, None]


def backward_input(dy, weight, x_shape, stride, padding, groups):
    (N, C), (KH, KW), positions = x_shape[:2], weight.shape[2:], dy.shape[2:]
    dx = _grouped(padded(np.zeros(x_shape, dy.dtype), (KH, KW), stride, padding, positions), groups)
    dy, weight = _grouped(dy, groups), weight.reshape(groups, -1, *weight.shape[1:])
    for u in range(KH):
        for v in range(KW):
            # reverses: y += weight[u, v] tap(x, u, v)
            part = np.einsum("goc,ngoij->ngcij", weight[..., u, v], dy, optimize=True)
            tap(dx, u, v, positions, stride)[...] += part
    return cropped(dx.reshape(N, C, *dx.shape[-2:]), x_shape, padding)


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    positions = dy.shape[2:]
    x, dy = _grouped(padded(x, kernel_size, stride, padding, positions), groups), _grouped(dy, groups)
    dweight = np.empty((groups, dy.shape[2], x.shape[2], *kernel_size), dy.dtype)
    for u in range(kernel_size[0]):
        for v in range(kernel_size[1]):
            seen = tap(x, u, v, positions, stride)
            # reverses: y += weight[u, v] seen
            dweight[..., u, v] = np.einsum("ngoij,ngcij->goc", dy, seen, optimize=True)
    return dweight.reshape(-1, *dweight.shape[2:])


def backward_bias(dy):
    return dy.sum(axis=(0, 2, 3))  # reverses: y + bias


def _grouped(x, groups):
    """(N, C, H, W) as (N, groups, C/groups, H, W)."""
    return x.reshape(len(x), groups, -1, *x.shape[2:])
