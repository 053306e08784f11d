"""One matrix product on the GPU for conv2d and dense, in all directions: implicit GEMM, in tiles.

    out[m, j] = sum_k A[k, m] B[k, j]

A block of threads computes a tile of BM x BN of it, in steps of BK along k; a thread computes TM x TN of that in registers.

                                    BN = 128 columns j                 What a step needs of A and B is copied into shared memory while the step
                        k  +---------------------------+               before it is being multiplied (cp.async, two buffers). Every number there
                  step  |  | B: BK x BN, in shared mem |               is read by 16 threads, and every number that a thread reads takes part in
                        v  +---------------------------+               8 products.
          k ->
        +--------+         +---------------------------+               Nothing is unfolded in memory. B is gathered from the maps x where they
        | A:     |         |  8 x 8 of a thread        |               lie, through two tables, one of the taps of the window and one of its
    BM  | BM x   |         |  +--+--+--+- 16 threads   |               places, the pixels:
  rows  | BK, in |         |  +--+--+--+               |
     m  | shared |         |  +--+--+--+               |                   x[taps[t].offset + pixels[p].offset + n]
        | mem    |         |  | 16 threads             |                   or 0, where taps[t].bits & pixels[p].bits
        +--------+         +---------------------------+

The bits of a tap say in which row and column of the window it lies, those of a pixel which rows and columns of its window lie outside of the map. In
forward and backward_input, k is a tap and j a pixel and an image; in backward_weight, k is a pixel and an image and j a tap (kernels/_cuda/convolution.py).

A copy takes four neighbours at once, 16 bytes, where all rows begin at multiples of that, else one. Where k is contiguous in memory ("across": weight in
forward, dy and x in backward_weight), A lies in shared memory as [row][k], else as [k][row]; B is [k][column] in any case, turned on the way where it
has to be.

Where there are fewer tiles than multiprocessors, k is split: each part of it is summed up by another block, into memory of its own, and the parts are
added in order by a second kernel. How often, and which tile is taken, follows from the shape alone, never from the GPU at hand: the same bits everywhere,
in TF32 on one kind of GPU. The result leaves through shared memory, and on the way takes the bias, the relu behind it, or the mask of a relu before it.

In TF32 warps multiply on tensor cores (kernels/_cuda/ptx.py), whose rounding of sums PTX leaves open; all the rest is the same.

What the compiler makes of the 128 x 128 tile for sm_90: 1,195 instructions a step in forward, 1,159 in backward_input and 1,214 in backward_weight, of
which 1,024 are multiply-adds and 64 read shared memory; and behind the last step about 20 for each number of the result. No register is spilled in any form
that LeNet-5 or AlexNet launches (tests/cubins.json).
"""  # noqa: E501

from dataclasses import dataclass
from functools import cache

import numpy as np

from . import launch, memory
from .launch import divided, kernel
from .package import cuda
from .ptx import (
    ALIGNMENT,
    accumulators,
    at,
    at_shared,
    block,
    copier,
    copies_but,
    end_of_copies,
    multiply_add,
    multiply_add_tf32,
    put,
    putter,
    reader,
    thread,
)
from .reduce import add_parts
from .tile_shapes import Panel, choice

int32 = np.int32  # numba widens what two int32 give to int64; this makes it one register again


