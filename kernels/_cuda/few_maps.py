r"""Convolutions of few maps, of stride 1 and without padding: C1 and C3 of LeNet-5, for which the tiles of
kernels/_cuda/tiles.py are too large.

A list says which maps are connected: connection k is the pair (o, c), "output map o sees input map c", and
has the filter weight[k] (table_conv2d). A thread computes a row of pixels of one map of one image, and holds
it in registers, the sums; so each number that it loads serves as many products as the filter has columns:

    forward          x[c, i + u]      . . . . . . . . . . . . . .     a row of 14 is loaded once,
                                       \ \ \ | | / / /                and each pixel is added to KW sums
                     sums = y[o, i]        . . . . . . . . . .        10 sums
    backward_input   the same, with 10 pixels of dy above and 14 sums below
    backward_weight  10 pixels of dy[o, i] and 14 of x[c, i + u] make KW sums, a row of the filter

Threads side by side take images side by side. Rows longer than LONGEST are cut into pieces; the last piece is
as long as the others, and overlaps the one before it. Where there would be too few threads, several of them,
slices, share the connections of a map, and their sums are added in order (kernels/_cuda/few_maps_shapes.py).
"""

from functools import cache

import numpy as np

from . import memory
from .few_maps_shapes import LANES, WARPS, cut, lists, maps_of_block, parts_of, slices_of
from .launch import device, divided, kernel
from .package import cuda
from .ptx import at, near, put
from .reduce import BLOCK, add_parts, part, tree_sums

int32 = np.int32  # numba widens what two int32 give to int64; this makes it one register again


