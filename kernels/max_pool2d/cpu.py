"""max_pool2d in Numba: the L images of a block are one vector, so a window is gone through once for all of
them.

The L images have their maxima at different places. backward_input finds each maximum again and hands out dy
in the order of reading: the first pixel that equals the maximum takes all that is left of dy, lane by lane,
and leaves 0 for the others.

Where a window looks beyond the edge it sees the pixel at the edge once more: that changes no maximum, and its
second visit finds nothing left.
"""

import numpy as np

from .._cpu.kernel import kernel
from .._cpu.vector import (
    fill_like,
    inner,
    lanewise,
    load,
    load_run,
    maximum,
    room,
    store,
    store_run,
    where,
    width,
)
from .._windows import as_lengths
from . import output_shape


def forward(x, size, stride, padding, ceil=False):
    y = room(x, output_shape(x.shape, size, stride, padding, ceil))
    pool = _forward if x.data.shape[-1] > 1 else _forward_of_few
    pool(_maps(x), *as_lengths(size), stride, padding, _maps(y))
    return y


@kernel(split=("x", "y"))
def _forward(x, rows, columns, stride, padding, y):
    (maps, OH, OW), (H, W) = y.shape[:3], x.shape[1:3]
    for m in range(maps):
        for i in range(OH):
            for j in range(OW):
                top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
                if top >= 0 and left >= 0 and top + len(rows) <= H and left + len(columns) <= W:
                    store(y, (m, i, j), _largest_inside(x, m, top, left, rows, columns))
                else:
                    store(y, (m, i, j), _largest(x, m, top, left, rows, columns))


@kernel(split=("x", "y"))
def _forward_of_few(x, rows, columns, stride, padding, y):
    """The same with one image a block: first the largest of each column of a row of windows, for a register
    of columns at a time.
    """
    (maps, OH, OW), (H, W) = y.shape, x.shape[1:]
    of_columns = np.empty(W, x.dtype)
    for m in range(maps):
        for i in range(OH):
            top = i * stride[0] - padding[0]
            for w in range(0, W, width(x)):
                largest = load_run(x, (m, min(max(top, 0), H - 1), w))
                for u in range(1, len(rows)):
                    largest = _larger(load_run(x, (m, min(max(top + u, 0), H - 1), w)), largest)
                store_run(of_columns, w, largest)
            for j in range(OW):
                left = j * stride[1] - padding[1]
                best = of_columns[min(max(left, 0), W - 1)]
                for v in range(1, len(columns)):
                    value = of_columns[min(max(left + v, 0), W - 1)]
                    if value > best or value != value:
                        best = value
                y[m, i, j] = best


@inner
def _largest(x, m, top, left, rows, columns):
    largest = load(x, _pixel(x, m, top, left))
    for u in range(len(rows)):
        for v in range(len(columns)):
            largest = _larger(load(x, _pixel(x, m, top + u, left + v)), largest)
    return largest


@inner
def _largest_inside(x, m, top, left, rows, columns):
    largest = load(x, (m, top, left))
    for u in range(len(rows)):
        for v in range(len(columns)):
            largest = _larger(load(x, (m, top + u, left + v)), largest)
    return largest


@inner
def _larger(value, largest):
    return where(
        value != value, value, maximum(value, largest)
    )  # NaN is never hidden: nothing is larger than it


@inner
def _pixel(x, m, h, w):
    """Where pixel (h, w) lies, or the one at the edge nearest to it."""
    return m, min(max(h, 0), x.shape[1] - 1), min(max(w, 0), x.shape[2] - 1)


def backward_input(dy, x, size, stride, padding):
    dx = room(dy, x.shape)
    _backward_input(_maps(dy), _maps(x), *as_lengths(size), stride, padding, _maps(dx))
    return dx


@kernel(split=("dy", "x", "dx"))
def _backward_input(dy, x, rows, columns, stride, padding, dx):
    (maps, OH, OW), (H, W) = dy.shape[:3], x.shape[1:3]
    for m in range(maps):
        for h in range(H):
            for w in range(W):
                store(dx, (m, h, w), fill_like(load(dy, (m, 0, 0)), 0))
        for i in range(OH):
            for j in range(OW):
                top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
                largest, rest = _largest(x, m, top, left, rows, columns), load(dy, (m, i, j))
                for u in range(len(rows)):
                    for v in range(len(columns)):
                        pixel = _pixel(x, m, top + u, left + v)
                        value = load(x, pixel)
                        taken = where(value == largest, rest, where(value != value, rest, 0))
                        store(dx, pixel, load(dx, pixel) + taken)  # reverses: y = x[pixel]
                        rest = where(value == largest, 0, where(value != value, 0, rest))


def _maps(x):
    """(blocks * C, H, W, L), or (N * C, H, W) with one image a block: what a pool does is the same for every
    map.
    """
    data = lanewise(x.data)
    return data.reshape(-1, *data.shape[2:])
