"""dense in numba.cuda: plain kernels, in which one thread computes one number of the result and reads all that it is made of."""
import math

from .. import _cuda
from .._cuda import cuda, kernel
from .._cuda_native import CudaNative
from . import output_shape


def forward(x, weight, bias):
    y = CudaNative.empty(output_shape(x.shape, weight.shape), x.dtype)
    _forward[y.data.size](positions(x), weight, weight.reshape(weight.size) if bias is None else bias, bias is not None, positions(y))
    return y


@kernel
def _forward(x, weight, bias, biased, y):
    O, P, N = y.shape
    for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        o, p, n = e // (P * N), e // N % P, e % N
        total = bias[o] if biased else x.dtype.type(0)
        for c in range(x.shape[0]):
            total += weight[o, c] * x[c, p, n]
        y[o, p, n] = total


def backward_input(dy, weight):
    dx = CudaNative.empty((dy.shape[0], weight.shape[1], *dy.shape[2:]), dy.dtype)
    _backward_input[dx.data.size](positions(dy), weight, positions(dx))
    return dx


@kernel
def _backward_input(dy, weight, dx):
    C, P, N = dx.shape
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, p, n = e // (P * N), e // N % P, e % N
        total = dy.dtype.type(0)
        for o in range(dy.shape[0]):
            total += weight[o, c] * dy[o, p, n]              # reverses: y[o] += weight[o, c] x[c]
        dx[c, p, n] = total


def backward_weight(dy, x):
    dweight = _cuda.empty((dy.shape[1], x.shape[1]), dy.dtype)
    _backward_weight[dweight.size](positions(dy), positions(x), dweight)
    return dweight


@kernel
def _backward_weight(dy, x, dweight):
    C, P, N = x.shape
    for e in range(cuda.grid(1), dweight.size, cuda.gridsize(1)):
        o, c = e // C, e % C
        total = x.dtype.type(0)
        for p in range(P):
            for n in range(N):
                total += dy[o, p, n] * x[c, p, n]            # reverses: y[o] += weight[o, c] x[c]
        dweight[o, c] = total


def backward_bias(dy):
    return row_sums(dy.data.reshape(dy.shape[1], dy.data.size // dy.shape[1]))          # reverses: y[o] = bias[o] + ...


def row_sums(matrix):
    sums = _cuda.empty((matrix.shape[0],), matrix.dtype)
    _row_sums[sums.size](matrix, sums)
    return sums


@kernel
def _row_sums(matrix, sums):
    for m in range(cuda.grid(1), matrix.shape[0], cuda.gridsize(1)):
        total = matrix.dtype.type(0)
        for k in range(matrix.shape[1]):
            total += matrix[m, k]
        sums[m] = total


def positions(x):
    """The data of (N, C, ...) as (C, positions, N): all axes behind the second as one; one position where there are features only."""
    return x.data.reshape(x.shape[1], math.prod(x.shape[2:]), x.shape[0])
