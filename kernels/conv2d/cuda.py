"""conv2d in numba.cuda: plain kernels, in which one thread computes one number of the result and reads all
that it is made of.

Images lie innermost: the 32 threads of a warp compute the same pixel of 32 images, read neighbours in memory,
and at the edge of a map all do the same.

In float32 the same sums are computed in tiles instead, many times faster (kernels/_cuda/tiles.py,
kernels/_cuda/convolution.py), and take the relu before or behind them along: with_relu = relu after forward,
masked_backward_input = backward_input, then the backward of the relu that gave x. Where maps are few, a
thread computes a row of pixels (kernels/_cuda/few_maps.py).
"""

import math

from .._cuda import convolution, few_maps, few_maps_shapes, few_maps_weight, memory
from .._cuda.launch import cuda, kernel
from .._cuda.native import CudaNative
from .._cuda.reduce import row_sums
from ..dense import cuda as dense
from ..relu import cuda as relu
from . import output_shape


def forward(x, weight, bias, stride, padding, groups, ceil=False):
    if _one_window(x.shape, weight.shape[2:], padding, groups):
        return dense.forward(_features(x), _matrix(weight), bias).reshape(
            output_shape(x.shape, weight.shape, stride, padding, groups, ceil)
        )
    y = CudaNative.empty(output_shape(x.shape, weight.shape, stride, padding, groups, ceil), x.dtype)
    if few_maps_shapes.fits(weight.shape, x.shape, y.shape, stride, padding, groups) and bias is not None:
        few_maps.forward(x.data, _filters(weight), bias, _pairs(weight), y.data)
        return y
    if convolution.fits(weight.shape[2:], x.data, weight, y.data, groups=groups):
        convolution.forward(x.data, weight, stride, padding, groups, y.data, bias)
        return y
    _forward[y.data.size](
        x.data,
        weight,
        weight.reshape(weight.size) if bias is None else bias,
        bias is not None,
        *stride,
        *padding,
        y.data,
    )
    return y


