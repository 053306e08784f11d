"""softmax_cross_entropy in Numba: image by image. Lanes without an image get dscores = 0, so no gradient sees them."""
import math

import numpy as np
from numba import njit

from .._native import Native
from . import output_shape


def forward(scores, labels):
    y = np.empty(output_shape(scores.shape), scores.dtype)
    _forward(scores.data, labels, y)
    return y


@njit(cache=True, nogil=True)
def _forward(scores, labels, y):
    _, K, L = scores.shape
    for n in range(len(labels)):
        s = scores[n // L, :, n % L]
        largest, total = s.max(), 0.0
        for k in range(K):
            total += math.exp(s[k] - largest)
        y[n] = math.log(total) + largest - s[labels[n]]


def backward_input(dy, scores, labels):
    dscores = Native.zeros(scores.shape, scores.dtype)
    _backward_input(dy, scores.data, labels, dscores.data)
    return dscores


@njit(cache=True, nogil=True)
def _backward_input(dy, scores, labels, dscores):
    _, K, L = scores.shape
    for n in range(len(labels)):
        s, ds = scores[n // L, :, n % L], dscores[n // L, :, n % L]
        largest, total = s.max(), 0.0
        for k in range(K):
            total += math.exp(s[k] - largest)
        for k in range(K):
            ds[k] = dy[n] * math.exp(s[k] - largest) / total             # reverses: log sum_k e^s
        ds[labels[n]] -= dy[n]                                           # reverses: - s[label]
