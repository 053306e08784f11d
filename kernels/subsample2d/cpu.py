"""subsample2d in Numba: the L images of a block are one vector, so a window is added pixel by pixel for all
of them at once.
"""

import numpy as np

from .._cpu.kernel import kernel
from .._cpu.vector import fill_like, fma, inner, lane_sum, lanewise, load, room, store
from .._windows import as_lengths
from ..conv2d import cpu as conv2d
from . import output_shape


def forward(x, coefficient, bias, size):
    y = room(x, output_shape(x.shape, len(bias), size))
    _forward(lanewise(x.data), coefficient, bias, *as_lengths(size), lanewise(y.data))
    return y


@kernel(split=("x", "y"))
def _forward(x, coefficient, bias, rows, columns, y):
    blocks, C, OH, OW = y.shape[:4]
    for b in range(blocks):
        for c in range(C):
            for i in range(OH):
                for j in range(OW):
                    store(
                        y,
                        (b, c, i, j),
                        fma(_window_sum(x, b, c, i, j, rows, columns), coefficient[c], bias[c]),
                    )


@inner
def _window_sum(x, b, c, i, j, rows, columns):
    total = fill_like(load(x, (b, c, i, j)), 0)
    for u in range(len(rows)):
        for v in range(len(columns)):
            total = total + load(x, (b, c, i * len(rows) + u, j * len(columns) + v))
    return total


def backward_input(dy, coefficient, x_shape, size):
    dx = room(dy, x_shape)
    _backward_input(lanewise(dy.data), coefficient, *as_lengths(size), lanewise(dx.data))
    return dx


@kernel(split=("dy", "dx"))
def _backward_input(dy, coefficient, rows, columns, dx):
    (blocks, C, OH, OW), (H, W) = dy.shape[:4], dx.shape[2:4]
    for b in range(blocks):
        for c in range(C):
            for i in range(OH):
                for j in range(OW):
                    part = load(dy, (b, c, i, j)) * coefficient[c]
                    for u in range(len(rows)):
                        for v in range(
                            len(columns)
                        ):  # reverses: total + x[i SH + u, j SW + v], then coefficient * total
                            store(dx, (b, c, i * len(rows) + u, j * len(columns) + v), part)
            for h in range(H):  # rows and columns that fill no window
                for w in range(OW * len(columns) if h < OH * len(rows) else 0, W):
                    store(dx, (b, c, h, w), fill_like(load(dy, (b, c, 0, 0)), 0))


def backward_coefficient(dy, x, size):
    dcoefficient = np.empty(x.shape[1], dy.dtype)
    _backward_coefficient(lanewise(dy.data), lanewise(x.data), *as_lengths(size), dcoefficient)
    return dcoefficient


@kernel
def _backward_coefficient(dy, x, rows, columns, dcoefficient):
    blocks, C, OH, OW = dy.shape[:4]
    for c in range(C):
        total = fill_like(
            load(dy, (0, c, 0, 0)), 0
        )  # one sum a lane, and within it one a block: short chains of rounding errors
        for b in range(blocks):
            of_block = fill_like(total, 0)
            for i in range(OH):
                for j in range(OW):
                    of_block = fma(
                        load(dy, (b, c, i, j)), _window_sum(x, b, c, i, j, rows, columns), of_block
                    )  # reverses: y = coefficient * sum
            total = total + of_block
        dcoefficient[c] = lane_sum(total)


def backward_bias(dy):
    return conv2d.backward_bias(dy)  # reverses: y = ... + bias[c], as there