def forward(x, weight, bias, connections, y):
    """y (O, OH, OW, N) of x (C, H, W, N), weight (K, KH, KW) and bias (O,)."""
    (O, OH, OW, N), (K, KH, KW) = y.shape, weight.shape
    if not y.size:
        return
    blocks = -(-OH * cut(OW)[0] * N // LANES)
    slices = slices_of(blocks * O, -(-K // O))
    maps = maps_of_block(blocks, O, WARPS // slices)
    _forward(KH, KW, OW, slices)[(blocks, -(-O // maps)), (LANES, slices, maps)](
        flat(x), x.shape[1], N, flat(weight), bias, *lists(connections, 0, O), flat(y)
    )


@cache
def _forward(KH, KW, OW, SLICES):
    (PIECES, LENGTH), W, add = cut(OW), OW + KW - 1, _slices(SLICES, cut(OW)[1])

    @kernel(
        made_with=f"{KH}x{KW}, rows of {OW}, {SLICES} slices",
        launch_bounds=(LANES * SLICES * (WARPS // SLICES), 1),
    )
    def forward(x, H, N, weight, bias, pairs, order, starts, y):
        """Thread (t, s, m) adds up connections s, s + SLICES, ... of a map; then threads (t, 0, m) their
        sums.
        """
        t, s, OH = cuda.threadIdx.x, cuda.threadIdx.y, H - KH + 1
        o = min(cuda.blockIdx.y * cuda.blockDim.z + cuda.threadIdx.z, bias.size - 1)
        row, n = divided(min(cuda.blockIdx.x * LANES + t, OH * PIECES * N - 1), N)
        i, piece = divided(row, PIECES)
        first = min(piece * LENGTH, OW - LENGTH)
        sums = cuda.local.array(LENGTH, y.dtype)
        for j in range(LENGTH):
            sums[j] = bias[o] if s == 0 else y.dtype.type(0)
        for entry in range(starts[o] + s, starts[o + 1], SLICES):
            k = order[entry]
            c = pairs[k, 1]
            for u in range(KH):
                place = ((c * H + i + u) * W + first) * N + n
                for w in range(LENGTH + KW - 1):
                    number = near(x, place, int32(w * int32(N)))
                    for v in range(KW):
                        if 0 <= w - v < LENGTH:
                            sums[w - v] += at(weight, (k * KH + u) * KW + v) * number
        add(sums)
        # several threads may compute the same: to the same bits
        if s == 0:
            place = ((o * OH + i) * OW + first) * N + n
            for j in range(LENGTH):
                put(y, place + j * N, sums[j])

    return forward


def backward_input(dy, weight, connections, dx):
    (C, H, W, N), (K, KH, KW) = dx.shape, weight.shape
    if not dx.size:
        return
    blocks = -(-H * cut(W)[0] * N // LANES)
    slices = slices_of(blocks * C, -(-K // C))
    maps = maps_of_block(blocks, C, WARPS // slices)
    _backward_input(KH, KW, W, slices)[(blocks, -(-C // maps)), (LANES, slices, maps)](
        flat(dy), H, N, flat(weight), *lists(connections, 1, C), flat(dx)
    )


@cache
def _backward_input(KH, KW, W, SLICES):
    (PIECES, LENGTH), OW, add = cut(W), W - KW + 1, _slices(SLICES, cut(W)[1])

    @kernel(
        made_with=f"{KH}x{KW}, rows of {W}, {SLICES} slices",
        launch_bounds=(LANES * SLICES * (WARPS // SLICES), 1),
    )
    def backward_input(dy, H, N, weight, pairs, order, starts, dx):
        t, s, OH = cuda.threadIdx.x, cuda.threadIdx.y, H - KH + 1
        c = min(cuda.blockIdx.y * cuda.blockDim.z + cuda.threadIdx.z, starts.size - 2)
        row, n = divided(min(cuda.blockIdx.x * LANES + t, H * PIECES * N - 1), N)
        h, piece = divided(row, PIECES)
        first = min(piece * LENGTH, W - LENGTH) if PIECES > 1 else 0
        sums = cuda.local.array(LENGTH, dx.dtype)
        for w in range(LENGTH):
            sums[w] = dx.dtype.type(0)
        for entry in range(starts[c] + s, starts[c + 1], SLICES):
            k = order[entry]
            o = pairs[k, 0]
            for u in range(KH):
                if 0 <= h - u < OH:
                    place = ((o * OH + h - u) * OW + first) * N + n
                    for j in range(1 - KW, LENGTH):
                        if 0 <= first + j < OW:
                            number = near(dy, place, int32(j * int32(N)))
                            for v in range(KW):
                                if 0 <= j + v < LENGTH:
                                    # reverses: sums[w - v] += weight[k, u, v] * number
                                    sums[j + v] += at(weight, (k * KH + u) * KW + v) * number
        add(sums)
        if s == 0:
            place = ((c * H + h) * W + first) * N + n
            for w in range(LENGTH):
                put(dx, place + w * N, sums[w])

    return backward_input


@cache
def _slices(SLICES, LENGTH):
    """add(sums): add those of threads (t, 1, m), (t, 2, m), ... of a block to the sums of thread (t, 0, m)."""
    SHARED = max(1, WARPS // SLICES * (SLICES - 1)), LENGTH, LANES

    @device
    def add(sums):
        if SLICES > 1:
            shared = cuda.shared.array(SHARED, sums.dtype)
            t, s, line = cuda.threadIdx.x, cuda.threadIdx.y, cuda.threadIdx.z * (SLICES - 1) - 1
            if s > 0:
                for j in range(LENGTH):
                    shared[line + s, j, t] = sums[j]
            cuda.syncthreads()
            if s == 0:
                for j in range(LENGTH):
                    for other in range(1, SLICES):
                        sums[j] += shared[line + other, j, t]

    return add


def backward_weight(dy, x, connections, dweight):
    (_, OH, OW, N), (K, KH, KW) = dy.shape, dweight.shape
    pairs, _, _ = lists(connections, 0, len(dy))
    parts = parts_of(K * KH, OH * cut(OW)[0] * N)
    sums = dweight if parts == 1 else memory.empty((parts, *dweight.shape), dweight.dtype)
    _backward_weight(KH, KW, OW)[(K * KH, parts), BLOCK](flat(dy), flat(x), OH, N, pairs, flat(sums))
    if parts > 1:
        add_parts(sums, flat(dweight))


@cache
def _backward_weight(KH, KW, OW):
    (PIECES, LENGTH), add = cut(OW), tree_sums(KW, 1)

    @kernel(made_with=f"{KH}x{KW}, rows of {OW}", launch_bounds=(BLOCK, 2))
    def backward_weight(dy, x, OH, N, pairs, dweight):
        """dweight[p, k, u, v]: the p-th part of the sum over all pieces of rows in all images."""
        k, u = divided(cuda.blockIdx.x, KH)
        o, c = pairs[k, 0], pairs[k, 1]
        total, H, W = OH * PIECES * N, OH + KH - 1, OW + KW - 1
        begin, end = part(cuda.blockIdx.y, cuda.gridDim.y, total)
        sums, numbers = cuda.local.array(KW, x.dtype), cuda.local.array(LENGTH, x.dtype)
        for v in range(KW):
            sums[v] = x.dtype.type(0)
        for e in range(begin + cuda.threadIdx.x, end, BLOCK):
            row, n = divided(e, N)
            i, piece = divided(row, PIECES)
            first = min(piece * LENGTH, OW - LENGTH)
            place = ((o * OH + i) * OW + first) * N + n
            for j in range(LENGTH):
                numbers[j] = near(dy, place, int32(j * int32(N)))
                if PIECES > 1 and first + j < piece * LENGTH:  # which the piece before has too
                    numbers[j] = x.dtype.type(0)
            place = ((c * H + i + u) * W + first) * N + n
            for w in range(LENGTH + KW - 1):
                number = near(x, place, int32(w * int32(N)))
                for v in range(KW):
                    if 0 <= w - v < LENGTH:
                        # reverses: sums[w - v] += weight[k, u, v] * number
                        sums[v] += numbers[w - v] * number
        add(sums, x)
        if cuda.threadIdx.x == 0:
            for v in range(KW):
                put(dweight, (cuda.blockIdx.y * cuda.gridDim.x + cuda.blockIdx.x) * KW + v, sums[v])

    return backward_weight


def flat(array):
    return array.reshape(array.size)
