"""local_response_norm in NumPy: sums over neighbouring maps."""

import numpy as np


def forward(x, size, k, alpha, beta):
    return x * _denominator(x, size, k, alpha) ** -beta


def backward_input(dy, x, size, k, alpha, beta):
    d = _denominator(x, size, k, alpha)
    direct = dy * d**-beta  # reverses: y = x d^-beta, through x
    dd = -beta * dy * x * d ** (-beta - 1)  # reverses: y = x d^-beta, through d
    return direct + 2 * alpha * x * _neighbour_sums(dd, size)  # reverses: d = k + alpha neighbour_sums(x^2)


def _denominator(x, size, k, alpha):
    return k + alpha * _neighbour_sums(x * x, size)


def _neighbour_sums(x, size):
    """The sum over the maps c - size//2 to c + size//2, as many of them as exist."""
    C, half = x.shape[1], size // 2
    return np.stack([x[:, max(0, c - half) : c + half + 1].sum(axis=1) for c in range(C)], axis=1)
