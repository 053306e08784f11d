"""rbf_loss in numba.cuda: one thread takes one image; it has few classes."""

import math

from .._cuda import memory
from .._cuda.launch import cuda, device, kernel
from . import output_shape


def forward(penalties, labels, criterion, j):
    y = memory.empty(output_shape(penalties.shape), penalties.dtype)
    _forward[y.size](penalties.data, labels, criterion == "map", penalties.dtype.type(j), y)
    return y


@kernel
def _forward(penalties, labels, discriminative, j, y):
    for n in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        value = penalties[labels[n], n]
        if discriminative:
            smallest, total = _evidence(penalties, n, j)
            value += math.log(total) - smallest
        y[n] = value


@device
def _evidence(penalties, n, j):
    """m = min(j, min_k p), e^(m - j) + sum_k e^(m - p)"""
    smallest = j
    for k in range(penalties.shape[0]):
        smallest = min(smallest, penalties[k, n])
    total = math.exp(smallest - j)
    for k in range(penalties.shape[0]):
        total += math.exp(smallest - penalties[k, n])
    return smallest, total


def backward_input(dy, penalties, labels, criterion, j):
    dpenalties = penalties.like()
    _backward_input[dy.size](
        dy, penalties.data, labels, criterion == "map", penalties.dtype.type(j), dpenalties.data
    )
    return dpenalties


@kernel
def _backward_input(dy, penalties, labels, discriminative, j, dpenalties):
    for n in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        zero, one = dy.dtype.type(0), dy.dtype.type(1)
        smallest, total = _evidence(penalties, n, j) if discriminative else (j, one)
        for k in range(penalties.shape[0]):
            dp = one if k == labels[n] else zero  # reverses: p[label]
            if discriminative:
                dp -= math.exp(smallest - penalties[k, n]) / total  # reverses: log(e^-j + sum_k e^-p)
            dpenalties[k, n] = dy[n] * dp
