"""max_pool2d in numba.cuda: one thread computes a pixel of one image, or of four: images lie innermost, so
four of them are loaded at once, and what it takes to find a pixel is computed once for all four.

backward_input first notes where each window has its maximum; then each pixel goes through the windows that
contain it, and takes dy of those that it has won. So each window is searched once, however many pixels ask,
and nobody adds where others do.
"""

from functools import cache

import numpy as np

from .._cuda import memory
from .._cuda.launch import cuda, divided, kernel, row_blocks
from .._cuda.native import CudaNative
from .._cuda.ptx import near
from .._cuda.windows import lengths, most_windows, window_and_tap, within
from . import output_shape

FOUR = 4  # images


def _images(*arrays):
    """How many images a thread takes: four where all have as many as four divides."""
    return FOUR if all(x.shape[0] % FOUR == 0 for x in arrays) else 1


def _launch(y, images):
    C, H, length = y.rows.shape
    return row_blocks(length // images, H, C)


def forward(x, size, stride, padding, ceil=False):
    y = CudaNative.empty(output_shape(x.shape, size, stride, padding, ceil), x.dtype)
    images = _images(x)
    geometry = *lengths(size, stride), padding
    _searching(images, False)[_launch(y, images)](x.flat, x.shape, y.shape, *geometry, y.flat)
    return y


@cache
def _searching(images, places):
    """The kernel that finds the first maximum of every window in the order of reading: it notes the largest
    number, or its place: u times the width of the window + v.

    Pixels at the edge may be seen more than once: that changes no maximum, and not which one comes first.
    """
    read = near(images)

    @kernel(made_with=f"{'places' if places else 'numbers'} of {images}")
    def search(x, x_shape, y_shape, size, stride, padding, found):
        c, i, (N, _, H, W) = cuda.blockIdx.z, cuda.blockIdx.y, x_shape
        OH, OW = y_shape[2:]
        best, winner = cuda.local.array(images, x.dtype), cuda.local.array(images, np.int32)
        for group in range(cuda.grid(1), OW * N // images, cuda.gridsize(1)):
            j, n = divided(group * images, N)
            top, left = i * len(stride[0]) - padding[0], j * len(stride[1]) - padding[1]
            for u in range(len(size[0])):
                h = within(top + u, H)
                for v in range(len(size[1])):
                    w = within(left + v, W)
                    values = read(x, ((c * H + h) * W + w) * N + n, 0)
                    for a in range(images):
                        value = values[a]
                        # NaN is never hidden: nothing is larger than it
                        larger = (value > best[a]) | (value != value) & (best[a] == best[a])
                        if larger | (u + v == 0):
                            best[a], winner[a] = value, (h - top) * len(size[1]) + w - left
            e = (c * OH + i) * OW * N + group * images
            for a in range(images):
                found[e + a] = winner[a] if places else best[a]

    return search


def backward_input(dy, x, size, stride, padding):
    # one byte a window, in general
    winners = memory.empty((dy.data.size,), np.min_scalar_type(size[0] * size[1] - 1))
    images, geometry = _images(x), (x.shape, dy.shape, *lengths(size, stride), padding)
    _searching(images, True)[_launch(dy, images)](x.flat, *geometry, winners)
    dx = CudaNative.empty(x.shape, dy.dtype)
    _collecting(images)[_launch(dx, images)](dy.flat, winners, *geometry, dx.flat)
    return dx


@cache
def _collecting(images):
    """The kernel that gives each pixel dy of the windows that it has won."""
    read = near(images)

    @kernel(made_with=f"{images} images")
    def collect(dy, winners, x_shape, y_shape, size, stride, padding, dx):
        c, h, (N, _, H, W) = cuda.blockIdx.z, cuda.blockIdx.y, x_shape
        OH, OW = y_shape[2:]
        total = cuda.local.array(images, dy.dtype)
        for group in range(cuda.grid(1), W * N // images, cuda.gridsize(1)):
            w, n = divided(group * images, N)
            for a in range(images):
                total[a] = dy.dtype.type(0)
            for a in range(most_windows(size[0], stride[0])):
                i, u = window_and_tap(h + padding[0], stride[0], a)
                for b in range(most_windows(size[1], stride[1])):
                    j, v = window_and_tap(w + padding[1], stride[1], b)
                    row, column = within(i, OH), within(j, OW)
                    e = ((c * OH + row) * OW + column) * N + n
                    parts, won = read(dy, e, 0), read(winners, e, 0)
                    there = (row == i) & (column == j) & (u < len(size[0])) & (v < len(size[1]))
                    for m in range(images):
                        # reverses: y = x[winner]
                        if there & (won[m] == u * len(size[1]) + v):
                            total[m] += parts[m]
            e = (c * H + h) * W * N + group * images
            for a in range(images):
                dx[e + a] = total[a]

    return collect
