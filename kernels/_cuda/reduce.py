"""Sums over many numbers on the GPU: a block of threads adds them up together, always in the same order, so
that two runs give the same bits.

Every thread first adds up numbers of its own, and then the threads their sums, in a tree of FAN branches
(here BLOCK = 8, FAN = 2, width = 1):

    thread      0   1   2   3   4   5   6   7
    size 4      0+4 1+5 2+6 3+7
    size 2      0+4 1+5
                +2+6 +3+7
    size 1      all

On a GPU BLOCK = 256 and FAN = 8: three steps, in each of which a thread reads 7 numbers at once.

No atomic additions: they would add in the order in which threads happen to arrive. Errors grow like the
logarithm of how many numbers there are, and with what one thread adds. Sums of float32 are float32: a GPU
computes float64 many times more slowly.
"""

from functools import cache

import numpy as np

from . import memory
from .launch import device, divided, kernel
from .package import SIMULATOR, cuda
from .ptx import at, at_shared, put

int32 = np.int32  # numba widens what two int32 give to int64; this makes it one register again
BLOCK = 4 if SIMULATOR else 256  # threads of a block that adds: a power of two
BITS = 1 if SIMULATOR else 3
FAN = 1 << BITS  # branches of a tree
LOG = BLOCK.bit_length() - 1
ROUNDS = -(-LOG // BITS)  # of a tree
BLOCKS = (
    8 if SIMULATOR else 1024
)  # of them keep any GPU busy: a constant, since the order of a sum must not depend on the GPU
WORTH = 4 * BLOCK  # numbers that are worth a block
ALONE = 32 * BLOCK  # numbers up to which a block adds a row alone: a second launch would take longer
LOADS = 2 if SIMULATOR else 8  # numbers that a thread loads before it adds the first


def parts(rows, columns):
    """How many blocks share the sum of one row."""
    return max(1, min(BLOCKS // rows, columns // WORTH))


def row_sums(matrix, out=None):
    """The sum of every row of a contiguous matrix (M, K), (M,): dbias, where matrix is dy as (O, positions
    and images).

    A block adds up a row; where rows are few and long, several blocks a part of it each, and then one more
    their sums.
    """
    M, K = matrix.shape
    out = memory.empty((M,), matrix.dtype) if out is None else out
    P = parts(M, K) if K > ALONE else 1
    if P > 1:
        of_parts = memory.empty((M, P), matrix.dtype)
        _sum_rows[(M, P), BLOCK](matrix.reshape(M * K), K, of_parts.reshape(M * P))
        matrix, K = of_parts, P
    _sum_rows[(M, 1), BLOCK](matrix.reshape(M * K), K, out)
    return out


@kernel
def _sum_rows(matrix, K, sums):
    """sums[m, p]: the p-th part of row m, by block (m, p)."""
    m, p, P = cuda.blockIdx.x, cuda.blockIdx.y, cuda.gridDim.y
    first, end = part(p, P, K)
    total = zero = sums.dtype.type(0)
    for few in range(first + cuda.threadIdx.x, end, LOADS * BLOCK):
        for a in range(LOADS):
            k = few + a * BLOCK
            number = at(matrix, m * K + min(k, end - 1))
            total += number if k < end else zero
    total = tree_sum(total, 1, sums)
    if cuda.threadIdx.x == 0:
        put(sums, m * P + p, total)


@device
def part(p, parts, size):
    """(first, end) of the p-th part of so many numbers."""
    length, _ = divided(size + parts - 1, parts)
    return p * length, min(size, (p + 1) * length)


def threads_for(parts):
    """How many threads of a block add up the parts of one number: a power of two, 1 for few parts."""
    threads = 1
    while threads < BLOCK and parts > FAN * threads:
        threads *= 2
    return threads


def add_parts(parts, out, row=1, bias=None, relu=False, mask=None):
    """out[e] = sum over p of parts[p, e], then + bias[e // row], relu, 0 where mask <= 0; out is flat.

    One thread adds the parts of a number up where they are few, else several, and then their sums in a tree.
    """
    threads = threads_for(len(parts))
    lanes = BLOCK // threads
    _add_parts[-(-out.size // lanes), BLOCK](
        parts.reshape(len(parts), out.size),
        lanes,
        threads,
        out if bias is None else bias,
        bias is not None,
        row,
        relu,
        out if mask is None else mask,
        mask is not None,
        out,
    )


@kernel
def _add_parts(parts, lanes, threads, bias, biased, row, relu, z, masked, out):
    """A block takes `lanes` numbers: thread t adds parts t // lanes, t // lanes + threads, ... of number
    t % lanes.
    """
    t, zero = cuda.threadIdx.x, out.dtype.type(0)
    first, lane = divided(t, lanes)
    e, value = cuda.blockIdx.x * lanes + lane, zero
    if e < out.size:
        for p in range(first, parts.shape[0], threads):
            value += parts[p, e]
    if threads > 1:
        value = tree_sum(value, lanes, out)
    if t < lanes and e < out.size:
        if biased:
            value += bias[divided(e, row)[0]]
        if relu and value <= zero:
            value = zero
        if masked and not z[e] > zero:
            value = zero
        out[e] = value


@device
def tree_sum(value, width, like):
    """The sum of `value` over the threads t, t + width, t + 2 width, ... of a block of BLOCK, for each of
    them; width is a power of two.

    All threads of the block have to call it. `like` is any array of the dtype of `value`.
    """
    shared = cuda.shared.array(BLOCK, like.dtype)
    t = cuda.threadIdx.x
    cuda.syncthreads()  # whoever still reads the result of the call before
    shared[t] = value
    for step in range(ROUNDS):
        cuda.syncthreads()
        size, before = max(BLOCK >> (BITS * (step + 1)), width), max(BLOCK >> (BITS * step), width)
        if t < size:
            for branch in range(1, FAN):
                if branch * size < before:
                    value += at_shared(shared, int32(t + branch * size))
            shared[t] = value
    cuda.syncthreads()
    return shared[t % width]


@cache
def tree_sums(count, at_once):
    """add(values, out, first): out[first + v] = the sum of values[v] over all threads of a block of BLOCK,
    for v < count; out is flat. Shared memory holds at_once of them.

    All threads of the block have to call it. Here they share the additions of all trees.
    """
    SIZE = at_once * BLOCK

    @device
    def add(values, out, first):
        shared, t = cuda.shared.array(SIZE, out.dtype), cuda.threadIdx.x
        for begin in range(0, count, at_once):
            cuda.syncthreads()
            for v in range(at_once):
                if begin + v < count:
                    shared[v * BLOCK + t] = values[begin + v]
            for step in range(ROUNDS):
                cuda.syncthreads()
                bits, before = max(LOG - BITS * (step + 1), 0), 1 << (LOG - BITS * step)
                for item in range(t, at_once << bits, BLOCK):
                    place = (item >> bits) * BLOCK + item % (1 << bits)
                    total = at_shared(shared, int32(place))
                    for branch in range(1, FAN):
                        if branch << bits < before:
                            total += at_shared(shared, int32(place + (branch << bits)))
                    shared[place] = total
            cuda.syncthreads()
            for v in range(t, min(at_once, count - begin), BLOCK):
                put(out, first + begin + v, shared[v * BLOCK])

    return add


@cache
def lane_sums(count, width):
    """add(values, like): tree_sum of `count` values at once, in place, for the threads t < width.

    All threads of the block have to call it.
    """
    SIZE = count * BLOCK

    @device
    def add(values, like):
        shared, t = cuda.shared.array(SIZE, like.dtype), cuda.threadIdx.x
        cuda.syncthreads()
        for v in range(count):
            shared[v * BLOCK + t] = values[v]
        for step in range(ROUNDS):
            cuda.syncthreads()
            size, before = max(BLOCK >> (BITS * (step + 1)), width), max(BLOCK >> (BITS * step), width)
            if t < size:
                for v in range(count):
                    for branch in range(1, FAN):
                        if branch * size < before:
                            values[v] += at_shared(shared, int32(v * BLOCK + t + branch * size))
                    shared[v * BLOCK + t] = values[v]

    return add


@device
def tree_max(value, width, like):
    """The largest `value` in the same way; NaN may be passed over."""
    shared = cuda.shared.array(BLOCK, like.dtype)
    t = cuda.threadIdx.x
    cuda.syncthreads()
    shared[t] = value
    for step in range(ROUNDS):
        cuda.syncthreads()
        size, before = max(BLOCK >> (BITS * (step + 1)), width), max(BLOCK >> (BITS * step), width)
        if t < size:
            for branch in range(1, FAN):
                if branch * size < before:
                    other = at_shared(shared, int32(t + branch * size))
                    value = other if other > value else value
            shared[t] = value
    cuda.syncthreads()
    return shared[t % width]
