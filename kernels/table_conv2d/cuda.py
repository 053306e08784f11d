"""table_conv2d in numba.cuda: one thread computes single pixels of single images, and a block of them each
number of dweight.

Maps are taken by rows (CudaNative.rows), in which the neighbour of element e to the right is e + N: tap v of
a filter looks v N elements on, whatever the image. Which connections a map has is a list in the GPU's memory,
made once for a table:

    pairs (K, 2)    order (K,): connections sorted by their output map    starts (O + 1,): where in it those of each map begin;   likewise by input map
"""  # noqa: E501

import numpy as np

from .._cuda import memory
from .._cuda.launch import cuda, kernel
from .._cuda.native import CudaNative, by_rows
from .._cuda.reduce import BLOCK, tree_sum
from .._cuda.windows import within
from .._windows import as_lengths
from ..conv2d import cuda as conv2d
from . import output_shape


def forward(x, weight, bias, connections):
    y = CudaNative.empty(output_shape(x.shape, weight.shape[1:], (bias.shape[0], x.shape[1])), x.dtype)
    pairs, order, starts = _sorted(connections, 0, y.shape[1])
    _forward[by_rows(y)](
        x.rows, x.shape[0], weight, bias, *as_lengths(weight.shape[1:]), pairs, order, starts, y.rows
    )
    return y


@kernel
def _forward(x, N, weight, bias, rows, columns, pairs, order, starts, y):
    o, i = cuda.blockIdx.z, cuda.blockIdx.y
    for e in range(cuda.grid(1), y.shape[2], cuda.gridsize(1)):
        total = bias[o]
        for place in range(starts[o], starts[o + 1]):
            k = order[place]
            c = pairs[k, 1]
            for u in range(len(rows)):
                for v in range(len(columns)):
                    total += weight[k, u, v] * x[c, i + u, e + v * N]
        y[o, i, e] = total


def backward_input(dy, weight, connections, x_shape):
    dx = CudaNative.empty(x_shape, dy.dtype)
    pairs, order, starts = _sorted(connections, 1, x_shape[1])
    _backward_input[by_rows(dx)](
        dy.rows, dy.shape[0], weight, *as_lengths(weight.shape[1:]), pairs, order, starts, dx.rows
    )
    return dx


@kernel
def _backward_input(dy, N, weight, rows, columns, pairs, order, starts, dx):
    c, h, (OH, length) = cuda.blockIdx.z, cuda.blockIdx.y, dy.shape[1:]
    for e in range(cuda.grid(1), dx.shape[2], cuda.gridsize(1)):
        total = zero = dy.dtype.type(0)
        for place in range(starts[c], starts[c + 1]):
            k = order[place]
            o = pairs[k, 0]
            for u in range(max(0, h - OH + 1), min(len(rows), h + 1)):
                for v in range(len(columns)):
                    near = within(e - v * N, length)  # where it is not e - v N, no pixel of dy is there
                    part = weight[k, u, v] * dy[o, h - u, near]
                    total += (
                        part if near == e - v * N else zero
                    )  # reverses: y[o, i, e] += weight[k, u, v] x[c, i + u, e + v N]
        dx[c, h, e] = total


def backward_weight(dy, x, connections, kernel_size):
    dweight = memory.empty((len(connections), *kernel_size), dy.dtype)
    pairs, _, _ = _sorted(connections, 0, dy.shape[1])
    _backward_weight[dweight.size, BLOCK](dy.rows, x.rows, x.shape[0], pairs, dweight)
    return dweight


@kernel
def _backward_weight(dy, x, N, pairs, dweight):
    (_, KH, KW), (_, OH, length) = dweight.shape, dy.shape
    k, u, v = cuda.blockIdx.x // (KH * KW), cuda.blockIdx.x // KW % KH, cuda.blockIdx.x % KW
    o, c = pairs[k, 0], pairs[k, 1]
    total = dy.dtype.type(0)
    for i in range(OH):
        for e in range(cuda.threadIdx.x, length, BLOCK):
            total += (
                dy[o, i, e] * x[c, i + u, e + v * N]
            )  # reverses: y[o, i, e] += weight[k, u, v] x[c, i + u, e + v N]
    total = tree_sum(total, 1, dy)
    if cuda.threadIdx.x == 0:
        dweight[k, u, v] = total


def backward_bias(dy):
    return conv2d.backward_bias(dy)  # reverses: y + bias[o], as there


def _sorted(connections, by, maps):
    """pairs, order and starts, sorted by the output maps (by = 0) or the input maps (by = 1) of the
    connections.
    """
    return _lists(np.ascontiguousarray(connections, np.int32).tobytes(), by, maps)


@memory.constant
def _lists(connections, by, maps):
    pairs = np.frombuffer(connections, np.int32).reshape(-1, 2)
    order = np.argsort(pairs[:, by], kind="stable")
    starts = np.searchsorted(pairs[order, by], np.arange(maps + 1))
    return pairs, order.astype(np.int32), starts.astype(np.int32)
