"""dropout in Numba: one loop over all elements, each with its own hash; LLVM makes vector code of the
integers by itself.
"""

import math

import numpy as np

from .._cpu.kernel import kernel
from .._cpu.random import random_bits


def draw(seed, counter):
    key = np.empty(1, np.uint64)
    _draw(seed, counter, key)
    return key


@kernel
def _draw(seed, counter, key):
    key[0] = (seed[0] << np.uint64(32)) + counter[0]
    counter[0] += np.uint64(1)


def forward(x, rate, key, first, scale):
    y, L = x.like(), x.data.shape[-1]
    images = first + L * np.arange(len(x.data))  # the first one of every block
    # uniform >= rate, in the 53-bit integers that uniform is made of
    _masked(_elements(x), math.ceil(rate * 2**53), key, images, x.dtype.type(scale), _elements(y))
    return y


def backward_input(dy, rate, key, first, scale):
    return forward(dy, rate, key, first, scale)  # reverses: y = scale * mask * x, linear in x and symmetric


@kernel(split=("x", "images", "y"))
def _masked(x, threshold, key, images, scale, y):
    blocks, per_image, L = x.shape
    for b in range(blocks):
        for e in range(per_image):
            for lane in range(L):
                keep = random_bits(key[0], (images[b] + lane) * per_image + e) >> np.uint64(11) >= np.uint64(
                    threshold
                )
                y[b, e, lane] = x[b, e, lane] * scale if keep else 0


def _elements(x):
    return x.data.reshape(len(x.data), -1, x.data.shape[-1])
