r"""Convolutions of few maps, of stride 1 and without padding: C1 and C3 of LeNet-5, for which the tiles of
kernels/_cuda/tiles.py are too large.

A list says which maps are connected: connection k is the pair (o, c), "output map o sees input map c", and
has the filter weight[k] (table_conv2d). A thread computes a row of pixels of one map of one image, and holds
it in registers, the sums; so each number that it loads serves as many products as the filter has columns:

    forward          x[c, i + u]      . . . . . . . . . . . . . .     a row of 14 is loaded once,
                                       \ \ \ | | / / /                and each pixel is added to KW sums
                     sums = y[o, i]        . . . . . . . . . .        10 sums
    backward_input   the same, with 10 pixels of dy above and 14 sums below
    backward_weight  is another loop: kernels/_cuda/few_maps_weight.py

Threads side by side take images side by side. Rows longer than LONGEST are cut into pieces; the last piece is
as long as the others, and overlaps the one before it. Where there would be too few threads, several of them,
slices, share the connections of a map, and their sums are added in order (kernels/_cuda/few_maps_shapes.py).
"""

from functools import cache

import numpy as np

from .few_maps_shapes import LANES, WARPS, cut, lists, maps_of_block, slices_of, together
from .launch import device, divided, kernel
from .package import cuda
from .ptx import at, near, put

int32 = np.int32  # numba widens what two int32 give to int64; this makes it one register again


