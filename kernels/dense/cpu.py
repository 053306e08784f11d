"""dense in Numba: three matrix products, in the tiles of kernels/_cpu/simd.py.

Many images: L of them side by side. Forward and backward_input sum up 8 features times 3 blocks of images in
registers, one scalar of weight times three vectors of images; the weights are read where they lie, row by row
forward and column by column backward. backward_weight sums over images, so there x is transposed once
(images_first), and one scalar of dy times a vector of features gives a row of dweight.

Few images (L = 1): x is a matrix (N, C) as it is, features side by side. Forward takes dot products of its
rows with those of weight, each of which is read once and where it lies; the other two are plain products of
matrices.
"""

from functools import lru_cache

import numpy as np

from .._cpu import convolution, layouts, tiles
from .._cpu.native import Native, aligned_empty, lanes
from .._cpu.simd import DOTS, TILES
from . import output_shape

CACHE = 2**19 + 2**17  # bytes of a matrix that may stay in a core's second-level cache
ROWS_TOGETHER = 256  # of weight, of which a few neighbouring columns stay in the cache


def forward(x, weight, bias):
    y = Native.empty(output_shape(x.shape, weight.shape), x.dtype, x.data.shape[-1])
    bias = np.zeros(len(weight), x.dtype) if bias is None else bias
    if _has_positions(x):
        convolution.forward(_map(x), weight, bias, _wiring(weight.shape), (1, 1), (1, 1), (0, 0), _map(y))
    elif x.data.shape[-1] > 1:
        _images_together(x, weight, 1, weight.shape[1], bias, y)
    else:
        groups = np.array(list(convolution.split(0, len(weight), DOTS[1])), np.int64)
        tiles.row_dots(_whole_vectors(_matrix(x)), _whole_vectors(weight), groups, _matrix(y))
        layouts.add_to_rows(bias, _matrix(y))
    return y


def backward_input(dy, weight):
    dx = Native.empty((dy.shape[0], weight.shape[1], *dy.shape[2:]), dy.dtype, dy.data.shape[-1])
    # reverses: y[o] = bias[o] + sum_c weight[o, c] x[c]
    if _has_positions(dy):
        convolution.backward_input(_map(dy), weight, _wiring(weight.shape), (1, 1), (1, 1), (0, 0), _map(dx))
    elif dy.data.shape[-1] > 1:
        _images_together(dy, weight, weight.shape[1], 1, np.zeros(weight.shape[1], dy.dtype), dx)
    else:
        _rows_times_matrix(
            dy.data, (0, 1, len(weight)), (1, len(weight)), _whole_vectors(weight), _matrix(dx)
        )
    return dx


def backward_weight(dy, x):
    dweight = np.empty((dy.shape[1], x.shape[1]), dy.dtype)
    # reverses: y[o] = bias[o] + sum_c weight[o, c] x[c]
    if _has_positions(x):
        convolution.backward_weight(
            _map(dy), _map(x), _wiring(dweight.shape), (1, 1), (1, 1), (0, 0), dweight
        )
    else:  # dy (blocks, O, L) read as a matrix (O, blocks * L), times x (blocks * L, C)
        blocks, L = len(x.data), x.data.shape[-1]
        images = _images_first(x.data.reshape(blocks, x.shape[1], L)) if L > 1 else _whole_vectors(_matrix(x))
        _rows_times_matrix(dy.data, (dy.shape[1] * L, 1, L), (blocks, L), images, dweight)
    return dweight


def backward_bias(dy):
    dbias = np.empty(dy.shape[1], dy.dtype)
    tiles.lane_sums(dy.data.reshape(*dy.data.shape[:2], -1), dbias)  # reverses: y[o] = bias[o] + ...
    return dbias


