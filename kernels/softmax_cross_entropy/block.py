"""softmax_cross_entropy of one image by a block, in shared memory (kernels/_cuda/one_image.py): every thread
adds up the few classes, and thread k then has number k of dscores.
"""

import math

import numpy as np

from .._cuda.launch import device
from .._cuda.one_image import THREADS
from .._cuda.package import cuda
from .._cuda.ptx import at, at_shared, put, put_shared, thread

int32 = np.int32


def end(y, slope):
    """end(s, ...): the scores and the loss of image n to memory; dscores in the place of the scores, times
    the slope there.
    """
    Y, K, ZERO, ONE = y.first, y.features, np.float32(0), np.float32(1)

    @device
    def end(s, params, notes, shares, row, fresh, labels, dlosses, scores, losses, n):
        # max_k s, sum_k e^(s - max)
        label, largest, total = labels[n], at_shared(s, int32(Y)), ZERO
        for k in range(1, K):
            largest = max(largest, at_shared(s, int32(Y + k)))
        for k in range(K):
            total += math.exp(at_shared(s, int32(Y + k)) - largest)
        if thread() == 0:
            put(losses, n, math.log(total) - (at_shared(s, int32(Y + label)) - largest))
        cuda.syncthreads()
        for k in range(thread(), K, THREADS):
            score = at_shared(s, int32(Y + k))
            put(scores, n * K + k, score)
            p = math.exp(score - largest) / total  # reverses: log sum_k e^s
            if k == label:
                p -= ONE  # reverses: - s[label]
            put_shared(s, int32(Y + k), at(dlosses, n) * p * slope(score))
        cuda.syncthreads()

    return end