def forward(x, weight, bias, connections, y):
    """y (O, OH, OW, N) of x (C, H, W, N), weight (K, KH, KW) and bias (O,)."""
    (O, OH, OW, N), (K, KH, KW) = y.shape, weight.shape
    if not y.size:
        return
    images = together(N, y.dtype)
    blocks = -(-OH * cut(OW)[0] * N // images // LANES)
    slices = slices_of(blocks * O, -(-K // O))
    maps = maps_of_block(blocks, O, WARPS // slices)
    _forward(KH, KW, OW, slices, images)[(blocks, -(-O // maps)), (LANES, slices, maps)](
        flat(x), x.shape[1], N, flat(weight), bias, *lists(connections, 0, O), flat(y)
    )


@cache
def _forward(KH, KW, OW, SLICES, IMAGES):
    (PIECES, LENGTH), W, finish = cut(OW), OW + KW - 1, _finish(SLICES, cut(OW)[1], IMAGES)
    SUMS, read = (LENGTH, IMAGES), near(IMAGES)

    @kernel(
        made_with=f"{KH}x{KW}, rows of {OW}, {SLICES} slices, images by {IMAGES}",
        launch_bounds=(LANES * SLICES * (WARPS // SLICES), 1),
    )
    def forward(x, H, N, weight, bias, pairs, order, starts, y):
        """Thread (t, s, m) adds up connections s, s + SLICES, ... of a map."""
        t, s, OH = cuda.threadIdx.x, cuda.threadIdx.y, H - KH + 1
        o = min(cuda.blockIdx.y * cuda.blockDim.z + cuda.threadIdx.z, bias.size - 1)
        columns, _ = divided(N, IMAGES)
        row, n = divided(min(cuda.blockIdx.x * LANES + t, OH * PIECES * columns - 1), columns)
        i, piece = divided(row, PIECES)
        n, first = n * IMAGES, min(piece * LENGTH, OW - LENGTH)
        sums, start = cuda.local.array(SUMS, y.dtype), bias[o] if s == 0 else y.dtype.type(0)
        for j in range(LENGTH):
            for a in range(IMAGES):
                sums[j, a] = start
        for entry in range(starts[o] + s, starts[o + 1], SLICES):
            k = order[entry]
            c = pairs[k, 1]
            for u in range(KH):
                place = ((c * H + i + u) * W + first) * N + n
                for w in range(LENGTH + KW - 1):
                    numbers = read(x, place, int32(w * int32(N)))
                    for v in range(KW):
                        if 0 <= w - v < LENGTH:
                            for a in range(IMAGES):
                                sums[w - v, a] += at(weight, (k * KH + u) * KW + v) * numbers[a]
        # threads that are too many compute what others do: to the same bits
        finish(sums, y, ((o * OH + i) * OW + first) * N + n, N)

    return forward


def backward_input(dy, weight, connections, dx):
    (C, H, W, N), (K, KH, KW) = dx.shape, weight.shape
    if not dx.size:
        return
    pieces, _ = cut(W)
    # pieces have edges to look after
    images = together(N, dx.dtype) if pieces == 1 else 1
    blocks = -(-H * pieces * N // images // LANES)
    slices = slices_of(blocks * C, -(-K // C))
    maps = maps_of_block(blocks, C, WARPS // slices)
    _backward_input(KH, KW, W, slices, images)[(blocks, -(-C // maps)), (LANES, slices, maps)](
        flat(dy), H, N, flat(weight), *lists(connections, 1, C), flat(dx)
    )


@cache
def _backward_input(KH, KW, W, SLICES, IMAGES):
    (PIECES, LENGTH), OW, finish = cut(W), W - KW + 1, _finish(SLICES, cut(W)[1], IMAGES)
    SUMS, read = (LENGTH, IMAGES), near(IMAGES)

    @kernel(
        made_with=f"{KH}x{KW}, rows of {W}, {SLICES} slices, images by {IMAGES}",
        launch_bounds=(LANES * SLICES * (WARPS // SLICES), 1),
    )
    def backward_input(dy, H, N, weight, pairs, order, starts, dx):
        t, s, OH = cuda.threadIdx.x, cuda.threadIdx.y, H - KH + 1
        c = min(cuda.blockIdx.y * cuda.blockDim.z + cuda.threadIdx.z, starts.size - 2)
        columns, _ = divided(N, IMAGES)
        row, n = divided(min(cuda.blockIdx.x * LANES + t, H * PIECES * columns - 1), columns)
        h, piece = divided(row, PIECES)
        n, first = n * IMAGES, min(piece * LENGTH, W - LENGTH) if PIECES > 1 else 0
        sums = cuda.local.array(SUMS, dx.dtype)
        for w in range(LENGTH):
            for a in range(IMAGES):
                sums[w, a] = dx.dtype.type(0)
        for entry in range(starts[c] + s, starts[c + 1], SLICES):
            k = order[entry]
            o = pairs[k, 0]
            for u in range(KH):
                if 0 <= h - u < OH:
                    place = ((o * OH + h - u) * OW + first) * N + n
                    for j in range(1 - KW, LENGTH):
                        if 0 <= first + j < OW:
                            numbers = read(dy, place, int32(j * int32(N)))
                            for v in range(KW):
                                if 0 <= j + v < LENGTH:
                                    for a in range(IMAGES):
                                        # reverses: sums[w - v] += weight[k, u, v] * numbers
                                        sums[j + v, a] += at(weight, (k * KH + u) * KW + v) * numbers[a]
        finish(sums, dx, ((c * H + h) * W + first) * N + n, N)

    return backward_input


@cache
def _finish(SLICES, LENGTH, IMAGES):
    """finish(sums, out, place, N): add up the sums of threads (t, 0, m), (t, 1, m), ... of a block in this
    order, and write them to out[place + j N + a].
    """
    SUMS = LENGTH * IMAGES
    SHARED = WARPS, SUMS, LANES

    @device
    def finish(sums, out, place, N):
        if SLICES == 1:
            for j in range(LENGTH):
                for a in range(IMAGES):
                    put(out, place + j * N + a, sums[j, a])
        else:
            shared = cuda.shared.array(SHARED, out.dtype)
            t, s, line = cuda.threadIdx.x, cuda.threadIdx.y, cuda.threadIdx.z * SLICES
            for j in range(LENGTH):
                for a in range(IMAGES):
                    shared[line + s, j * IMAGES + a, t] = sums[j, a]
            cuda.syncthreads()
            for item in range(s, SUMS, SLICES):
                total = shared[line, item, t]
                for other in range(1, SLICES):
                    total += shared[line + other, item, t]
                put(out, place + item // IMAGES * N + item % IMAGES, total)

    return finish


def flat(array):
    return array.reshape(array.size)
