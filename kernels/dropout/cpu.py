"""dropout in Numba: one loop over all elements, each with its own hash; LLVM makes vector code of the integers by itself."""
import math

import numpy as np

from .._kernel import compiled, kernel


def forward(x, rate, key, first):
    y = x.like()
    # the key as an array, since it does not fit an int64; uniform >= rate, in the 53-bit integers that uniform is made of
    _masked(_elements(x), math.ceil(rate * 2 ** 53), np.asarray(key, np.uint64).reshape(1), first, x.dtype.type(1 / (1 - rate)), _elements(y))
    return y


def backward_input(dy, rate, key, first):
    return forward(dy, rate, key, first)                     # reverses: y = mask * x / (1 - rate), linear in x and symmetric


@kernel
def _masked(x, threshold, key, first, scale, y):
    blocks, per_image, L = x.shape
    for b in range(blocks):
        for e in range(per_image):
            for lane in range(L):
                image = first + b * L + lane
                keep = _hash(key[0], np.uint64(image * per_image + e)) >= np.uint64(threshold)
                y[b, e, lane] = x[b, e, lane] * scale if keep else 0


@compiled
def _hash(key, e):
    """53 random bits."""
    z = key + (e + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(11)


def _elements(x):
    return x.data.reshape(len(x.data), -1, x.data.shape[-1])
