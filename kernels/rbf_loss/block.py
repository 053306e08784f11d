"""rbf_loss of one image by a block, in shared memory (kernels/_cuda/one_image.py): every thread adds up the
few classes, and thread k then has number k of dpenalties.
"""

import math

import numpy as np

from .._cuda.launch import device
from .._cuda.one_image import THREADS
from .._cuda.package import cuda
from .._cuda.ptx import at, at_shared, put, put_shared, thread

int32 = np.int32


def end(y, slope, criterion, j):
    """end(s, ...): the scores and the loss of image n to memory; dpenalties in the place of the penalties,
    times the slope there.
    """
    Y, K, J, discriminative = y.first, y.features, np.float32(j), criterion == "map"
    ZERO, ONE = np.float32(0), np.float32(1)

    @device
    def end(s, params, notes, shares, row, fresh, labels, dlosses, scores, losses, n):
        label, smallest, total = labels[n], J, ONE
        if discriminative:
            # m = min(j, min_k p), e^(m - j) + sum_k e^(m - p)
            for k in range(K):
                smallest = min(smallest, at_shared(s, int32(Y + k)))
            total = math.exp(smallest - J)
            for k in range(K):
                total += math.exp(smallest - at_shared(s, int32(Y + k)))
        if thread() == 0:
            loss = at_shared(s, int32(Y + label))
            if discriminative:
                loss += math.log(total) - smallest
            put(losses, n, loss)
        cuda.syncthreads()
        for k in range(thread(), K, THREADS):
            p = at_shared(s, int32(Y + k))
            put(scores, n * K + k, p)
            dp = ONE if k == label else ZERO  # reverses: p[label]
            if discriminative:
                dp -= math.exp(smallest - p) / total  # reverses: log(e^-j + sum_k e^-p)
            put_shared(s, int32(Y + k), at(dlosses, n) * dp * slope(p))
        cuda.syncthreads()

    return end