@kernel
def _forward(x, weight, bias, biased, SH, SW, PH, PW, y):
    (_, H, W, _), (O, OH, OW, N), (_, C, KH, KW) = x.shape, y.shape, weight.shape
    group = O // (x.shape[0] // C)  # maps of y in a group
    for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        o, i, j, n = e // (OH * OW * N), e // (OW * N) % OH, e // N % OW, e % N
        total = bias[o] if biased else x.dtype.type(0)
        for c in range(C):
            for u in range(KH):
                h = i * SH + u - PH
                for v in range(KW):
                    w = j * SW + v - PW
                    if 0 <= h < H and 0 <= w < W:  # outside of the map x is zero
                        total += weight[o, c, u, v] * x[c + o // group * C, h, w, n]
        y[o, i, j, n] = total


def with_relu(x, weight, bias, stride, padding, groups, ceil=False):
    """max(forward(...), 0)"""
    if _one_window(x.shape, weight.shape[2:], padding, groups):
        return dense.with_relu(_features(x), _matrix(weight), bias).reshape(
            output_shape(x.shape, weight.shape, stride, padding, groups, ceil)
        )
    y = CudaNative.empty(output_shape(x.shape, weight.shape, stride, padding, groups, ceil), x.dtype)
    if convolution.fits(weight.shape[2:], x.data, weight, y.data, groups=groups):
        convolution.forward(x.data, weight, stride, padding, groups, y.data, bias, relu=True)
        return y
    return relu.forward(forward(x, weight, bias, stride, padding, groups, ceil))


def backward_input(dy, weight, x_shape, stride, padding, groups):
    if _one_window(x_shape, weight.shape[2:], padding, groups):
        return dense.backward_input(_features(dy), _matrix(weight)).reshape(x_shape)
    dx = CudaNative.empty(x_shape, dy.dtype)
    if few_maps_shapes.fits(weight.shape, x_shape, dy.shape, stride, padding, groups):
        few_maps.backward_input(dy.data, _filters(weight), _pairs(weight), dx.data)
        return dx
    if convolution.fits(weight.shape[2:], dy.data, weight, dx.data, groups=groups):
        convolution.backward_input(dy.data, weight, stride, padding, groups, dx.data)
        return dx
    _backward_input[dx.data.size](dy.data, weight, *stride, *padding, dx.data)
    return dx


@kernel
def _backward_input(dy, weight, SH, SW, PH, PW, dx):
    (O, OH, OW, _), (_, H, W, N), (_, C, KH, KW) = dy.shape, dx.shape, weight.shape
    group = O // (dx.shape[0] // C)  # maps of dy in a group
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, h, w, n = e // (H * W * N), e // (W * N) % H, e // N % W, e % N
        total = dy.dtype.type(0)
        for o in range(c // C * group, (c // C + 1) * group):
            for u in range(KH):
                i = (h + PH - u) // SH
                for v in range(KW):
                    j = (w + PW - v) // SW
                    if i * SH + u - PH == h and 0 <= i < OH and j * SW + v - PW == w and 0 <= j < OW:
                        total += (
                            weight[o, c % C, u, v] * dy[o, i, j, n]
                        )  # reverses: y[o, i, j] += weight[o, c, u, v] x[c, h, w]
        dx[c, h, w, n] = total


def masked_backward_input(dy, weight, x_shape, stride, padding, groups, z):
    """backward_input(...) where z > 0, else 0: for x = max(z, 0), of which z may be either side."""
    if _one_window(x_shape, weight.shape[2:], padding, groups):
        return dense.masked_backward_input(_features(dy), _matrix(weight), _features(z)).reshape(x_shape)
    dx = CudaNative.empty(x_shape, dy.dtype)
    if convolution.fits(weight.shape[2:], dy.data, weight, dx.data, groups=groups):
        convolution.backward_input(dy.data, weight, stride, padding, groups, dx.data, mask=z.flat)
        return dx
    return relu.backward_input(backward_input(dy, weight, x_shape, stride, padding, groups), z)


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    shape = (dy.shape[1], x.shape[1] // groups, *kernel_size)
    if _one_window(x.shape, kernel_size, padding, groups):
        return dense.backward_weight(_features(dy), _features(x)).reshape(*shape)
    dweight = memory.empty(shape, dy.dtype)
    if few_maps_shapes.fits(shape, x.shape, dy.shape, stride, padding, groups):
        few_maps_weight.backward_weight(dy.data, x.data, _pairs(dweight), _filters(dweight))
        return dweight
    if convolution.fits(kernel_size, dy.data, x.data, dweight, groups=groups):
        convolution.backward_weight(dy.data, x.data, stride, padding, groups, dweight)
        return dweight
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
                        total += (
                            dy[o, i, j, n] * x[c + o // group * C, h, w, n]
                        )  # reverses: y[o, i, j] += weight[o, c, u, v] x[c, h, w]
        dweight[o, c, u, v] = total


def backward_bias(dy):
    return row_sums(
        dy.data.reshape(dy.shape[1], dy.data.size // dy.shape[1])
    )  # reverses: y[o] = bias[o] + ...


def _one_window(x_shape, kernel_size, padding, groups):
    """Whether one window covers the whole map (C5 of LeNet-5): then every pixel of every map is a feature,
    and this is a dense layer.
    """
    return tuple(x_shape[2:]) == tuple(kernel_size) and tuple(padding) == (0, 0) and groups == 1


def _features(x):
    """Maps (N, C, H, W) as features (N, C * H * W)."""
    return x.reshape((x.shape[0], math.prod(x.shape[1:])))


def _matrix(weight):
    return weight.reshape(len(weight), weight.size // len(weight))


def _filters(weight):
    """The filters of (O, C, KH, KW) as (O * C, KH, KW), one for each pair of maps."""
    return weight.reshape(weight.shape[0] * weight.shape[1], *weight.shape[2:])


def _pairs(weight):
    """The pair (o, c) of each of them."""
    return few_maps_shapes.all_pairs(*weight.shape[:2])
