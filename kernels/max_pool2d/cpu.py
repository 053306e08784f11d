"""max_pool2d in Numba: the L images of a block are one vector, so a window is gone through once for all of them.

The L images have their maxima at different places. backward_input finds each maximum again and hands out dy in the order of reading: the
first pixel that equals the maximum takes all that is left of dy, lane by lane, and leaves 0 for the others.

Where a window looks beyond the edge it sees the pixel at the edge once more: that changes no maximum, and its second visit finds nothing left.
"""
from .._kernel import kernel
from .._vector import fill_like, inner, lanewise, load, maximum, room, store, where
from .._windows import as_lengths
from . import output_shape


def forward(x, size, stride, padding, ceil=False):
    y = room(x, output_shape(x.shape, size, stride, padding, ceil))
    _forward(lanewise(x.data), *as_lengths(size), stride, padding, lanewise(y.data))
    return y


@kernel(split=("x", "y"))
def _forward(x, rows, columns, stride, padding, y):
    blocks, C, OH, OW = y.shape[:4]
    for b in range(blocks):
        for c in range(C):
            for i in range(OH):
                for j in range(OW):
                    store(y, (b, c, i, j), _largest(x, b, c, i * stride[0] - padding[0], j * stride[1] - padding[1], rows, columns))


@inner
def _largest(x, b, c, top, left, rows, columns):
    largest = load(x, _pixel(x, b, c, top, left))
    for u in range(len(rows)):
        for v in range(len(columns)):
            value = load(x, _pixel(x, b, c, top + u, left + v))
            largest = where(value != value, value, maximum(value, largest))                # NaN is never hidden
    return largest


@inner
def _pixel(x, b, c, h, w):
    return b, c, min(max(h, 0), x.shape[2] - 1), min(max(w, 0), x.shape[3] - 1)


def backward_input(dy, x, size, stride, padding):
    dx = room(dy, x.shape)
    _backward_input(lanewise(dy.data), lanewise(x.data), *as_lengths(size), stride, padding, lanewise(dx.data))
    return dx


@kernel(split=("dy", "x", "dx"))
def _backward_input(dy, x, rows, columns, stride, padding, dx):
    (blocks, C, OH, OW), (H, W) = dy.shape[:4], x.shape[2:4]
    for b in range(blocks):
        for c in range(C):
            for h in range(H):
                for w in range(W):
                    store(dx, (b, c, h, w), fill_like(load(dy, (b, c, 0, 0)), 0))
            for i in range(OH):
                for j in range(OW):
                    top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
                    largest, rest = _largest(x, b, c, top, left, rows, columns), load(dy, (b, c, i, j))
                    for u in range(len(rows)):
                        for v in range(len(columns)):
                            pixel = _pixel(x, b, c, top + u, left + v)
                            value = load(x, pixel)
                            taken = where(value == largest, rest, where(value != value, rest, 0))
                            store(dx, pixel, load(dx, pixel) + taken)                      # reverses: y = x[pixel]
                            rest = where(value == largest, 0, where(value != value, 0, rest))