@cache
def tile_kernel(tile, a_across, b_across, a_width, b_width):
    """The kernel of one tile. a_across, b_across: whether k is contiguous in memory; a_width, b_width:
    whether copies take 4 numbers or 1.
    """
    BM, BN, BK, THREADS, LANES = tile.BM, tile.BN, tile.BK, tile.threads, tile.warp[0] * tile.warp[1]
    WARP_M, WARP_N = tile.warp
    WARPS, WARPS_N, AHEAD = THREADS // LANES, BN // tile.TN // WARP_N, tile.buffers - 1
    # B in shared memory is [k][column] in any case. Where it has to be turned for that, copies take one
    # number, which may stand anywhere.
    A, B = (
        Panel(BM, BK, THREADS, a_across, a_width, False, tile.tensor),
        Panel(BN, BK, THREADS, b_across, b_width, b_across, tile.tensor),
    )
    A_ACROSS, A_WIDTH, A_PIECES, A_LINES, A_TOGETHER, A_PASSES, A_EVEN = (
        a_across,
        A.width,
        A.pieces,
        A.lines,
        A.together,
        A.passes,
        A.even,
    )
    B_ACROSS, B_WIDTH, B_PIECES, B_LINES, B_TOGETHER, B_PASSES, B_EVEN = (
        b_across,
        B.width,
        B.pieces,
        B.lines,
        B.together,
        B.passes,
        B.even,
    )
    A_STRIDE, B_LINE, B_PIECE = (
        (A.stride, 1, B.stride) if b_across else (A.stride, B.stride, 1)
    )  # words from line to line, and from number to number
    B_BEGIN, BUFFER = (
        A.words,
        A.words + B.words,
    )  # words: where B begins in a buffer, and how long a buffer is
    # The first row and column of a thread's sums, and its first elements of A and B, are sums of constants
    # times the place of its warp in the tile (down, across) and the place of its lane in the warp (lane //
    # LANE, lane % LANE).
    A_ROW, A_K = (A.stride, 1) if a_across else (1, A.stride)  # words from row to row, and from k to k
    if tile.tensor:
        a_thread, b_thread, PARTS, LANE = A.tensor_fragment(tile.TM), B.tensor_fragment(tile.TN), 2, 4
        ROW, COLUMN, A_FIRST, B_FIRST = (
            (8, 0, 2),
            (16, 2, 0),
            (8 * A_ROW, A_ROW, 2 * A_K),
            (16, 2, 2 * B.stride),
        )
    else:
        a_thread, b_thread, PARTS, LANE, rows = (
            A.fragment(tile.TM),
            B.fragment(tile.TN),
            tile.TM // 4,
            WARP_N,
            1 if a_across else 4,
        )
        ROW, COLUMN, A_FIRST, B_FIRST = (
            (rows * WARP_M, rows, 0),
            (4 * WARP_N, 0, 4),
            (rows * WARP_M * A_ROW, rows * A_ROW, 0),
            (4 * WARP_N, 0, 4),
        )
    PART_ROWS, PART_STRIDE = BM // PARTS, BN + 4  # the result leaves through shared memory in so many parts
    WORDS = max(tile.buffers * BUFFER, PART_ROWS * PART_STRIDE)
    copy_a, copy_b, wait, zeros = (
        copier(a_width),
        copier(b_width),
        copies_but(AHEAD - 1),
        accumulators(tile.TM * tile.TN),
    )
    # Entries of the table of taps are read early, before half of the products of a step are computed, and the
    # copies that need them begin after that: so they arrive meanwhile. But not where a thread copies so many
    # pieces that registers would not suffice.
    EARLY, multiplier, entries_of = (
        max(A_PASSES, B_PASSES) <= 4,
        multiply_add_tf32 if tile.tensor else multiply_add,
        reader(B_PASSES, B_TOGETHER),
    )
    FIRST = BK // 2 if EARLY else 0
    first_products, other_products = (
        multiplier(a_thread, b_thread, range(*k)) for k in ((0, FIRST), (FIRST, BK))
    )
    put_first, put_last = (putter(a_thread, b_thread, PART_STRIDE, part, PARTS) for part in (0, PARTS - 1))

    lies = [
        f"{'along k' if across else 'across k'} by {width}"
        for across, width in ((a_across, a_width), (b_across, b_width))
    ]

    @kernel(
        made_with=f"{BM}x{BN}x{BK}{' tf32' * tile.tensor}, A {lies[0]}, B {lies[1]}",
        launch_bounds=(THREADS, tile.blocks),
    )
    def product(
        a,
        a_group,
        a_row,
        a_columns,
        x,
        x_group,
        taps,
        pixels,
        places,
        M,
        J,
        K,
        N,
        splits,
        bias,
        biased,
        relu,
        z,
        masked,
        out,
        out_group,
        out_row,
        out_split,
    ):
        """out[group, m, j], or with splits > 1 the part of it that one range of k gives, to out[split]. x:
        where B is gathered.
        """
        shared = cuda.shared.array(WORDS, np.float32, ALIGNMENT)
        t, tiles = thread(), divided(M + BM - 1, BM)[0]
        j_tile, m_tile = divided(block(), tiles)
        m0, j0 = int32(m_tile * BM), int32(j_tile * BN)
        group, split = divided(cuda.blockIdx.y, splits)
        steps = divided(K + BK - 1, BK)[0]
        each, more = divided(steps, splits)  # steps of every part, and how many parts have one more
        first = int32(each * split + min(split, more))
        last = int32(first + each + (1 if split < more else 0))

        # what this thread copies of A: piece a_piece of lines a_line, a_line + A_TOGETHER, ...
        a_piece, a_line = (
            int32(t % A_PIECES * A_WIDTH),
            int32(t // A_PIECES if A_EVEN or t < A_PIECES * A_TOGETHER else A_LINES),
        )
        a_place, a_next, a_pass = (
            int32(a_line * A_STRIDE + a_piece),
            int32(BK if A_ACROSS else BK * a_row),
            int32(A_TOGETHER * a_row),
        )
        if A_ACROSS:
            a_index = int32(group * a_group + (m0 + a_line) * a_row + first * BK + a_piece)
            a_rows, a_left = int32(M - m0 - a_line), int32(K - first * BK - a_piece)
        else:
            a_index = int32(group * a_group + (first * BK + a_line) * a_row + m0 + a_piece)
            a_left = int32(K - first * BK - a_line if m0 + a_piece < a_columns else 0)
        # and of B
        b_piece, b_line = (
            int32(t % B_PIECES * B_WIDTH),
            int32(t // B_PIECES if B_EVEN or t < B_PIECES * B_TOGETHER else B_LINES),
        )
        b_place = int32(B_BEGIN + b_line * B_LINE + b_piece * B_PIECE)
        if B_ACROSS:  # its lines, which are taps, stay, and it walks along the pixels
            tap = int32(j0 + b_line)
            pixel, n = divided(first * BK + b_piece, N)
        else:  # its column, which is of one pixel, stays, and it walks along the taps
            tap = int32(first * BK + b_line)
            pixel, n = divided(min(j0 + b_piece, J - B_WIDTH), N)
        pixel, n = int32(pixel), int32(n)
        base, outside = int32(group * x_group + int32(at(pixels, pixel)) + n), int32(at(pixels, pixel) >> 32)

        # what it multiplies
        down, across, l, r = t // LANES // WARPS_N, t // LANES % WARPS_N, t % LANES // LANE, t % LANE
        a_first = int32(down * A_FIRST[0] + l * A_FIRST[1] + r * A_FIRST[2])
        b_first = int32(B_BEGIN + across * B_FIRST[0] + l * B_FIRST[1] + r * B_FIRST[2])
        sums, buffer, free = (
            zeros(),
            int32(0),
            int32(0),
        )  # buffer: the one of step s; free: the one of step s + AHEAD
        for s in range(first - AHEAD, last):  # multiply step s, copy step s + AHEAD
            wait()
            cuda.syncthreads()
            entries = entries_of(taps, tap)
            if s >= first:
                sums = first_products(sums, shared, int32(buffer + a_first), int32(buffer + b_first))
            if s + AHEAD < last:
                for i in range(A_PASSES):
                    if A_EVEN or a_line + i * A_TOGETHER < A_LINES:
                        inside = (
                            (i * A_TOGETHER < a_rows and a_left > 0) if A_ACROSS else i * A_TOGETHER < a_left
                        )
                        copy_a(
                            shared,
                            int32(free + a_place + i * A_TOGETHER * A_STRIDE),
                            a,
                            int32(a_index + i * a_pass),
                            inside,
                        )
                for i in range(B_PASSES):
                    if B_EVEN or b_line + i * B_TOGETHER < B_LINES:
                        entry = entries[i] if EARLY else at(taps, int32(tap + i * B_TOGETHER))
                        to = int32(free + b_place + i * B_TOGETHER * B_LINE)
                        copy_b(shared, to, x, int32(int32(entry) + base), int32((entry >> 32) & outside) == 0)
                a_index, a_left = int32(a_index + a_next), int32(a_left - BK)
                if B_ACROSS:
                    n, base = int32(n + BK), int32(base + BK)
                    if n >= N:
                        base = int32(base - n - int32(at(pixels, pixel)))
                        while n >= N:
                            n, pixel = int32(n - N), int32(pixel + 1)
                        base, outside = (
                            int32(base + n + int32(at(pixels, pixel))),
                            int32(at(pixels, pixel) >> 32),
                        )
                else:
                    tap = int32(tap + BK)
            end_of_copies()
            free = int32(0) if free == AHEAD * BUFFER else int32(free + BUFFER)
            if s >= first:
                sums = other_products(sums, shared, int32(buffer + a_first), int32(buffer + b_first))
                buffer = int32(0) if buffer == AHEAD * BUFFER else int32(buffer + BUFFER)

        # out it goes, through shared memory, so that neighbouring threads write neighbours
        t = thread()
        down, across, l, r = t // LANES // WARPS_N, t // LANES % WARPS_N, t % LANES // LANE, t % LANE
        place = int32(
            (down * ROW[0] + l * ROW[1] + r * ROW[2]) * PART_STRIDE
            + across * COLUMN[0]
            + l * COLUMN[1]
            + r * COLUMN[2]
        )
        warp, lane = t // LANES, t % LANES
        j_tile, m_tile = divided(block(), tiles)
        group, split = divided(cuda.blockIdx.y, splits)
        for part in range(PARTS):
            cuda.syncthreads()
            if part == 0:
                put_first(sums, shared, place)
            else:
                put_last(sums, shared, place)
            cuda.syncthreads()
            m = m_tile * BM + part * PART_ROWS + warp  # a warp takes rows m, m + WARPS, ... of this part
            first_bias, rows = group * M + m, int32(M - m)
            for c in range(lane, BN, LANES):
                j = j_tile * BN + c
                if j < J:
                    e, word = (
                        split * out_split + group * out_group + m * out_row + j,
                        int32(warp * PART_STRIDE + c),
                    )
                    if not B_ACROSS:
                        p, n = divided(j, N)
                        e += at(places, p) * N + n - j
                    for r in range(0, PART_ROWS, WARPS):
                        if r < rows:
                            value = at_shared(shared, int32(word + r * PART_STRIDE))
                            if biased:
                                value += at(bias, first_bias + r)
                            if relu and value <= np.float32(0):
                                value = np.float32(0)
                            if masked and not at(z, e) > np.float32(0):
                                value = np.float32(0)
                            put(out, e, value)
                        e += WARPS * out_row

    return product


@dataclass(frozen=True)
class Matrix:
    """A[group, k, m]: data[group * `group` + m * `row` + k], where k lies contiguous (`across`), else
    data[group * `group` + k * `row` + m].

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
    """B: maps x (..., N), read through tables on the GPU: see tables() in kernels/_cuda/convolution.py. Group
    g begins at data[g * `group`].

    across  whether k is a pixel and an image, and a column a tap; else k is a tap and a column a pixel and an
            image
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
    """out[group, m, j] = sum_k A[group, k, m] B[group, k, j] for a Matrix and a Gathered, sizes (M, J, K);
    then + bias, relu, 0 where mask <= 0.

    out    flat; `row` is its distance from one m to the next
    bias   (groups * M,) or None        mask  an array like out or None        split  whether k may be split
    """
    if out.size == 0:
        return
    M, J, K = sizes
    tile, splits = choice(
        M, J, K, groups, a.across, b.across, a.width, b.width, split, launch.precision() == "tf32"
    )
    product = tile_kernel(tile, a.across, b.across, a.width, b.width)
    parts = out if splits == 1 else memory.empty((splits, out.size), out.dtype)
    rest = (
        out if bias is None else bias,
        bias is not None,
        relu,
        out if mask is None else mask,
        mask is not None,
    )
    nothing = (out, False, False, out, False)
    numbers = map(
        np.int32, (M, J, K, max(b.N, 1), splits)
    )  # of no images, K is 0: what is divided by N is not used
    grid = -(-M // tile.BM) * -(-J // tile.BN), groups * splits
    product[grid, tile.threads](
        a.data,
        np.int32(a.group),
        np.int32(a.row),
        np.int32(a.columns),
        b.data,
        np.int32(b.group),
        b.taps,
        b.pixels,
        b.places,
        *numbers,
        *(rest if splits == 1 else nothing),
        parts.reshape(parts.size),
        M * row,
        row,
        out.size,
    )
    if splits > 1:
        add_parts(parts, out, row, bias, relu, mask)
