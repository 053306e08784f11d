"""dropout in numba.cuda: every thread takes single elements and hashes their index in the batch, in which
images come first, while in memory they lie last.
"""

import math

import numpy as np

from .._cpu.random import random_bits
from .._cuda import memory
from .._cuda.launch import cuda, divided, kernel

IN_32_BITS = 2**32  # as many elements as `divided` divides, several times faster than 64 bits


def draw(seed, counter):
    key = memory.empty((1,), np.uint64)
    _draw[1, 1](seed, counter, key)
    return key


@kernel
def _draw(seed, counter, key):
    key[0] = (seed[0] << np.uint64(32)) + counter[0]
    counter[0] += np.uint64(1)


def forward(x, rate, key, first, scale):
    y, (N, *image) = x.like(), x.shape
    # uniform >= rate, in the 53-bit integers that uniform is made of
    threshold = np.uint64(math.ceil(rate * 2**53))
    _masked[x.data.size](
        x.flat, threshold, key, np.int64(first), np.int64(math.prod(image)), N, x.dtype.type(scale), y.flat
    )
    return y


def backward_input(dy, rate, key, first, scale):
    return forward(dy, rate, key, first, scale)  # reverses: y = scale * mask * x, linear in x and symmetric


@kernel
def _masked(x, threshold, key, first, per_image, N, scale, y):
    for place in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        e, n = divided(place, N) if x.size <= IN_32_BITS else (place // N, place % N)
        keep = random_bits(key[0], (first + n) * per_image + e) >> np.uint64(11) >= threshold
        y[place] = x[place] * scale if keep else x.dtype.type(0)
