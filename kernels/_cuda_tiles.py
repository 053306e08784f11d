"""One matrix product on the GPU for conv2d and dense, in all directions: implicit GEMM, in tiles.

    out[m, j] = sum_k A[k, m] B[k, j]

A block of threads computes a tile of BM x BN of it, in steps of BK along k; a thread computes TM x TN of that in registers.

                                    BN = 128 columns j                 What a step needs of A and B is copied into shared memory, while the
                        k  +---------------------------+               step before it is being multiplied (cp.async, two buffers). Every
                  step  |  | B: BK x BN, in shared mem |               number there is read by 16 threads, and every number that a thread
                        v  +---------------------------+               reads takes part in 8 products: memory, shared memory and arithmetic
          k ->                                                         are in balance.
        +--------+         +---------------------------+
        | A:     |         |  8x8 of a thread          |               Nothing is unfolded in memory. B is gathered from the maps x where they
    BM  | BM x   |         |  +--+--+--+- 16 threads   |               lie, through two tables, one of the taps of the window and one of its
  rows  | BK, in |         |  +--+--+--+               |               places, the pixels:
     m  | shared |         |  +--+--+--+               |
        | mem    |         |  | 16 threads             |                   x[taps[t].offset + pixels[p].offset + n]
        +--------+         +---------------------------+                   or 0, where taps[t].bits & pixels[p].bits

The bits of a tap say in which row and column of the window it lies, those of a pixel which rows and columns of its window lie outside of the map. In
forward and backward_input, k is a tap and j a pixel and an image; in backward_weight, k is a pixel and an image and j a tap (kernels/_cuda_convolution.py).

An operand lies in shared memory as it lies in memory, so that a copy takes four neighbours at once (16 bytes; one where rows are not multiples of four): "along k"
(weight forward; dy and x in backward_weight) as [row][k], else as [k][row].

Where there are fewer tiles than multiprocessors, k is split: each part of it is summed up by another block, into memory of its own, and the parts are
added in order by a second kernel. How often, and which tile is taken, follows from the shape alone, never from the GPU at hand: the same bits everywhere.
"""
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from . import _cuda
from ._cuda import SIMULATOR, cuda, divided, kernel
from ._cuda_ptx import ALIGNMENT, Fragment, accumulators, at, block, copier, multiply_add, putter, thread, wait_for_copies

int32 = np.int32                                            # numba widens what two int32 give to int64; this makes it one register again
# What the choice of tiles assumes of the GPU: an H100. Constants, since the order of a sum must not depend on the GPU that computes it.
MULTIPROCESSORS = 132
BYTES_A_CLOCK = 2000                                        # of memory
LATENCY = 8                                                 # steps that the beginning and the end of a tile take
MOST_SPLITS = 256


@dataclass(frozen=True)
class Tile:
    """BM x BN of the product, in steps of BK, by threads of TM x TN each; `blocks` of them share a multiprocessor. A warp has warp[0] x warp[1] threads."""

    BM: int
    BN: int
    BK: int = 16
    TM: int = 8
    TN: int = 8
    blocks: int = 2
    warp: tuple = (4, 8)

    @property
    def threads(self):
        return self.BM // self.TM * (self.BN // self.TN)

    @property
    def speed(self):
        """Share of the arithmetic's speed, roughly: small tiles read more from memory, and small blocks of a thread more from shared memory, for as much of it."""
        reuse = self.BM * self.BN / (self.BM + self.BN)
        return reuse / (reuse + 6) * min(1, self.TM * self.TN / (self.TM + self.TN) / 4)


TILES = (Tile(16, 16, 8, 4, 4, warp=(4, 4)), Tile(16, 32, 8, 8, 4, warp=(2, 8))) if SIMULATOR else \
    (Tile(128, 128), Tile(96, 128), Tile(64, 128, blocks=4), Tile(48, 128, blocks=4, warp=(2, 16)), Tile(64, 64, TM=4, blocks=4),
     Tile(16, 128, TM=4, TN=4, blocks=6))


