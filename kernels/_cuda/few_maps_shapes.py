"""Which convolutions kernels/_cuda/few_maps.py computes, how their maps are connected, and how their work is
cut into threads. It follows from the shapes alone, never from the GPU at hand, since the order of sums does.
"""

from functools import cache

import numpy as np

from . import memory
from .package import SIMULATOR
from .reduce import BLOCK
from .tile_shapes import MULTIPROCESSORS

FEW = 8  # maps on either side of a conv2d
LARGEST = 64  # pixels of a filter: its rows are unrolled in machine code
LONGEST = 5 if SIMULATOR else 16  # pixels of a row that a thread computes
SHORTER = 4 if SIMULATOR else 10  # the same in backward_weight, where threads have more to hold
LANES = 2 if SIMULATOR else 32  # images, or pieces of rows in images, side by side in a block
WARPS = 4 if SIMULATOR else 12  # of LANES threads in a block, at most
# times that the threads of a block add, for which no other block helps it: help costs a second launch
ALONE = 2
SHARED = 2**8 if SIMULATOR else 48 * 2**10  # bytes of a block
SOME = 3 if SIMULATOR else 12  # sums of all threads of a block, in float64 half of it
MOST_SLICES = 3 if SIMULATOR else 10
ENOUGH = 16 if SIMULATOR else 8 * MULTIPROCESSORS  # warps that keep a GPU busy


def fits(weight_shape, x_shape, y_shape, stride, padding, groups):
    """Return True where a conv2d has so few maps that it is computed here, not in tiles: C1 of LeNet-5."""
    (O, C, KH, KW), plain = weight_shape, ((1, 1), (0, 0), 1)
    return (
        (tuple(stride), tuple(padding), groups) == plain
        and O <= FEW
        and C <= FEW
        and KH * KW <= LARGEST
        # with ceil, windows may reach beyond the map
        and tuple(y_shape[2:]) == (x_shape[2] - KH + 1, x_shape[3] - KW + 1)
        and y_shape[0] > 0
    )


@cache
def all_pairs(O, C):
    """The connections of a conv2d, each output map with each input map, in the order of its filters."""
    return np.array([(o, c) for o in range(O) for c in range(C)], np.int32)


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


def cut(pixels, longest=None):
    """(pieces, length) of a row of so many pixels, of LONGEST at most."""
    pieces = -(-pixels // (longest or LONGEST))
    return pieces, -(-pixels // pieces)


def together(N, dtype):
    """Number of images that a thread computes: two where their numbers can be loaded as one, since a
    load's address costs as much as several products.
    """
    return 2 if N % 2 == 0 and dtype == np.float32 else 1


def slices_of(warps, connections):
    """Number of threads that share the connections of a map, where there are so many warps without slices,
    and so many connections of a map: all have as many of them, or nearly.
    """
    each = max(-(-connections // -(-ENOUGH // warps)), -(-connections // MOST_SLICES))
    return max(1, -(-connections // each))


def maps_of_block(blocks, maps, most):
    """Number of `maps` maps that a block computes, `most` at most; `blocks` is their number for one map.

    The more, the more threads get the same numbers from the cache; but not where a multiprocessor would get
    many more maps than the mean.
    """

    def of_one(together):
        return -(-blocks * -(-maps // together) // MULTIPROCESSORS) * together

    choices = range(1, min(maps, most) + 1)
    least = min(map(of_one, choices))
    return max(together for together in choices if 4 * of_one(together) <= 5 * least)


def parts_of(sums, lines):
    """Number of blocks that share each of so many sums, to which `lines` warps add, if each adds once."""
    once = -(-lines * LANES // BLOCK)
    return max(1, min(2 * MULTIPROCESSORS // sums, once)) if once > ALONE else 1


def at_once(sums, dtype):
    """Number of sums of a block's threads that are added up at once: all, if they fit into shared memory."""
    return sums if sums * BLOCK * dtype.itemsize <= SHARED else SOME
