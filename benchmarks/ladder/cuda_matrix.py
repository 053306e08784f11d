"""conv2d as one matrix product, of which no factor is written down: what the rungs above cuda_coalesced share.

    out[m, j] = sum_k A[k, m] B[k, j]

                   m   j          k          A[k, m]              B[k, j]
    forward        o   (i, j, n)  (c, u, v)  weight[o, c, u, v]   x[c, i SH + u - PH, j SW + v - PW, n], or 0
    backward_input c   (h, w, n)  (o, u, v)  weight[o, c, u, v]   dy[o, (h + PH - u) / SH, (w + PW - v) / SW, n], or 0
    backward_weight o  (c, u, v)  (i, j, n)  dy[o, i, j, n]       x as above

A block of threads computes a tile of `out`, in steps along k, which it loads one after the other into shared
memory (cuda_factors.py). Where there are few tiles, as for dweight, several blocks take some of the steps
each, and a second kernel adds up their parts, in order.
"""  # noqa: E501

import math

from ...kernels._cuda import memory
from ...kernels._cuda.launch import cuda, kernel
from ...kernels._cuda.native import CudaNative
from ...kernels.conv2d import output_shape

BLOCKS = 512  # that are wished for at least: a constant, since the order of a sum must not depend on the GPU
STEPS = 8  # of a block at least


class Directions:
    """The three functions of a rung. make(direction): its kernel; tile: (BM, BN, BK, threads)."""

    def __init__(self, make, tile):
        self.make, self.tile = make, tile

    def forward(self, x, weight, bias, stride, padding, groups):
        y = CudaNative.empty(output_shape(x.shape, weight.shape, stride, padding, groups), x.dtype)
        O, *taps = weight.shape
        K, J = math.prod(taps), y.data.size // O
        window = *taps, y.shape[3], *stride, *padding
        sizes = O // groups, J, K
        self._multiply(
            "forward", weight.reshape(O, K), x.data, sizes, groups, window, y.data.reshape(O, J), bias
        )
        return y

    def backward_input(self, dy, weight, x_shape, stride, padding, groups):
        dx = CudaNative.empty(x_shape, dy.dtype)
        (O, C, KH, KW), J = weight.shape, dx.data.size // x_shape[1]
        window = O // groups, KH, KW, x_shape[3], *stride, *padding
        sizes = C, J, O // groups * KH * KW
        a, out = weight.reshape(O, C * KH * KW), dx.data.reshape(x_shape[1], J)
        # reverses: y[o, i, j] += weight[o, c, u, v] x[c, h, w]
        self._multiply("backward_input", a, dy.data, sizes, groups, window, out)
        return dx

    def backward_weight(self, dy, x, kernel_size, stride, padding, groups):
        O, taps = dy.shape[1], (x.shape[1] // groups, *kernel_size)
        dweight = memory.empty((O, *taps), dy.dtype)
        K, J = dy.data.size // O, math.prod(taps)
        window = *taps, dy.shape[3], *stride, *padding
        sizes = O // groups, J, K
        # reverses: y[o, i, j] += weight[o, c, u, v] x[c, h, w]
        self._multiply(
            "backward_weight", dy.data.reshape(O, K), x.data, sizes, groups, window, dweight.reshape(O, J)
        )
        return dweight

    def _multiply(self, direction, a, b, sizes, groups, window, out, bias=None):
        (M, J, K), (BM, BN, BK, threads) = sizes, self.tile
        tiles = -(-M // BM) * -(-J // BN) * groups
        splits = max(1, min(-(-BLOCKS // tiles), -(-K // BK) // STEPS))
        parts = out.reshape(1, *out.shape) if splits == 1 else memory.empty((splits, *out.shape), out.dtype)
        biases = a.reshape(a.size) if bias is None else bias
        grid = -(-J // BN), -(-M // BM), groups * splits
        self.make(direction)[grid, threads](a, b, sizes, splits, window, biases, bias is not None, parts)
        if splits > 1:
            add_parts[out.size](parts.reshape(splits, out.size), out.reshape(out.size))


@kernel
def add_parts(parts, out):
    for e in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        total = parts[0, e]
        for s in range(1, len(parts)):
            total += parts[s, e]
        out[e] = total
