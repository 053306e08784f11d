"""dropout in Numba: one loop over all elements, each with its own hash."""
import numpy as np
from numba import njit


def forward(x, rate, key, first):
    y = x.like()
    _masked(_elements(x), rate, np.uint64(key), first, x.dtype.type(1 / (1 - rate)), _elements(y))
    return y


def backward_input(dy, rate, key, first):
    return forward(dy, rate, key, first)                     # y = x * mask / (1 - rate) is linear in x and symmetric


@njit(cache=True, nogil=True)
def _masked(x, rate, key, first, scale, y):
    blocks, per_image, L = x.shape
    for b in range(blocks):
        for e in range(per_image):
            for l in range(L):
                image = first + b * L + l
                keep = _uniform(key, np.uint64(image * per_image + e)) >= rate
                y[b, e, l] = x[b, e, l] * scale if keep else 0


@njit(cache=True, nogil=True)
def _uniform(key, e):
    z = key + (e + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0 ** -53


def _elements(x):
    return x.data.reshape(len(x.data), -1, x.data.shape[-1])
