"""conv2d as one matrix product, of which no factor is written down: what the rungs above cuda_coalesced share.

    out[m, j] = sum_k A[k, m] B[k, j]

                   m   j          k          A[k, m]              B[k, j]
    forward        o   (i, j, n)  (c, u, v)  weight[o, c, u, v]   x[c, i SH + u - PH, j SW + v - PW, n], or 0
    backward_input c   (h, w, n)  (o, u, v)  weight[o, c, u, v]   dy[o, (h + PH - u) / SH, (w + PW - v) / SW, n], or 0
    backward_weight o  (c, u, v)  (i, j, n)  dy[o, i, j, n]       x as above

A block of threads computes a tile of `out`, in steps along k, which it loads one after the other into shared
memory. Which number of x that is, divisions tell, at each number anew: about 90 instructions for one. Where
there are few tiles, as for dweight, several blocks take some of the steps each, and a second kernel adds up
their parts, in order.
"""  # noqa: E501

import math

from ...kernels._cuda import memory
from ...kernels._cuda.launch import cuda, device, divided, kernel
from ...kernels._cuda.native import CudaNative
from ...kernels.conv2d import output_shape

BLOCKS = 512  # that are wished for at least: a constant, since the order of a sum must not depend on the GPU
STEPS = 8  # of a block at least


@device
def row_at(a, group, k, m, sizes, window):
    """A of forward and backward_weight: weight as (O, C KH KW), dy as (O, OH OW N)."""
    return a[group * sizes[0] + m, k]


@device
def weight_at(a, group, k, m, sizes, window):
    """A of backward_input."""
    taps = window[1] * window[2]
    o, tap = divided(k, taps)
    return a[group * (sizes[2] // taps) + o, m * taps + tap]


@device
def begin(place, x, window):
    """(h, w, n): where the window at place (i, j) of image n begins in the map, before it where negative."""
    _, _, _, OW, SH, SW, PH, PW = window
    pixel, n = divided(place, x.shape[3])
    i, j = divided(pixel, OW)
    return i * SH - PH, j * SW - PW, n


@device
def x_at(x, group, tap, h, w, n, window):
    """What tap (c, u, v) of the window that begins at (h, w) sees in image n."""
    (_, H, W, _), (C, KH, KW) = x.shape, window[:3]
    c, uv = divided(tap, KH * KW)
    u, v = divided(uv, KW)
    inside = 0 <= h + u < H and 0 <= w + v < W
    return x[group * C + c, h + u, w + v, n] if inside else x.dtype.type(0)


@device
def pixel(place, dy, window):
    """(h + PH, w + PW, n): pixel (h, w) of image n, counted from the first one of the padding."""
    _, _, _, W, _, _, PH, PW = window
    row, n = divided(place, dy.shape[3])
    h, w = divided(row, W)
    return h + PH, w + PW, n


@device
def dy_at(dy, group, tap, h, w, n, window):
    """dy where the window saw pixel (h, w) of the padded map through tap (o, u, v)."""
    (_, OH, OW, _), (O, KH, KW, _, SH, SW, _, _) = dy.shape, window
    o, uv = divided(tap, KH * KW)
    u, v = divided(uv, KW)
    (i, above), (j, beside) = divided(max(h - u, 0), SH), divided(max(w - v, 0), SW)
    seen = h >= u and w >= v and above == 0 and beside == 0 and i < OH and j < OW
    return dy[group * O + o, i, j, n] if seen else dy.dtype.type(0)


# direction -> A, the two functions of B, and whether its places are k, and its taps j
FACTORS = {
    "forward": (row_at, begin, x_at, False),
    "backward_input": (weight_at, pixel, dy_at, False),
    "backward_weight": (row_at, begin, x_at, True),
}


def loader(direction, BM, BN, BK, THREADS, A_ROW, B_ROW):
    """load(shared, ...): the threads of a block copy step k0 of their tile into shared memory, with 0 beyond
    the edges: A[k, m] to shared[m A_ROW + k], B[k, j] behind it, to shared[BM A_ROW + k B_ROW + j].

    Neighbouring threads copy neighbours in memory. Of B a thread has one place and several taps.
    """
    a_at, found, b_at, ALONG_K = FACTORS[direction]
    ACROSS, DEEP = (BK, BN) if ALONG_K else (BN, BK)  # places and taps of a step

    @device
    def load(shared, a, b, group, m0, j0, k0, sizes, window):
        (M, J, K), zero = sizes, a.dtype.type(0)
        for turn in range(BM * BK // THREADS):
            e = cuda.threadIdx.x + turn * THREADS
            m, k = e // BK, e % BK
            inside = m0 + m < M and k0 + k < K
            shared[m * A_ROW + k] = a_at(a, group, k0 + k, m0 + m, sizes, window) if inside else zero
        place0, tap0, places, taps = (k0, j0, K, J) if ALONG_K else (j0, k0, J, K)
        p, first = cuda.threadIdx.x % ACROSS, cuda.threadIdx.x // ACROSS
        h, w, n = found(place0 + p, b, window)
        for turn in range(ACROSS * DEEP // THREADS):
            t = first + turn * (THREADS // ACROSS)
            inside = place0 + p < places and tap0 + t < taps
            word = p * B_ROW + t if ALONG_K else t * B_ROW + p
            shared[BM * A_ROW + word] = b_at(b, group, tap0 + t, h, w, n, window) if inside else zero

    return load


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
