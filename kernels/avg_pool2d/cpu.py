"""avg_pool2d in Numba: the L images of a block are one vector, so a window is added pixel by pixel for all of
them at once.

Padding adds nothing, so windows are cut off at the edge.
"""

from .._cpu.kernel import kernel
from .._cpu.vector import fill_like, inner, lanewise, load, room, store
from .._windows import as_lengths
from . import output_shape


def forward(x, size, stride, padding, ceil=False):
    y = room(x, output_shape(x.shape, size, stride, padding, ceil))
    _forward(lanewise(x.data), *as_lengths(size), stride, padding, lanewise(y.data))
    return y


@kernel(split=("x", "y"))
def _forward(x, rows, columns, stride, padding, y):
    (blocks, C, OH, OW), (H, W) = y.shape[:4], x.shape[2:4]
    for b in range(blocks):
        for c in range(C):
            for i in range(OH):
                for j in range(OW):
                    top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
                    total = fill_like(load(x, (b, c, 0, 0)), 0)
                    for u in range(len(rows)):
                        for v in range(len(columns)):
                            if 0 <= top + u < H and 0 <= left + v < W:
                                total = total + load(x, (b, c, top + u, left + v))
                    store(
                        y,
                        (b, c, i, j),
                        _share(top, left, rows, columns, H + padding[0], W + padding[1]) * total,
                    )


@inner
def _share(top, left, rows, columns, bottom, right):
    """1 / how many places a window covers of a padded map that ends at `bottom` and `right`."""
    return 1 / ((min(top + len(rows), bottom) - top) * (min(left + len(columns), right) - left))


def backward_input(dy, x_shape, size, stride, padding):
    dx = room(dy, x_shape)
    _backward_input(lanewise(dy.data), *as_lengths(size), stride, padding, lanewise(dx.data))
    return dx


@kernel(split=("dy", "dx"))
def _backward_input(dy, rows, columns, stride, padding, dx):
    (blocks, C, OH, OW), (H, W) = dy.shape[:4], dx.shape[2:4]
    for b in range(blocks):
        for c in range(C):
            for h in range(H):
                for w in range(W):
                    store(dx, (b, c, h, w), fill_like(load(dy, (b, c, 0, 0)), 0))
            for i in range(OH):
                for j in range(OW):
                    top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
                    part = _share(top, left, rows, columns, H + padding[0], W + padding[1]) * load(
                        dy, (b, c, i, j)
                    )
                    for u in range(len(rows)):
                        for v in range(len(columns)):
                            if 0 <= top + u < H and 0 <= left + v < W:
                                pixel = (b, c, top + u, left + v)
                                store(
                                    dx, pixel, load(dx, pixel) + part
                                )  # reverses: total + x[pixel], then share * total
