"""table_conv2d in NumPy: connection by connection, tap by tap."""

import numpy as np


def forward(x, weight, bias, connections):
    (N, _, H, W), (_, KH, KW) = x.shape, weight.shape
    OH, OW = H - KH + 1, W - KW + 1
    y = np.zeros((N, len(bias), OH, OW), x.dtype) + bias[:, None, None]
    for k, (o, c) in enumerate(connections):
        for u, v in np.ndindex(KH, KW):
            y[:, o] += weight[k, u, v] * x[:, c, u : u + OH, v : v + OW]
    return y


def backward_input(dy, weight, connections, x_shape):
    OH, OW = dy.shape[2:]
    dx = np.zeros(x_shape, dy.dtype)
    for k, (o, c) in enumerate(connections):
        for u, v in np.ndindex(*weight.shape[1:]):
            dx[:, c, u : u + OH, v : v + OW] += (
                weight[k, u, v] * dy[:, o]
            )  # reverses: y[:, o] += weight[k, u, v] * x[:, c, ...]
    return dx


def backward_weight(dy, x, connections, kernel_size):
    OH, OW = dy.shape[2:]
    dweight = np.empty((len(connections), *kernel_size), dy.dtype)
    for k, (o, c) in enumerate(connections):
        for u, v in np.ndindex(*kernel_size):
            dweight[k, u, v] = np.sum(
                dy[:, o] * x[:, c, u : u + OH, v : v + OW]
            )  # reverses: y[:, o] += weight[k, u, v] * x[:, c, ...]
    return dweight


def backward_bias(dy):
    return dy.sum(axis=(0, 2, 3))  # reverses: y + bias
