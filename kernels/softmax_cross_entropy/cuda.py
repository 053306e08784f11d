"""softmax_cross_entropy in numba.cuda: a block of threads takes IMAGES images: few, so that there are many blocks.

thread    0  1       | 2  3        | ...
image     0  1       | 0  1        | ...
classes   0, P, 2P.. | 1, P + 1 .. | ...      P = BLOCK / IMAGES threads share the classes of an image, and put together what each has found
"""  # noqa: E501

import math

from .._cuda import memory
from .._cuda.launch import cuda, device, kernel
from .._cuda.reduce import BLOCK, tree_max, tree_sum
from . import output_shape

IMAGES = 2


def forward(scores, labels):
    y = memory.empty(output_shape(scores.shape), scores.dtype)
    _forward[-(-y.size // IMAGES), BLOCK](scores.data, labels, y)
    return y


@kernel
def _forward(scores, labels, y):
    n = cuda.blockIdx.x * IMAGES + cuda.threadIdx.x % IMAGES
    largest, total = _softmax(scores, min(n, y.size - 1))
    if n < y.size and cuda.threadIdx.x < IMAGES:
        y[n] = math.log(total) - (scores[labels[n], n] - largest)


@device
def _softmax(scores, n):
    """max_k s, sum_k e^(s - max) of image n: one for all threads of a block to call."""
    K, first = scores.shape[0], cuda.threadIdx.x // IMAGES
    largest = scores[0, n]
    for k in range(first, K, BLOCK // IMAGES):
        largest = max(largest, scores[k, n])
    largest = tree_max(largest, IMAGES, scores)
    total = scores.dtype.type(0)
    for k in range(first, K, BLOCK // IMAGES):
        total += math.exp(scores[k, n] - largest)
    return largest, tree_sum(total, IMAGES, scores)


def backward_input(dy, scores, labels):
    dscores = scores.like()
    _backward_input[-(-dy.size // IMAGES), BLOCK](dy, scores.data, labels, dscores.data)
    return dscores


@kernel
def _backward_input(dy, scores, labels, dscores):
    n = cuda.blockIdx.x * IMAGES + cuda.threadIdx.x % IMAGES
    largest, total = _softmax(scores, min(n, dy.size - 1))
    if n < dy.size:
        for k in range(cuda.threadIdx.x // IMAGES, scores.shape[0], BLOCK // IMAGES):
            p = math.exp(scores[k, n] - largest) / total  # reverses: log sum_k e^s
            if k == labels[n]:
                p -= scores.dtype.type(1)  # reverses: - s[label]
            dscores[k, n] = dy[n] * p
