"""dense in numba.cuda: plain kernels, in which one thread computes one number of the result and reads all
that it is made of.

In float32 the same sums are computed in tiles instead, many times faster, as a convolution of maps of one row
with a window of one pixel (kernels/_cuda/tiles.py, kernels/_cuda/convolution.py), and take the relu before or
behind them along, as in conv2d/cuda.py. Products of few numbers, and of one image, have kernels of
their own (kernels/_cuda/small_products.py).
"""

import math

from .._cuda import convolution, memory, small_products
from .._cuda.launch import cuda, kernel
from .._cuda.native import CudaNative
from .._cuda.reduce import row_sums
from ..relu import cuda as relu
from . import output_shape

PIXEL = 1, 1  # the window
PLAIN = (1, 1), (0, 0), 1  # its stride, padding and groups


def forward(x, weight, bias):
    return _products(x, weight, bias, False)


def with_relu(x, weight, bias):
    """max(forward(...), 0)"""
    return _products(x, weight, bias, True)


def _products(x, weight, bias, rectified):
    y = CudaNative.empty(output_shape(x.shape, weight.shape), x.dtype)
    M, J, K = _sizes(x, weight)
    if J == 1:
        small_products.times_vector(weight, _columns(x), _columns(y), bias, rectified)
    elif small_products.fits(M, J, K):
        small_products.times(weight, True, _columns(x), _columns(y), bias, rectified)
    elif convolution.fits(PIXEL, x.data, weight, y.data):
        convolution.forward(_map(x), _window(weight), *PLAIN, _map(y), bias, rectified)
    else:
        flat = weight.reshape(weight.size) if bias is None else bias
        _forward[y.data.size](positions(x), weight, flat, bias is not None, positions(y))
        return relu.forward(y) if rectified else y
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
    if small_products.fits(*_sizes(dx, weight)):
        # reverses: y[o] += weight[o, c] x[c]
        small_products.times(weight, False, _columns(dy), _columns(dx))
        return dx
    if convolution.fits(PIXEL, dy.data, weight, dx.data):
        convolution.backward_input(_map(dy), _window(weight), *PLAIN, _map(dx))
        return dx
    _backward_input[dx.data.size](positions(dy), weight, positions(dx))
    return dx


@kernel
def _backward_input(dy, weight, dx):
    C, P, N = dx.shape
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, p, n = e // (P * N), e // N % P, e % N
        total = dy.dtype.type(0)
        for o in range(dy.shape[0]):
            total += weight[o, c] * dy[o, p, n]  # reverses: y[o] += weight[o, c] x[c]
        dx[c, p, n] = total


def masked_backward_input(dy, weight, z):
    """backward_input(...) where z > 0, else 0: for x = max(z, 0), of which z may be either side."""
    dx = CudaNative.empty((dy.shape[0], weight.shape[1], *dy.shape[2:]), dy.dtype)
    if small_products.fits(*_sizes(dx, weight)):
        small_products.times(weight, False, _columns(dy), _columns(dx), mask=z.flat)
        return dx
    if convolution.fits(PIXEL, dy.data, weight, dx.data):
        convolution.backward_input(_map(dy), _window(weight), *PLAIN, _map(dx), mask=z.flat)
        return dx
    return relu.backward_input(backward_input(dy, weight), z)


def backward_weight(dy, x):
    dweight = memory.empty((dy.shape[1], x.shape[1]), dy.dtype)
    if small_products.fits(*_sizes(x, dweight)):
        # reverses: y[o] += weight[o, c] x[c]
        small_products.times_transposed(_columns(dy), _columns(x), dweight)
        return dweight
    if convolution.fits(PIXEL, dy.data, x.data, dweight):
        convolution.backward_weight(_map(dy), _map(x), *PLAIN, _window(dweight))
        return dweight
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
                total += dy[o, p, n] * x[c, p, n]  # reverses: y[o] += weight[o, c] x[c]
        dweight[o, c] = total


def backward_bias(dy):
    return row_sums(
        dy.data.reshape(dy.shape[1], dy.data.size // dy.shape[1])
    )  # reverses: y[o] = bias[o] + ...


def positions(x):
    """The data of (N, C, ...) as (C, positions, N): all axes behind the second as one; one position where
    there are features only.
    """
    return x.data.reshape(x.shape[1], math.prod(x.shape[2:]), x.shape[0])


def _map(x):
    """The data of (N, C, ...) as maps of one row, (C, 1, positions, N)."""
    return x.data.reshape(x.shape[1], 1, math.prod(x.shape[2:]), x.shape[0])


def _window(weight):
    return weight.reshape(*weight.shape, *PIXEL)


def _sizes(x, weight):
    """(M, J, K) of the product weight (M, K) times x (K, J)."""
    return weight.shape[0], x.data.size // max(x.shape[1], 1), weight.shape[1]


def _columns(x):
    """The data of (N, C, ...) as (C, positions and images)."""
    return x.data.reshape(x.shape[1], x.data.size // x.shape[1])