def _images_together(x, weight, weight_t, weight_m, bias, y):
    """y[m] = bias[m] + sum_k weight[k * weight_t + m * weight_m] x[k] for all blocks of images; the pixels of
    a tile are blocks.
    """
    (blocks, K, O), L = (len(x.data), x.shape[1], y.shape[1]), x.data.shape[-1]
    shares = (
        next((n for n in range(1, K + 1) if K % n == 0 and K // n <= ROWS_TOGETHER), 1) if weight_t > 1 else 1
    )
    if K // shares < ROWS_TOGETHER // 4:  # hardly any divisors: y would be read and written all the time
        shares = 1
    panels, offset = _panels(O, shares, K // shares, K // shares * weight_t, weight_t, weight_m, L, L)
    # share i of the sum takes row i of the table of offsets: as if it were a window of one row, of which only
    # tap i is inside
    tiles.multiply_add_tiles(
        x.data.reshape(-1),
        weight.reshape(-1),
        bias,
        y.data.reshape(-1),
        panels,
        offset,
        (1, 0, 0, 0, 0),
        (shares, 0, 0, shares, 1, -1, 0),
        (blocks, K * L, O * L, 1, 1, 0, 0),
        L,
    )


def _rows_times_matrix(a, a_distances, size, b, y):
    """y[i] = sum over u, t < size of a[u a_u + t a_t + i a_m] b[u T + t]: y (I, J), b (U * T, at least J
    rounded up to whole vectors).
    """
    (I, J), (U, T), L = y.shape, size, lanes(y.dtype)
    vectors = -(-J // L)
    blocks = _column_blocks(vectors, len(b) * L * b.itemsize)
    run = vectors // blocks  # vectors of a row that are taken together
    result = y if vectors * L == J else aligned_empty((I, vectors * L), y.dtype)
    panels, offset = _panels(I, U, T, *a_distances, b.shape[1], vectors * L)
    tiles.multiply_add_tiles(
        b.reshape(-1),
        a.reshape(-1),
        np.zeros(I, y.dtype),
        result.reshape(-1),
        panels,
        offset,
        (1, 0, 0, 0, 0),
        (blocks, run * L, run * L, U, U + blocks, 1, 0),
        (run, L, L, 1, 1, 0, 0),
        vectors * L,
    )
    if result is not y:
        layouts.without_margins(result, y)


def _column_blocks(vectors, column):
    """Into how many blocks of columns a matrix is cut so that one stays in the cache; `column`: bytes of one
    vector's width of the matrix.
    """
    fitting = [
        blocks
        for blocks in range(1, vectors + 1)
        if vectors % blocks == 0 and column * vectors // blocks <= CACHE
    ]
    return fitting[0] if fitting and vectors // fitting[0] >= 8 else 1


@lru_cache(maxsize=256)
def _panels(count, U, T, weight_u, weight_t, weight_m, x_distance, y_distance):
    """(panels, offset) for `count` rows of y, fed by U * T rows of x: the tables of kernels/_cpu/tiles.py."""
    panels = [
        (M, T, first * weight_m, weight_u, weight_t, weight_m, 0, first * y_distance, first)
        for first, M in convolution.split(0, count, TILES)
    ]
    return np.array(panels, np.int64), convolution.int32(np.arange(U * T) * x_distance)


def _images_first(x):
    """(blocks, C, L) as (blocks * L, C), rows rounded up to whole vectors, and an odd number of them: at
    distances of some power of 2 all rows would compete for the same few places in the cache."""
    blocks, C, L = x.shape
    result = aligned_empty((blocks * L, (-(-C // L) | 1) * L), x.dtype)
    layouts.images_first(x, result.reshape(blocks, L, -1))
    return result


def _whole_vectors(x):
    """(K, J) with rows rounded up to whole vectors."""
    if x.shape[1] == _rounded(x.shape[1], x.dtype):
        return x
    padded = aligned_empty((len(x), _rounded(x.shape[1], x.dtype)), x.dtype)
    layouts.with_margins(x, 0, padded)
    return padded


def _rounded(n, dtype):
    return -(-n // lanes(dtype)) * lanes(dtype)


def _has_positions(x):
    return int(np.prod(x.shape[2:])) > 1


def _map(x):
    """Features at positions (N, C, ...) as maps (N, C, 1, positions): the layer is a convolution with a
    window of one pixel there.
    """
    return x.reshape((*x.shape[:2], 1, int(np.prod(x.shape[2:]))))


def _matrix(x):
    """Few images as the matrix (N, C)."""
    return x.data.reshape(x.shape[0], -1)


def _wiring(weight_shape):
    return convolution.wiring_of_groups(*weight_shape, 1)
