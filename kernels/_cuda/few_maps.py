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
as long as the others, and overlaps the one before it.
"""

from functools import cache

import numpy as np

from . import memory
from .launch import divided, kernel
from .package import SIMULATOR, cuda
from .ptx import at, near, put
from .reduce import BLOCK, add_parts, part, tree_sums

int32 = np.int32  # numba widens what two int32 give to int64; this makes it one register again
LONGEST = 5 if SIMULATOR else 16  # pixels of a row that a thread computes
FEW = 8  # maps on either side of a conv2d
LARGEST = 64  # pixels of a filter: its rows are unrolled in machine code
LANES = 2 if SIMULATOR else 32  # images, or pieces of rows in images, side by side in a block
SLICES = 2 if SIMULATOR else 5  # threads that share a row of dx, at most
WARPS = 4 if SIMULATOR else 16  # of LANES threads in a block, at most
# Blocks that keep any GPU busy. A constant, since the order of a sum must not depend on the GPU
BUSY = 8 if SIMULATOR else 132


def fits(weight_shape, x_shape, y_shape, stride, padding, groups):
    """Whether a conv2d has so few maps that it is computed here, and not in tiles: C1 of LeNet-5."""
    (O, C, KH, KW), plain = weight_shape, ((1, 1), (0, 0), 1)
    return (
        (tuple(stride), tuple(padding), groups) == plain
        and O <= FEW
        and C <= FEW
        and KH * KW <= LARGEST
        # with ceil, windows may reach beyond the map
        and y_shape[2:] == (x_shape[2] - KH + 1, x_shape[3] - KW + 1)
        and y_shape[0] > 0
    )


def all_pairs(weight_shape):
    """The connections of a conv2d, each output map with each input map, in the order of its filters."""
    O, C = weight_shape[:2]
    return [(o, c) for o in range(O) for c in range(C)]


def lists(pairs, by, maps):
    """Connections (o, c) as kernels read them, sorted by their output map (by = 0) or input map (by = 1):

    pairs   (K, 2)
    order   (K,): the connections in the order of these maps
    starts  (maps + 1,): where in `order` those of each map begin
    """
    return _lists(np.ascontiguousarray(pairs, np.int32).tobytes(), by, maps)


@memory.constant
def _lists(connections, by, maps):
    pairs = np.frombuffer(connections, np.int32).reshape(-1, 2)
    order = np.argsort(pairs[:, by], kind="stable")
    starts = np.searchsorted(pairs[order, by], np.arange(maps + 1))
    return pairs, order.astype(np.int32), starts.astype(np.int32)


def cut(pixels):
    """(pieces, length) of a row of so many pixels."""
    pieces = -(-pixels // LONGEST)
    return pieces, -(-pixels // pieces)


def maps_of_block(blocks, maps, most):
    """How many of `maps` maps a block computes, `most` at most: they read the same numbers, which come from
    the cache then. Fewer where there would not be BUSY blocks; `blocks` is their number for one map.
    """
    together = min(maps, most)
    while together > 1 and blocks * -(-maps // together) < BUSY:
        together -= 1
    return together


def slices_of(connections):
    """Threads that share a row of dx with so many connections: all have as many of them, or nearly."""
    return max(1, -(-connections // max(1, -(-connections // SLICES))))


def forward(x, weight, bias, connections, y):
    """y (O, OH, OW, N) of x (C, H, W, N), weight (K, KH, KW) and bias (O,)."""
    (O, OH, OW, N), (_, KH, KW) = y.shape, weight.shape
    pieces, _ = cut(OW)
    blocks = -(-OH * pieces * N // LANES)
    maps = maps_of_block(blocks, O, WARPS // 2)
    _forward(KH, KW, OW)[(blocks, -(-O // maps)), (LANES, maps)](
        flat(x), x.shape[1], N, flat(weight), bias, *lists(connections, 0, O), flat(y)
    )


@cache
def _forward(KH, KW, OW):
    (PIECES, LENGTH), W = cut(OW), OW + KW - 1

    @kernel(made_with=f"{KH}x{KW}, rows of {OW}", launch_bounds=(LANES * WARPS // 2, 2))
    def forward(x, H, N, weight, bias, pairs, order, starts, y):
        row, n = divided(cuda.blockIdx.x * LANES + cuda.threadIdx.x, N)
        i, piece = divided(row, PIECES)
        o, first = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y, min(piece * LENGTH, OW - LENGTH)
        OH = H - KH + 1
        if o >= bias.size or i >= OH:
            return
        sums = cuda.local.array(LENGTH, y.dtype)
        for j in range(LENGTH):
            sums[j] = bias[o]
        for entry in range(starts[o], starts[o + 1]):
            k = order[entry]
            c = pairs[k, 1]
            for u in range(KH):
                place = ((c * H + i + u) * W + first) * N + n
                for w in range(LENGTH + KW - 1):
                    number = near(x, place, int32(w * int32(N)))
                    for v in range(KW):
                        if 0 <= w - v < LENGTH:
                            sums[w - v] += at(weight, (k * KH + u) * KW + v) * number
        place = ((o * OH + i) * OW + first) * N + n
        for j in range(LENGTH):
            put(y, place + j * N, sums[j])

    return forward


def backward_input(dy, weight, connections, dx):
    (C, H, W, N), (_, KH, KW) = dx.shape, weight.shape
    pieces, _ = cut(W)
    slices = slices_of(-(-len(weight) // C))
    blocks = -(-H * pieces * N // LANES)
    maps = maps_of_block(blocks, C, WARPS // slices)
    _backward_input(KH, KW, W, slices)[(blocks, -(-C // maps)), (LANES, slices, maps)](
        flat(dy), H, N, flat(weight), *lists(connections, 1, C), flat(dx)
    )


@cache
def _backward_input(KH, KW, W, SLICES):
    (PIECES, LENGTH), OW, MAPS = cut(W), W - KW + 1, WARPS // SLICES
    SHARED = max(1, MAPS * (SLICES - 1)), LENGTH, LANES

    @kernel(made_with=f"{KH}x{KW}, rows of {W}, {SLICES} slices", launch_bounds=(LANES * MAPS * SLICES, 1))
    def backward_input(dy, H, N, weight, pairs, order, starts, dx):
        """Thread (t, s, m) adds up connections s, s + SLICES, ... of a map; then the threads (t, 0, m) their
        sums.
        """
        shared = cuda.shared.array(SHARED, dx.dtype)
        t, s, m, OH = cuda.threadIdx.x, cuda.threadIdx.y, cuda.threadIdx.z, H - KH + 1
        c = min(cuda.blockIdx.y * cuda.blockDim.z + m, starts.size - 2)
        row, n = divided(cuda.blockIdx.x * LANES + t, N)
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
        line = m * (SLICES - 1) - 1
        if s > 0:
            for w in range(LENGTH):
                shared[line + s, w, t] = sums[w]
        cuda.syncthreads()
        if s == 0 and h < H:
            place = ((c * H + h) * W + first) * N + n
            for w in range(LENGTH):
                total = sums[w]
                for other in range(1, SLICES):
                    total += shared[line + other, w, t]
                put(dx, place + w * N, total)

    return backward_input


def backward_weight(dy, x, connections, dweight):
    (_, OH, OW, N), (K, KH, KW) = dy.shape, dweight.shape
    (pieces, _), (pairs, _, _) = cut(OW), lists(connections, 0, len(dy))
    parts = max(1, min(2 * BUSY // (K * KH), OH * pieces * N // BLOCK))
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