@dataclass(frozen=True)
class Panel:
    """An operand's piece of a step: `size` rows or columns of the tile times `depth` values of k, in shared memory and on the way there.

    It is copied in lines, which lie in memory, of pieces of `width` numbers each. The threads copy some lines at once, `together`: each has its own
    piece of every line, always the same.

    across  whether k is contiguous in memory, and lines are rows       turned  whether it is then stored with k as the slowest axis, [k][row]
    """

    size: int
    depth: int
    threads: int
    across: bool
    width: int
    turned: bool = False

    @property
    def stride(self):
        """Words from one row in shared memory to the next: the pad spreads what a warp reads over all banks."""
        return (self.depth if self.across and not self.turned else self.size) + 4

    @property
    def words(self):
        return self.stride * (self.size if self.across and not self.turned else self.depth)

    @property
    def lines(self):
        return self.size if self.across else self.depth

    @property
    def pieces(self):
        return (self.depth if self.across else self.size) // self.width

    @property
    def together(self):
        return self.threads // self.pieces

    @property
    def passes(self):
        return -(-self.lines // self.together)

    def fragment(self, count):
        """What one thread multiplies: `count` of the rows or columns, spread over the tile so that a warp reads without bank conflicts."""
        across = self.across and not self.turned
        return Fragment(count, across, self.stride, self.size // count * (1 if across else 4))


@lru_cache(maxsize=None)
def tile_kernel(tile, a_across, b_across, a_width, b_width):
    """The kernel of one tile. a_across, b_across: whether k is contiguous in memory; a_width, b_width: whether copies take 4 numbers or 1."""
    BM, BN, BK, THREADS, LANES = tile.BM, tile.BN, tile.BK, tile.threads, tile.warp[0] * tile.warp[1]
    WARP_M, WARP_N = tile.warp
    WARPS, WARPS_N = THREADS // LANES, BN // tile.TN // WARP_N
    # B in shared memory is [k][column] in any case. Where it has to be turned for that, copies take one number, which may stand anywhere.
    A, B = Panel(BM, BK, THREADS, a_across, a_width), Panel(BN, BK, THREADS, b_across, b_width, turned=b_across)
    A_ACROSS, A_WIDTH, A_PIECES, A_LINES, A_TOGETHER, A_PASSES, A_STRIDE = a_across, A.width, A.pieces, A.lines, A.together, A.passes, A.stride
    B_ACROSS, B_WIDTH, B_PIECES, B_LINES, B_TOGETHER, B_PASSES = b_across, B.width, B.pieces, B.lines, B.together, B.passes
    B_LINE, B_PIECE = (1, B.stride) if b_across else (B.stride, 1)                      # words from line to line, and from number to number of a piece
    B_FIRST, BUFFER = A.words, A.words + B.words             # words: where B begins in a buffer, and how long a buffer is
    a_thread, b_thread = A.fragment(tile.TM), B.fragment(tile.TN)
    ROW_THREAD, A_THREAD = (1, A.stride) if a_across else (4, 4)                        # rows and words from one thread's first to the next one's
    PARTS, PART_ROWS, PART_STRIDE = tile.TM // 4, BM * 4 // tile.TM, BN + 4             # the result leaves through shared memory in so many parts
    WORDS = max(2 * BUFFER, PART_ROWS * PART_STRIDE)
    copy_a, copy_b, zeros, step = copier(a_width), copier(b_width), accumulators(tile.TM * tile.TN), multiply_add(a_thread, b_thread, BK)
    put_first, put_last = (putter(a_thread, b_thread, PART_STRIDE, part, PARTS) for part in (0, PARTS - 1))

    @kernel(launch_bounds=(THREADS, tile.blocks))
    def product(a, a_group, a_row, a_columns, x, x_group, taps, pixels, places, M, J, K, N, splits, bias, biased, relu, z, masked,
                out, out_group, out_row, out_split):
        """out[group, m, j], or with splits > 1 the part of it that one range of k gives, to out[split]. x: where B is gathered."""
        shared = cuda.shared.array(WORDS, np.float32, ALIGNMENT)
        t, tiles = thread(), divided(M + BM - 1, BM)[0]
        j_tile, m_tile = divided(block(), tiles)
        m0, j0 = int32(m_tile * BM), int32(j_tile * BN)
        group, split = divided(cuda.blockIdx.y, splits)
        steps = divided(K + BK - 1, BK)[0]
        first, last = int32(divided(steps * split, splits)[0]), int32(divided(steps * (split + 1), splits)[0])

        # what this thread copies of A: piece a_piece of lines a_line, a_line + A_TOGETHER, ...
        a_piece, a_line = int32(t % A_PIECES * A_WIDTH), int32(t // A_PIECES)
        a_place, a_next, a_pass = int32(a_line * A_STRIDE + a_piece), int32(BK if A_ACROSS else BK * a_row), int32(A_TOGETHER * a_row)
        if A_ACROSS:
            a_index = int32(group * a_group + (m0 + a_line) * a_row + first * BK + a_piece)
            a_rows, a_left = int32(M - m0 - a_line), int32(K - first * BK - a_piece)
        else:
            a_index = int32(group * a_group + (first * BK + a_line) * a_row + m0 + a_piece)
            a_rows, a_left = int32(a_columns - m0 - a_piece), int32(K - first * BK - a_line)
        # and of B
        b_piece, b_line = int32(t % B_PIECES * B_WIDTH), int32(t // B_PIECES)
        b_place = int32(B_FIRST + b_line * B_LINE + b_piece * B_PIECE)
        if B_ACROSS:                                        # its lines, which are taps, stay, and it walks along the pixels
            tap = int32(j0 + b_line)
            pixel, n = divided(first * BK + b_piece, N)
        else:                                               # its column, which is of one pixel, stays, and it walks along the taps
            tap = int32(first * BK + b_line)
            pixel, n = divided(min(j0 + b_piece, J - B_WIDTH), N)
        pixel, n = int32(pixel), int32(n)
        base, outside = int32(group * x_group + int32(at(pixels, pixel)) + n), int32(at(pixels, pixel) >> 32)

        # what it multiplies: a_first and b_first are its first row and column in shared memory
        warp, lane = t // LANES, t % LANES
        a_first = int32((warp // WARPS_N * WARP_M + lane // WARP_N) * A_THREAD)
        b_first = int32(B_FIRST + (warp % WARPS_N * WARP_N + lane % WARP_N) * 4)
        sums, buffer = zeros(), int32(0)
        for s in range(first - 1, last):                    # multiply step s, copy step s + 1
            wait_for_copies()
            cuda.syncthreads()
            if s + 1 < last:
                for i in range(A_PASSES):
                    if A_LINES % A_TOGETHER == 0 or a_line + i * A_TOGETHER < A_LINES:
                        inside = (i * A_TOGETHER < a_rows and a_left > 0) if A_ACROSS else (a_rows > 0 and i * A_TOGETHER < a_left)
                        copy_a(shared, int32(buffer + a_place + i * A_TOGETHER * A_STRIDE), a, int32(a_index + i * a_pass), inside)
                for i in range(B_PASSES):
                    if B_LINES % B_TOGETHER == 0 or b_line + i * B_TOGETHER < B_LINES:
                        entry = at(taps, int32(tap + i * B_TOGETHER))
                        copy_b(shared, int32(buffer + b_place + i * B_TOGETHER * B_LINE), x, int32(int32(entry) + base), int32((entry >> 32) & outside) == 0)
                a_index, a_left = int32(a_index + a_next), int32(a_left - BK)
                if B_ACROSS:
                    n, base = int32(n + BK), int32(base + BK)
                    if n >= N:
                        base = int32(base - n - int32(at(pixels, pixel)))
                        while n >= N:
                            n, pixel = int32(n - N), int32(pixel + 1)
                        base, outside = int32(base + n + int32(at(pixels, pixel))), int32(at(pixels, pixel) >> 32)
                else:
                    tap = int32(tap + BK)
            buffer = int32(BUFFER - buffer)
            if s >= first:
                sums = step(sums, shared, int32(buffer + a_first), int32(buffer + b_first))

        # out it goes, through shared memory, so that neighbouring threads write neighbours
        t = thread()
        warp, lane = t // LANES, t % LANES
        place = int32((warp // WARPS_N * WARP_M + lane // WARP_N) * ROW_THREAD * PART_STRIDE + (warp % WARPS_N * WARP_N + lane % WARP_N) * 4)
        j_tile, m_tile = divided(block(), tiles)
        group, split = divided(cuda.blockIdx.y, splits)
        for part in range(PARTS):
            cuda.syncthreads()
            if part == 0:
                put_first(sums, shared, place)
            else:
                put_last(sums, shared, place)
            cuda.syncthreads()
            for c in range(lane, BN, LANES):
                j = j_tile * BN + c
                if j < J:
                    target = split * out_split + group * out_group + j
                    if not B_ACROSS:
                        p, n = divided(j, N)
                        target += at(places, int32(p)) * N + n - j
                    for r in range(warp, PART_ROWS, WARPS):
                        m = m_tile * BM + part * PART_ROWS + r
                        if m < M:
                            value, e = shared[r * PART_STRIDE + c], target + m * out_row
                            if biased:
                                value += bias[group * M + m]
                            if relu and value <= np.float32(0):
                                value = np.float32(0)
                            if masked and not z[e] > np.float32(0):
                                value = np.float32(0)
                            out[e] = value
    return product


@dataclass(frozen=True)
class Matrix:
    """A[group, k, m]: data[group * `group` + m * `row` + k], where k lies contiguous (`across`), else data[group * `group` + k * `row` + m].

    columns  where not across: how many m can be read, M or more
    """

    data: object
    group: int
    row: int
    across: bool
    columns: int = 0

    @property
    def width(self):
        """Numbers that a copy takes: 4, where all rows begin at multiples of 16 bytes."""
        return 1 if self.group % 4 or self.row % 4 or self.columns % 4 else 4


@dataclass(frozen=True)
class Gathered:
    """B: maps x (..., N), read through tables on the GPU: see tables() in kernels/_cuda_convolution.py. Group g begins at data[g * `group`].

    across  whether k is a pixel and an image, and a column a tap; else k is a tap and a column a pixel and an image
    """

    data: object
    group: int
    taps: object
    pixels: object
    places: object
    N: int
    across: bool

    @property
    def width(self):
        return 1 if self.across or self.N % 4 else 4


def multiply(a, b, sizes, groups, out, row, bias=None, relu=False, mask=None, split=True):
    """out[group, m, j] = sum_k A[group, k, m] B[group, k, j] for a Matrix and a Gathered, sizes (M, J, K); then + bias, relu, 0 where mask <= 0.

    out    flat; `row` is its distance from one m to the next
    bias   (groups * M,) or None        mask  an array like out or None        split  whether k may be split
    """
    M, J, K = sizes
    tile, splits = choice(M, J, K, groups, a.across, b.across, a.width, b.width, split)
    product = tile_kernel(tile, a.across, b.across, a.width, b.width)
    parts = out if splits == 1 else _cuda.empty((splits, out.size), out.dtype)
    rest = (out if bias is None else bias, bias is not None, relu, out if mask is None else mask, mask is not None)
    nothing = (out, False, False, out, False)
    numbers = map(np.int32, (M, J, K, b.N, splits))
    grid = -(-M // tile.BM) * -(-J // tile.BN), groups * splits
    product[grid, tile.threads](a.data, np.int32(a.group), np.int32(a.row), np.int32(a.columns), b.data, np.int32(b.group), b.taps, b.pixels, b.places,
                                *numbers, *(rest if splits == 1 else nothing), parts.reshape(parts.size), M * row, row, out.size)
    if splits > 1:
        add_parts[out.size](parts, *rest[:2], row, *rest[2:], out)


@lru_cache(maxsize=None)
def choice(M, J, K, groups, a_across, b_across, a_width, b_width, split):
    """(tile, splits) that take the least time, as a simple model sees it: the multiprocessor with the most tiles takes that of all of them."""
    best = None
    for tile in TILES:
        A, B = Panel(tile.BM, tile.BK, tile.threads, a_across, a_width), Panel(tile.BN, tile.BK, tile.threads, b_across, b_width)
        if min(A.together, B.together) == 0:                # too few threads for one line
            continue
        tiles, steps = -(-M // tile.BM) * -(-J // tile.BN) * groups, -(-K // tile.BK)
        for splits in range(1, min(MOST_SPLITS, steps, 65535 // groups) + 1 if split and steps else 2):
            in_turn = -(-tiles * splits // MULTIPROCESSORS)
            speed = tile.speed * min(1, (1 + in_turn) / (1 + tile.blocks))                   # few blocks wait for memory in turn
            clocks = in_turn * (-(-steps // splits) + LATENCY) * tile.BM * tile.BN * tile.BK / 128 / speed
            if splits > 1:
                clocks += 3000 + 8 * splits * M * J * groups / BYTES_A_CLOCK
            if best is None or clocks < best[0]:
                best = clocks, tile, splits
    return best[1:]


@kernel
def add_parts(parts, bias, biased, row, relu, z, masked, out):
    """out[e] = sum over s of parts[s, e], and what else product does with a sum. Always in the same order."""
    for e in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        value = parts[0, e]
        for s in range(1, parts.shape[0]):
            value += parts[s, e]
        if biased:
            value += bias[e // row]
        if relu and value <= np.float32(0):
            value = np.float32(0)
        if masked and not z[e] > np.float32(0):
            value = np.float32(0)
        out[e] = value
