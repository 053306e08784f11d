"""subsample2d in numba.cuda: one thread computes single pixels of single images."""

from .._cuda import memory
from .._cuda.launch import cuda, device, divided, kernel
from .._cuda.native import CudaNative, by_rows
from .._cuda.reduce import BLOCK, part, parts, row_sums, tree_sum
from .._windows import as_lengths
from ..conv2d import cuda as conv2d
from . import output_shape


def forward(x, coefficient, bias, size):
    y = CudaNative.empty(output_shape(x.shape, bias.shape[0], size), x.dtype)
    _forward[by_rows(y)](x.rows, x.shape[0], coefficient, bias, *as_lengths(size), y.rows)
    return y


@kernel
def _forward(x, N, coefficient, bias, rows, columns, y):
    c, i = cuda.blockIdx.z, cuda.blockIdx.y
    for e in range(cuda.grid(1), y.shape[2], cuda.gridsize(1)):
        y[c, i, e] = coefficient[c] * _window_sum(x, N, c, i, e, rows, columns) + bias[c]


@device
def _window_sum(x, N, c, i, e, rows, columns):
    j, n = divided(e, N)
    total = x.dtype.type(0)
    for u in range(len(rows)):
        for v in range(len(columns)):
            total += x[c, i * len(rows) + u, (j * len(columns) + v) * N + n]
    return total


def backward_input(dy, coefficient, x_shape, size):
    dx = CudaNative.empty(x_shape, dy.dtype)
    _backward_input[by_rows(dx)](dy.rows, dy.shape[0], coefficient, *as_lengths(size), dx.rows)
    return dx


@kernel
def _backward_input(dy, N, coefficient, rows, columns, dx):
    c, h = cuda.blockIdx.z, cuda.blockIdx.y
    i = h // len(rows)
    for e in range(cuda.grid(1), dx.shape[2], cuda.gridsize(1)):
        w, n = divided(e, N)
        place = w // len(columns) * N + n
        if (
            i < dy.shape[1] and place < dy.shape[2]
        ):  # reverses: total + x[i SH + u, j SW + v], then coefficient * total
            dx[c, h, e] = coefficient[c] * dy[c, i, place]
        else:  # rows and columns that fill no window
            dx[c, h, e] = dy.dtype.type(0)


def backward_coefficient(dy, x, size):
    C, OH, length = dy.rows.shape
    P = parts(C, OH * length)
    sums = memory.empty((C, P), dy.dtype)
    _backward_coefficient[(C, P), BLOCK](dy.rows, x.rows, x.shape[0], *as_lengths(size), sums)
    return row_sums(sums)


@kernel
def _backward_coefficient(dy, x, N, rows, columns, sums):
    """sums[c, p]: the p-th part of the sum over all pixels of map c in all images, by block (c, p)."""
    c, p, length = cuda.blockIdx.x, cuda.blockIdx.y, dy.shape[2]
    first, end = part(p, cuda.gridDim.y, dy.shape[1] * length)
    total = dy.dtype.type(0)
    for place in range(first + cuda.threadIdx.x, end, BLOCK):
        i, e = divided(place, length)
        # reverses: y = coefficient * sum
        total += dy[c, i, e] * _window_sum(x, N, c, i, e, rows, columns)
    total = tree_sum(total, 1, dy)
    if cuda.threadIdx.x == 0:
        sums[c, p] = total


def backward_bias(dy):
    return conv2d.backward_bias(dy)  # reverses: y = ... + bias[c], as there
