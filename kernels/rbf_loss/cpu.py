"""rbf_loss in Numba: image by image. Lanes without an image get dpenalties = 0, so no gradient sees them."""
import math

import numpy as np
from numba import njit

from .._native import Native
from . import output_shape


def forward(penalties, labels, criterion, j):
    y = np.empty(output_shape(penalties.shape), penalties.dtype)
    _forward(penalties.data, labels, criterion == "map", float(j), y)
    return y


@njit(cache=True, nogil=True)
def _forward(penalties, labels, discriminative, j, y):
    _, K, L = penalties.shape
    for n in range(len(labels)):
        p = penalties[n // L, :, n % L]
        y[n] = p[labels[n]]
        if discriminative:
            m = min(j, p.min())
            total = math.exp(m - j)
            for k in range(K):
                total += math.exp(m - p[k])
            y[n] = p[labels[n]] - m + math.log(total)


def backward_input(dy, penalties, labels, criterion, j):
    dpenalties = Native.zeros(penalties.shape, penalties.dtype)
    _backward_input(dy, penalties.data, labels, criterion == "map", float(j), dpenalties.data)
    return dpenalties


@njit(cache=True, nogil=True)
def _backward_input(dy, penalties, labels, discriminative, j, dpenalties):
    _, K, L = penalties.shape
    for n in range(len(labels)):
        p, dp = penalties[n // L, :, n % L], dpenalties[n // L, :, n % L]
        if discriminative:
            m = min(j, p.min())
            total = math.exp(m - j)
            for k in range(K):
                total += math.exp(m - p[k])
            for k in range(K):
                dp[k] = -dy[n] * math.exp(m - p[k]) / total              # reverses: log(e^-j + sum_k e^-p)
        dp[labels[n]] += dy[n]                                           # reverses: p[label]
