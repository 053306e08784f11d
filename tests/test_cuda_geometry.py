"""Where the tiles that a GPU gets lay their numbers: all of them, from the constants of the kernels
themselves, in NumPy, without a GPU or its simulator.
"""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest

from tinyconv.kernels._cuda.convolution import PAD
from tinyconv.kernels._cuda.tile_shapes import GPU_TENSOR_TILES, GPU_TILES, Panel
from tinyconv.kernels._cuda.tiles import tile_kernel

# (A across, B across, A's width, B's width)
FORMS = [
    (a_across, b_across, a_width, b_width)
    for a_across, b_across in ((True, False), (False, False), (True, True))
    for a_width in (4, 1)
    for b_width in ((1,) if b_across else (4, 1))
]


@pytest.mark.parametrize(
    "tile", GPU_TILES + GPU_TENSOR_TILES, ids=lambda tile: f"{tile.BM}x{tile.BN}{' tf32' * tile.tensor}"
)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: "{}-{}-{}-{}".format(*form))
def test_geometry(tile, form):
    a_across, b_across, a_width, b_width = form
    A = Panel(tile.BM, tile.BK, tile.threads, a_across, a_width, False, tile.tensor)
    B = Panel(tile.BN, tile.BK, tile.threads, b_across, b_width, b_across, tile.tensor)
    if min(A.together, B.together) == 0:
        pytest.skip("never chosen: it has too few threads for one line")
    of = SimpleNamespace(
        **inspect.getclosurevars(tile_kernel(tile, *form).function).nonlocals
    )  # the names of tile_kernel
    t = np.arange(tile.threads)

    # every number of a step is copied once, to a place that a copy of its length can have
    held_a, held_b = copied(A, t, 0, of.A_STRIDE, 1), copied(B, t, of.B_BEGIN, of.B_LINE, of.B_PIECE)
    assert (
        max(held_a) < of.B_BEGIN <= min(held_b)
        and max(held_b) < of.BUFFER
        and of.BUFFER % 4 == 0
        and tile.buffers * of.BUFFER <= of.WORDS
    )
    # what is read of the table of taps early, and not needed, is still in the table
    furthest = (B.lines if not B.even else (t // B.pieces).max()) + (B.passes - 1) * B.together
    assert not of.EARLY or furthest + (1 if b_across else tile.BK) <= PAD

    # a thread reads what it multiplies, in loads of 2 or 4 that lie at multiples of that
    warp, lane = t // of.LANES, t % of.LANES
    down, across, l, r = warp // of.WARPS_N, warp % of.WARPS_N, lane // of.LANE, lane % of.LANE
    a, b = (
        (A.tensor_fragment(tile.TM), B.tensor_fragment(tile.TN))
        if tile.tensor
        else (A.fragment(tile.TM), B.fragment(tile.TN))
    )
    a_first, row = (down * step[0] + l * step[1] + r * step[2] for step in (of.A_FIRST, of.ROW))
    b_first, column = (across * step[0] + l * step[1] + r * step[2] for step in (of.B_FIRST, of.COLUMN))
    b_first = b_first + of.B_BEGIN
    load = 2 if tile.tensor else 4
    assert (b_first % load == 0).all() and b.stride % load == 0 and b.far % load == 0 and b.run == load
    if a_across or not tile.tensor:
        assert (a_first % load == 0).all() and a.stride % load == 0 and (a_across or a.far % load == 0)
    for k in range(0, tile.BK, 8 if tile.tensor else 1):
        for n in (
            (0, 1) if tile.tensor else (0,)
        ):  # in TF32: what kernels/_cuda/ptx.py says that lane 4 l + r holds
            at_k = k + 2 * r + n if tile.tensor else k + 0 * r
            for i in range(0, a.count, 2 if tile.tensor else 1):
                reads(
                    held_a,
                    a_first + a.place(i, k + n),
                    (down * 8 + l if tile.tensor else row) + a.element(i),
                    at_k,
                )
            for j in range(b.count):
                reads(
                    held_b,
                    b_first + b.place(j, k + n),
                    (across * 16 + 2 * l if tile.tensor else column) + b.element(j),
                    at_k,
                )

    # every number of the result is put into shared memory once, in stores that lie at multiples of their
    # length, and belongs to its thread
    put = np.zeros((tile.BM, tile.BN), int)
    for part in range(of.PARTS):
        rows = range(part * a.count // of.PARTS, (part + 1) * a.count // of.PARTS)
        for i in rows:
            in_part = row + a.element(i) - a.element(rows[0])
            assert (
                (in_part >= 0).all()
                and (in_part < of.PART_ROWS).all()
                and (part * of.PART_ROWS + in_part == row + a.element(i)).all()
            )
            for j in range(b.count):
                assert j % b.run or ((in_part * of.PART_STRIDE + column + b.element(j)) % b.run == 0).all()
                np.add.at(put, (part * of.PART_ROWS + in_part, column + b.element(j)), 1)
    assert (put == 1).all() and of.PARTS * of.PART_ROWS == tile.BM
    assert of.PART_ROWS % of.WARPS == 0 and of.PART_ROWS * of.PART_STRIDE <= of.WORDS


def copied(panel, t, first, line_words, number_words):
    """{word: (row or column, k)} after the copies of a step, in which thread t takes the same piece of some
    lines, `width` words from there.
    """
    piece = t % panel.pieces * panel.width
    line = np.where(panel.even | (t < panel.pieces * panel.together), t // panel.pieces, panel.lines)
    held = {}
    for i in range(panel.passes):
        for p, ln in zip(piece, line + i * panel.together):
            if ln < panel.lines:
                word = int(first + ln * line_words + p * number_words)
                assert word % panel.width == 0
                for n in range(panel.width):
                    assert word + n not in held, "copied twice"
                    held[word + n] = (ln, p + n) if panel.across else (p + n, ln)
    assert len(held) == panel.size * panel.depth
    return held


def reads(held, words, rows, k):
    """Every thread finds its row or column at its k."""
    for word, *expected in zip(words, rows, k):
        assert held[word] == tuple(expected)
