"""The loops that lay micro-kernels (kernels/_cpu/simd.py) over whole arrays.

Arrays are flat here, positions in them are counted in elements, and where things lie is told by tables that
are made once for every geometry (kernels/_cpu/convolution.py).
"""

import numpy as np

from .kernel import compiled, kernel
from .simd import DOTS, ROWS, TILES, add_row, add_row_turned, dot, multiply_add
from .vector import fill_like, lane_sum, load_run, width

# What a row of `panels` says of a group of M maps of y that are fed by the same maps of x.
M, SOURCES, WEIGHT, WEIGHT_U, WEIGHT_T, WEIGHT_M, OFFSET, Y, BIAS = range(9)
# M: maps of y together; SOURCES: maps of x that feed them; WEIGHT, OFFSET, Y, BIAS: where those of the panel
# begin; WEIGHT_U, WEIGHT_T, WEIGHT_M: the distance in weight of two rows of the window, of two neighbours
# within a row (sources innermost), and of two maps of y


def _widths(table):
    """widths[n] lists the tile widths that exist beside n, the widest first."""
    widths = np.zeros((max(table) + 1, max(map(len, table.values()))), np.int64)
    for n, row in table.items():
        widths[n, : len(row)] = row
        widths[n, len(row) :] = row[-1]
    return widths


TILE_WIDTHS, DOT_WIDTHS, ROW_WIDTHS, ROW_TAPS = (
    _widths(TILES),
    _widths(DOTS),
    _widths(ROWS),
    np.array(sorted(ROWS, reverse=True)),
)
ROWS_OF_DOTS = np.array(sorted(DOTS, reverse=True))


@compiled
def _widest(widths, left):
    for wide in widths:
        if wide <= left:
            return wide
    return 1


@kernel(split=("panels",))
def multiply_add_tiles(x, weight, bias, y, panels, offset, images, rows, columns, y_map):
    """y = bias + sum of products, tile by tile.

    images   blocks, then where the first lies in x and y, and how far apart they are: (blocks, x_first,
             x_block, y_first, y_block)
    rows     of outputs: (how many, their distance in x, in y, taps of the window, rows of x, stride, padding)
    columns  the same along a row
    y_map    distance of two maps in y

    Rows whose distance in y is 0 are shares of one sum, each added to those before. A tap beyond the first or
    last row is left out, exactly; a tap beyond the first or last column is left out where it is so for
    all pixels of a tile (the others find zeros there: see with_margins).
    """
    blocks, x_first, x_block, y_first, y_block = images
    OH, x_row, y_row, KH, H, SH, PH = rows
    OW, x_pixel, y_pixel, KW, W, SW, PW = columns
    for b in range(blocks):
        for i in range(OH):
            first_u = max(0, PH - i * SH)
            R = max(0, min(KH, H + PH - i * SH) - first_u)
            for panel in range(len(panels)):
                of = panels[panel]
                row, x_here = KW * of[SOURCES], x_first + b * x_block + i * x_row
                w_here, o_here, y_here = (
                    of[WEIGHT] + first_u * of[WEIGHT_U],
                    of[OFFSET] + first_u * row,
                    y_first + b * y_block + of[Y] + i * y_row,
                )
                j = 0
                while j < OW:
                    P = _widest(TILE_WIDTHS[of[M]], OW - j)
                    first_v = max(0, PW - (j + P - 1) * SW)
                    T = max(0, min(KW, W + PW - j * SW) - first_v) * of[SOURCES]
                    t, rows_apart = first_v * of[SOURCES], R
                    if (
                        row == T and of[WEIGHT_U] == row * of[WEIGHT_T]
                    ):  # whole rows follow each other in the tables: one long row
                        T, rows_apart = R * row, 1
                    multiply_add(
                        of[M],
                        P,
                        rows_apart,
                        T,
                        weight,
                        w_here + t * of[WEIGHT_T],
                        of[WEIGHT_U],
                        of[WEIGHT_T],
                        of[WEIGHT_M],
                        x,
                        x_here + j * x_pixel,
                        x_pixel,
                        offset,
                        o_here + t,
                        row,
                        bias,
                        of[BIAS],
                        y,
                        y_here + j * y_pixel,
                        y_map,
                        y_pixel,
                        i > 0 and y_row == 0,
                    )
                    j += P


@kernel(split=("maps", "bias"))
def row_tiles(x, weight, bias, y, maps, offset, images, rows, columns, turned):
    """y[i, j] = bias + sum over maps of x and taps (u, v) of weight[u, v] x[i + u, j + v], row by row, one
    map of y at a time.

    Turned round, y[i, j] = bias + sum of weight[u, v] x[i - u, j - v].

    maps     one row a map of y: (maps of x that feed it, where its weights, its offsets and itself begin)
    images   (blocks, distance of two blocks in x, in y)
    rows     of y: (how many, their distance in x, in y, taps, rows of x, padding); columns: (of y, of x or y
             that are cut into tiles, taps)
    """
    (blocks, x_block, y_block), (OH, x_row, y_row, KH, H, PH), (OW, cut, KW) = images, rows, columns
    L = y_row // OW
    for b in range(blocks):
        for m in range(len(maps)):
            sources, w0, o0, y0 = maps[m, 0], maps[m, 1], maps[m, 2], maps[m, 3]
            for i in range(OH):
                here = b * y_block + y0 + i * y_row
                y[here : here + y_row] = bias[m]
                first = max(0, PH - i)  # rows i - PH + u of x that there are
                R = max(0, min(KH, H + PH - i) - first)
                v = 0
                while v < KW:
                    V = _widest(ROW_TAPS, KW - v)
                    j = 0
                    while j < cut:
                        P = _widest(ROW_WIDTHS[V], cut - j)
                        w_here, o_here = w0 + first * sources * KW + v, o0 + first * sources
                        x_here = b * x_block + (i - PH) * x_row + j * L
                        if turned:
                            add_row_turned(
                                V,
                                P,
                                R * sources,
                                weight,
                                w_here,
                                KW,
                                x,
                                x_here,
                                offset,
                                o_here,
                                y,
                                here + (j + v) * L,
                            )
                        else:
                            add_row(
                                V,
                                P,
                                R * sources,
                                weight,
                                w_here,
                                KW,
                                x,
                                x_here + v * L,
                                offset,
                                o_here,
                                y,
                                here + j * L,
                            )
                        j += P
                    v += V


