"""conv2d in numba.cuda: plain kernels, in which one thread computes one number of the result and reads all that it is made of.

Images lie innermost: the 32 threads of a warp compute the same pixel of 32 images, read neighbours in memory, and at the edge of a map all do the same.
"""
from .. import _cuda
from .._cuda import cuda, kernel
from .._cuda_native import CudaNative
from ..dense.cuda import row_sums
from . import output_shape


def forward(x, weight, bias, stride, padding, groups, ceil=False):
    y = CudaNative.empty(output_shape(x.shape, weight.shape, stride, padding, groups, ceil), x.dtype)
    _forward[y.data.size](x.data, weight, weight.reshape(weight.size) if bias is None else bias, bias is not None, *stride, *padding, y.data)
    return y


@kernel
def _forward(x, weight, bias, biased, SH, SW, PH, PW, y):
    (_, H, W, _), (O, OH, OW, N), (_, C, KH, KW) = x.shape, y.shape, weight.shape
    group = O // (x.shape[0] // C)                           # maps of y in a group
    for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        o, i, j, n = e // (OH * OW * N), e // (OW * N) % OH, e // N % OW, e % N
        total = bias[o] if biased else x.dtype.type(0)
        for c in range(C):
            for u in range(KH):
                h = i * SH + u - PH
                for v in range(KW):
                    w = j * SW + v - PW
                    if 0 <= h < H and 0 <= w < W:            # outside of the map x is zero
                        total += weight[o, c, u, v] * x[c + o // group * C, h, w, n]
        y[o, i, j, n] = total


def backward_input(dy, weight, x_shape, stride, padding, groups):
    dx = CudaNative.empty(x_shape, dy.dtype)
    _backward_input[dx.data.size](dy.data, weight, *stride, *padding, dx.data)
    return dx


@kernel
def _backward_input(dy, weight, SH, SW, PH, PW, dx):
    (O, OH, OW, _), (_, H, W, N), (_, C, KH, KW) = dy.shape, dx.shape, weight.shape
    group = O // (dx.shape[0] // C)                          # maps of dy in a group
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, h, w, n = e // (H * W * N), e // (W * N) % H, e // N % W, e % N
        total = dy.dtype.type(0)
        for o in range(c // C * group, (c // C + 1) * group):
            for u in range(KH):
                i = (h + PH - u) // SH
                for v in range(KW):
                    j = (w + PW - v) // SW
                    if i * SH + u - PH == h and 0 <= i < OH and j * SW + v - PW == w and 0 <= j < OW:
                        total += weight[o, c % C, u, v] * dy[o, i, j, n]      # reverses: y[o, i, j] += weight[o, c, u, v] x[c, h, w]
        dx[c, h, w, n] = total


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    dweight = _cuda.empty((dy.shape[1], x.shape[1] // groups, *kernel_size), dy.dtype)
    _backward_weight[dweight.size](dy.data, x.data, *stride, *padding, dweight)
    return dweight


@kernel
def _backward_weight(dy, x, SH, SW, PH, PW, dweight):
    (_, OH, OW, N), (_, H, W, _), (O, C, KH, KW) = dy.shape, x.shape, dweight.shape
    group = O // (x.shape[0] // C)
    for e in range(cuda.grid(1), dweight.size, cuda.gridsize(1)):
        o, c, u, v = e // (C * KH * KW), e // (KH * KW) % C, e // KW % KH, e % KW
        total = x.dtype.type(0)
        for i in range(OH):
            h = i * SH + u - PH
            for j in range(OW):
                w = j * SW + v - PW
                if 0 <= h < H and 0 <= w < W:
                    for n in range(N):
                        total += dy[o, i, j, n] * x[c + o // group * C, h, w, n]      # reverses: y[o, i, j] += weight[o, c, u, v] x[c, h, w]
        dweight[o, c, u, v] = total


def backward_bias(dy):
    return row_sums(dy.data.reshape(dy.shape[1], dy.data.size // dy.shape[1]))          # reverses: y[o] = bias[o] + ...
