"""dense in NumPy: three matrix products."""

import numpy as np


def forward(x, weight, bias):
    y = np.einsum("oc,nc...->no...", weight, x, optimize=True)
    return y if bias is None else y + bias.reshape(-1, *(1,) * (x.ndim - 2))


def backward_input(dy, weight):
    return np.einsum("oc,no...->nc...", weight, dy, optimize=True)  # reverses: y = weight x


def backward_weight(dy, x):
    N, O, C = len(x), dy.shape[1], x.shape[1]
    return np.einsum(
        "nop,ncp->oc", dy.reshape(N, O, -1), x.reshape(N, C, -1), optimize=True
    )  # reverses: y = weight x


def backward_bias(dy):
    return dy.sum(axis=(0, *range(2, dy.ndim)))  # reverses: y = ... + bias