@kernel(split=("jobs",))
def dot_tiles(dy, x, dweight, jobs, u_places, v_places, together, images, rows, columns, piece):
    """dweight = sums over pixels and images of dy times x, tile by tile.

    jobs     rows of (A, position of the first of A maps in dy, their distance, position of the map in x,
             position of the filter in dweight, distance of the A filters)
    u_places, v_places   where the taps of the window lie in x; `together` neighbours of a row are at equal
                         distances and share loads of dy
    images   (blocks, distance of two blocks in dy, in x)
    rows     of dy: (how many, their distance in dy, in x, rows of x, stride, padding); columns: (how many,
             their distance in x)
    piece    (blocks, rows of dy, jobs) that are gone through together, so that what they read of dy and x
             stays in the cache
    """
    (blocks, _, _), (OH, _, _, _, _, _), (some_blocks, some_rows, some_jobs) = images, rows, piece
    for job in range(0, len(jobs), some_jobs):
        for b in range(0, blocks, some_blocks):
            for i in range(0, OH, some_rows):
                _dots_of_a_piece(
                    dy,
                    x,
                    dweight,
                    jobs[job : job + some_jobs],
                    u_places,
                    v_places,
                    together,
                    images,
                    rows,
                    columns,
                    (b, min(blocks, b + some_blocks), i, min(OH, i + some_rows)),
                )


@compiled
def _dots_of_a_piece(dy, x, dweight, jobs, u_places, v_places, together, images, rows, columns, piece):
    (_, d_block, x_block), (_OH, d_row, x_row, H, SH, PH), (OW, x_pixel), (b, end_b, i, end_i) = (
        images,
        rows,
        columns,
        piece,
    )
    KH, KW = len(u_places), len(v_places)
    x_v = v_places[1] - v_places[0] if KW > 1 else 0
    for job in range(len(jobs)):
        A, d0, d_map, x0, o0, o_map = (
            jobs[job, 0],
            jobs[job, 1],
            jobs[job, 2],
            jobs[job, 3],
            jobs[job, 4],
            jobs[job, 5],
        )
        d0, x0 = d0 + b * d_block, x0 + b * x_block
        for u in range(KH):
            first = max(i, -((u - PH) // SH))  # the rows of dy for which tap u lies inside x
            R = max(0, min(end_i, (H - 1 - u + PH) // SH + 1) - first)
            v = 0
            while v < KW:
                B = _widest(DOT_WIDTHS[A], min(together, KW - v))
                dot(
                    A,
                    B,
                    end_b - b,
                    R,
                    OW,
                    dy,
                    d0 + first * d_row,
                    d_block,
                    d_row,
                    d_map,
                    x,
                    x0 + first * x_row + u_places[u] + v_places[v],
                    x_block,
                    x_row,
                    x_pixel,
                    x_v,
                    dweight,
                    o0 + u * KW + v,
                    o_map,
                    b > 0 or i > 0,
                )
                v += B


@kernel(split=("groups",))
def row_dots(x, weight, groups, y):
    """y[n, o] = sum_c x[n, c] weight[o, c]; rows are whole vectors. groups: rows of (first, how many) of the
    o that share loads of x.
    """
    (N, C), O, L = x.shape, y.shape[1], width(x)
    for g in range(len(groups)):
        o, B, n = groups[g, 0], groups[g, 1], 0
        while n < N:
            A = _widest(ROWS_OF_DOTS, N - n)
            dot(
                A,
                B,
                1,
                1,
                C // L,
                x.reshape(-1),
                n * C,
                0,
                0,
                C,
                weight.reshape(-1),
                o * C,
                0,
                0,
                L,
                C,
                y.reshape(-1),
                n * O + o,
                O,
                False,
            )
            n += A


def lane_sums(dy, total):
    """total[o] = sum over blocks, pixels and lanes of dy (blocks, O, pixels * L): a vector of partial sums a
    block, lanes added up at the end.
    """
    _lane_sums(dy, np.arange(len(total)), total)


@kernel(split=("maps", "total"))
def _lane_sums(dy, maps, total):
    blocks, _, n = dy.shape
    for o in range(len(maps)):
        of_map = fill_like(load_run(dy, (0, maps[o], 0)), 0)
        for b in range(blocks):
            even, odd = (
                fill_like(of_map, 0),
                fill_like(of_map, 0),
            )  # two sums in turn: an addition takes longer than a load
            for e in range(0, n, 2 * width(dy)):
                even = even + load_run(dy, (b, maps[o], e))
                odd = odd + load_run(dy, (b, maps[o], min(e + width(dy), n)))
            of_map = of_map + (even + odd)
        total[o] = lane_sum(of_map)
