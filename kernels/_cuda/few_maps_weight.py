"""backward_weight of the convolutions of kernels/_cuda/few_maps.py: the gradient of every filter.

A block takes a filter, or a part of the images for it, and a thread all its taps: KH KW sums, in registers.
Of one row of dy and KH rows of x, of one image or two, it makes

    sums[u, v] += sum over j of dy[o, i, j] x[c, i + u, j + v]

so 10 pixels of dy and 5 x 14 of x are loaded for 250 products an image. Warps side by side take rows side by
side of the same images, whose rows of x overlap and come from the cache. Then the block adds the sums of its
threads up, in a tree.
"""

from functools import cache

import numpy as np

from . import memory
from .few_maps import flat
from .few_maps_shapes import LANES, SHORTER, at_once, cut, lists, parts_of, together
from .launch import device, divided, kernel
from .package import cuda
from .ptx import near
from .reduce import BLOCK, add_parts, part, tree_sums

int32 = np.int32  # numba widens what two int32 give to int64; this makes it one register again


def backward_weight(dy, x, connections, dweight):
    (_, OH, OW, N), (K, KH, KW) = dy.shape, dweight.shape
    pairs, _, _ = lists(connections, 0, len(dy))
    images, (pieces, _) = together(N, x.dtype), cut(OW, SHORTER)
    lines = -(-N // images // LANES) * OH * pieces
    parts = parts_of(K, lines)
    sums = dweight if parts == 1 else memory.empty((parts, *dweight.shape), dweight.dtype)
    _backward_weight(KH, KW, OW, images, at_once(KH * KW, x.dtype))[(K, parts), BLOCK](
        flat(dy), flat(x), OH, N, pairs, lines, flat(sums)
    )
    if parts > 1:
        add_parts(sums, flat(dweight))


@cache
def _backward_weight(KH, KW, OW, IMAGES, AT_ONCE):
    (PIECES, LENGTH), read, SUMS = cut(OW, SHORTER), near(IMAGES), KH * KW
    NUMBERS, multiply, add = (LENGTH, IMAGES), _filter_rows(KH, KW, LENGTH, IMAGES), tree_sums(SUMS, AT_ONCE)

    @kernel(made_with=f"{KH}x{KW}, rows of {OW}, images by {IMAGES}", launch_bounds=(BLOCK, 2))
    def backward_weight(dy, x, OH, N, pairs, lines, dweight):
        """dweight[p, k]: the p-th part of the sum over all lines, which are pieces of rows in LANES images or
        pairs of them: first those of the first images.
        """
        k, H, W = cuda.blockIdx.x, OH + KH - 1, OW + KW - 1
        o, c = pairs[k, 0], pairs[k, 1]
        begin, end = part(cuda.blockIdx.y, cuda.gridDim.y, lines)
        sums, numbers = cuda.local.array(SUMS, x.dtype), cuda.local.array(NUMBERS, x.dtype)
        for v in range(SUMS):
            sums[v] = x.dtype.type(0)
        for line in range(begin + cuda.threadIdx.x // LANES, end, BLOCK // LANES):
            some_images, row = divided(line, OH * PIECES)
            i, piece = divided(row, PIECES)
            n = (some_images * LANES + cuda.threadIdx.x % LANES) * IMAGES
            if n < N:
                first = min(piece * LENGTH, OW - LENGTH)
                place = ((o * OH + i) * OW + first) * N + n
                for j in range(LENGTH):
                    some = read(dy, place, int32(j * int32(N)))
                    for a in range(IMAGES):
                        numbers[j, a] = some[a]
                        if PIECES > 1 and first + j < piece * LENGTH:  # which the piece before has too
                            numbers[j, a] = x.dtype.type(0)
                multiply(sums, numbers, x, ((c * H + i) * W + first) * N + n, W * N, N)
        add(sums, dweight, (cuda.blockIdx.y * cuda.gridDim.x + k) * SUMS)

    return backward_weight


@cache
def _filter_rows(KH, KW, LENGTH, IMAGES, u=0):
    """multiply(sums, numbers, x, place, row, N): rows u, u + 1, ... of the filter, of which row u sees the
    map from x[place] on.

    A function for each row, which calls the next: so each u is a constant, and all sums are registers.
    """
    read = near(IMAGES)
    following = _filter_rows(KH, KW, LENGTH, IMAGES, u + 1) if u + 1 < KH else _nothing

    @device
    def multiply(sums, numbers, x, place, row, N):
        for w in range(LENGTH + KW - 1):
            some = read(x, place, int32(w * int32(N)))
            for v in range(KW):
                if 0 <= w - v < LENGTH:
                    for a in range(IMAGES):
                        # reverses: sums[w - v] += weight[k, u, v] * numbers
                        sums[u * KW + v] += numbers[w - v, a] * some[a]
        following(sums, numbers, x, place + row, row, N)

    return multiply


@device
def _nothing(sums, numbers, x, place, row, N):
    pass
