"""max_pool2d in numba.cuda: one thread computes single pixels of single images.

backward_input first notes where each window has its maximum; then each pixel goes through the windows that
contain it, and takes dy of those that it has won. So each window is searched once, however many pixels ask,
and nobody adds where others do.
"""

import numpy as np

from .._cuda import memory
from .._cuda.launch import cuda, device, divided, kernel
from .._cuda.native import CudaNative, by_rows
from .._cuda.windows import lengths, map_size, most_windows, window_and_tap, within
from . import output_shape


def forward(x, size, stride, padding, ceil=False):
    y = CudaNative.empty(output_shape(x.shape, size, stride, padding, ceil), x.dtype)
    _forward[by_rows(y)](x.rows, x.shape[0], *lengths(size, stride), padding, y.rows)
    return y


@kernel
def _forward(x, N, size, stride, padding, y):
    c, i = cuda.blockIdx.z, cuda.blockIdx.y
    for e in range(cuda.grid(1), y.shape[2], cuda.gridsize(1)):
        y[c, i, e] = _search(x, N, c, i, e, size, stride, padding)[0]


@device
def _search(x, N, c, i, e, size, stride, padding):
    """The first maximum of a window in the order of reading, and its place: u times the width of the window +
    v.

    Pixels at the edge may be seen more than once: that changes no maximum, and not which one comes first.
    """
    (j, n), (H, W) = divided(e, N), map_size(x, N)
    top, left = i * len(stride[0]) - padding[0], j * len(stride[1]) - padding[1]
    best, winner = x.dtype.type(0), 0
    for u in range(len(size[0])):
        h = within(top + u, H)
        for v in range(len(size[1])):
            w = within(left + v, W)
            value = x[c, h, w * N + n]
            larger = (value > best) | (value != value) & (
                best == best
            )  # NaN is never hidden: nothing is larger than it
            if larger | (u + v == 0):
                best, winner = value, (h - top) * len(size[1]) + w - left
    return best, winner


def backward_input(dy, x, size, stride, padding):
    winners = memory.empty(
        dy.rows.shape, np.min_scalar_type(size[0] * size[1] - 1)
    )  # one byte a window, in general
    _note_winners[by_rows(dy)](x.rows, x.shape[0], *lengths(size, stride), padding, winners)
    dx = CudaNative.empty(x.shape, dy.dtype)
    _backward_input[by_rows(dx)](dy.rows, winners, x.shape[0], *lengths(size, stride), padding, dx.rows)
    return dx


@kernel
def _note_winners(x, N, size, stride, padding, winners):
    c, i = cuda.blockIdx.z, cuda.blockIdx.y
    for e in range(cuda.grid(1), winners.shape[2], cuda.gridsize(1)):
        winners[c, i, e] = _search(x, N, c, i, e, size, stride, padding)[1]


@kernel
def _backward_input(dy, winners, N, size, stride, padding, dx):
    c, h, (OH, OW) = cuda.blockIdx.z, cuda.blockIdx.y, map_size(dy, N)
    for e in range(cuda.grid(1), dx.shape[2], cuda.gridsize(1)):
        w, n = divided(e, N)
        total = zero = dy.dtype.type(0)
        for a in range(most_windows(size[0], stride[0])):
            i, u = window_and_tap(h + padding[0], stride[0], a)
            for b in range(most_windows(size[1], stride[1])):
                j, v = window_and_tap(w + padding[1], stride[1], b)
                near = within(i, OH), within(j, OW)
                part, winner = dy[c, near[0], near[1] * N + n], winners[c, near[0], near[1] * N + n]
                there = (near[0] == i) & (near[1] == j) & (u < len(size[0])) & (v < len(size[1]))
                total += part if there & (winner == u * len(size[1]) + v) else zero  # reverses: y = x[winner]
        dx[c, h, e] = total
