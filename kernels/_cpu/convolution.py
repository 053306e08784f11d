"""The tables by which tiles (kernels/_cpu/tiles.py) become a convolution: which maps feed which, and where
they lie.

Both directions are one operation here. Forward goes from x to y by the taps of the window. backward_input
goes from dy to dx by the same taps turned round, once for every phase of the stride: the pixels h of dx with
(h + PH) mod SH = r see only the taps u = r, r + SH, r + 2 SH, ..., and among themselves they are a
convolution of stride 1.

Two layouts. Many images: L of them side by side in every vector, so a map has no edges within a vector. Few
images (L = 1): pixels of a row side by side, rows joined to one long run, in a copy that is padded and has
the phases of the stride apart (`widen`).
"""

from functools import lru_cache

import numpy as np

from . import layouts, tiles
from .native import aligned_empty, lanes
from .simd import DOTS, TILES

CACHE = 2**18 + 2**17  # bytes that a piece of dy, or one of x, may take of a core's second-level cache
MAPS_TOGETHER = 8  # of dy, in a piece of backward_weight


class Wiring:
    """Which maps feed which: sources[o] lists the pairs (c, k), map c feeds map o through filter k;
    targets[c] the pairs (o, k).
    """

    def __init__(self, connections, O, C):
        self.sources, self.targets = [[] for _ in range(O)], [[] for _ in range(C)]
        for k, (o, c) in enumerate(connections.tolist()):
            self.sources[o].append((c, k))
            self.targets[c].append((o, k))

    def lone(self, feeding):
        """Whether no two neighbouring maps are fed by the same maps (`feeding`: "sources" or "targets"), so
        that none can share tiles.
        """
        return all(count == 1 for _, count in alike(getattr(self, feeding)))


@lru_cache(maxsize=64)
def wiring_of_groups(O, C, groups):
    """Every map of y sees all maps of its own group; filters in the order of weight (O, C/groups, KH, KW)."""
    o, c = np.divmod(np.arange(O * (C // groups)), C // groups)
    return Wiring(np.stack([o, c + o // (O // groups) * (C // groups)], axis=1), O, C)


@lru_cache(maxsize=64)
def wiring_of_table(connections, O, C):
    """`connections`: the bytes of an int64 array of pairs (o, c), one filter each."""
    return Wiring(np.frombuffer(connections, np.int64).reshape(-1, 2), O, C)


def forward(x, filters, bias, wiring, kernel_size, stride, padding, y):
    if _row_by_row(x, wiring, "sources", stride, padding):
        return _lone_maps(x, filters, bias, wiring, "sources", kernel_size, y)
    taps = tuple(range(kernel_size[0])), tuple(range(kernel_size[1]))
    _correlate(x, filters, bias, wiring, "sources", kernel_size, taps, stride, padding, y, (0, 0), (1, 1))


def backward_input(dy, filters, wiring, kernel_size, stride, padding, dx):
    zero = np.zeros(dx.shape[1], dx.dtype)
    if _row_by_row(dx, wiring, "targets", stride, padding):
        return _lone_maps(dy, filters, zero, wiring, "targets", kernel_size, dx)
    for r in range(stride[0]):
        for s in range(stride[1]):
            rows, columns = (_phase(*axis) for axis in zip((r, s), kernel_size, stride, padding))
            (h, u, above), (w, v, left) = rows, columns
            _correlate(
                dy,
                filters,
                zero,
                wiring,
                "targets",
                kernel_size,
                (u, v),
                (1, 1),
                (above, left),
                dx,
                (h, w),
                stride,
            )


def _row_by_row(x, wiring, feeding, stride, padding):
    return (
        x.data.shape[-1] > 1 and tuple(stride) == (1, 1) and tuple(padding) == (0, 0) and wiring.lone(feeding)
    )


def _lone_maps(x, filters, bias, wiring, feeding, kernel_size, y):
    """Maps that are fed by other maps than their neighbours, at stride 1 and without padding: x to y by their
    sources, dy to dx by their targets.
    """
    (blocks, O, OH, OW, L), (_, C, H, W, _), (KH, KW), turned = (
        y.data.shape,
        x.data.shape,
        kernel_size,
        feeding == "targets",
    )
    maps, index, offset = _tables_of_lone_maps(wiring, feeding, kernel_size, (H * W * L, W * L), OH * OW * L)
    tiles.row_tiles(
        x.data.reshape(-1),
        _packed(filters, index),
        bias,
        y.data.reshape(-1),
        maps,
        offset,
        (blocks, C * H * W * L, O * OH * OW * L),
        (OH, W * L, OW * L, KH, H, KH - 1 if turned else 0),
        (OW, W if turned else OW, KW),
        turned,
    )


@lru_cache(maxsize=256)
def _tables_of_lone_maps(wiring, feeding, kernel_size, distances, y_map):
    """(maps, index, offset) for row_tiles: the weights of a map in the order (row of the window, map of x,
    column), for dx the rows from below.
    """
    KH, KW = kernel_size
    maps, index, offset, written = [], [], [], 0
    for m, feeds in enumerate(getattr(wiring, feeding)):
        source, k = np.array(feeds, np.int64).reshape(-1, 2).T
        u, v = np.arange(KH)[:, None, None], np.arange(KW)
        row = KH - 1 - u if feeding == "targets" else u
        maps.append((len(source), written * KW, written, m * y_map))
        index.append(((k[:, None] * KH + row) * KW + v).ravel())
        offset.append((u[:, 0] * distances[1] + source * distances[0]).ravel())
        written += offset[-1].size
    return np.array(maps, np.int64), int32(np.concatenate(index)), int32(np.concatenate(offset))


def _phase(r, window, stride, padding):
    """Of one axis: the first pixel of dx in phase r, its taps turned round, and the padding of dy that they
    need.
    """
    first = (r - padding) % stride
    taps = tuple(range(r, window, stride))[::-1]
    return first, taps, len(taps) - 1 - (first + padding - r) // stride


def _correlate(x, filters, bias, wiring, feeding, kernel_size, taps, stride, padding, y, origin, step):
    """y[origin + (i, j) * step] = bias + sum over feeding maps and taps (u', v') of filter[taps[u', v']]
    x[(i, j) * stride + (u', v') - padding].
    """
    L = x.data.shape[-1]
    size = tuple(len(range(first, n, by)) for first, n, by in zip(origin, y.shape[2:], step))
    if 0 in size:
        return
    correlate = _few_images if L == 1 else _many_images
    correlate(x, filters, bias, (wiring, feeding, kernel_size, taps), stride, padding, y, origin, step, size)


def _many_images(x, filters, bias, connected, stride, padding, y, origin, step, size):
    (blocks, C, H, W, L), (_, O, YH, YW, _), (KH, KW) = x.data.shape, y.data.shape, map(len, connected[-1])
    (OH, OW), (SH, SW), (PH, PW) = size, stride, padding
    data, pitch, left = _with_margins(x, W, OW, KW, SW, PW)
    panels, index, offset = _tables(*connected, (H * pitch * L, pitch * L, L), (1, 1), 0, YH * YW * L)
    tiles.multiply_add_tiles(
        data.reshape(-1),
        _packed(filters, index),
        bias,
        y.data.reshape(-1),
        panels,
        offset,
        (
            blocks,
            ((left - PW) - PH * pitch) * L,
            C * H * pitch * L,
            (origin[0] * YW + origin[1]) * L,
            O * YH * YW * L,
        ),
        (OH, SH * pitch * L, step[0] * YW * L, KH, H, SH, PH),
        (OW, SW * L, step[1] * L, KW, W, SW, PW),
        YH * YW * L,
    )


def _with_margins(x, W, OW, KW, SW, PW):
    """x with as many zero columns on both sides as the windows reach beyond it: the array, the width of a
    row, the columns on the left.
    """
    L = x.data.shape[-1]
    left, right = max(0, PW), max(0, (OW - 1) * SW + KW - PW - W)
    if not left and not right:
        return x.data, W, 0
    padded = aligned_empty((x.data.size // (W * L), (left + W + right) * L), x.dtype)
    layouts.with_margins(x.data.reshape(-1, W * L), left * L, padded)
    return padded, left + W + right, left


def _few_images(x, filters, bias, connected, stride, padding, y, origin, step, size):
    (N, C, _, _), (_, O, YH, YW), (KH, KW) = x.shape, y.shape, map(len, connected[-1])
    wide, shape, area = widened(x, (KH, KW), stride, padding, size)
    vectors = -(-((size[0] - 1) * shape[1] + size[1]) // lanes(x.dtype))
    run = vectors * lanes(x.dtype)
    lie = (area, shape[1], 1), stride, shape[0] * shape[1], run
    in_place = _tables_in_place(*connected, *lie)
    if in_place:
        (panels, offset), weights, KH, KW = in_place, filters.reshape(-1), 1, 1  # one long row of taps
    else:
        panels, index, offset = _tables(*connected, *lie)
        weights = _packed(filters, index)
    result = aligned_empty((N * O, run), y.dtype)
    tiles.multiply_add_tiles(
        wide,
        weights,
        bias,
        result.reshape(-1),
        panels,
        offset,
        (N, 0, C * area, 0, O * run),
        (1, 0, 0, KH, KH, 1, 0),
        (vectors, lanes(x.dtype), lanes(x.dtype), KW, KW, 0, 0),
        run,
    )
    layouts.narrow(result, shape[1], size, origin, step, y.data.reshape(N * O, YH, YW))


def widened(x, window, stride, padding, size):
    """x (L = 1) laid out by `widen` for `size` outputs: the flat array, the (rows, pitch) of a phase, and the
    elements of a map.
    """
    rows, pitch = (n + (k - 1) // s if k else n for n, k, s in zip(size, window, stride))
    (N, C, H, W), area = x.shape, stride[0] * stride[1] * rows * pitch
    flat = aligned_empty((N * C * area + lanes(x.dtype) + pitch,), x.dtype, lasting=True)
    flat[N * C * area :] = 0  # the last vector of a run may look beyond it; no kernel writes there
    layouts.widen(
        x.data.reshape(N * C, H, W), stride, padding, (rows, pitch), flat[: N * C * area].reshape(N * C, area)
    )
    return flat, (rows, pitch), area


def _packed(filters, index):
    """The weights in the order in which the tiles read them."""
    packed = aligned_empty((len(index),), filters.dtype)
    layouts.gather(filters.reshape(-1), index, packed)
    return packed


@lru_cache(maxsize=256)
def _tables(wiring, feeding, kernel_size, taps, distances, stride, phase, y_map):
    """(panels, index, offset): the groups of output maps that share tiles, where each weight that they read
    lies in the filters, and where each vector of x that they read lies behind that of the first tap.

    distances  of two maps, rows and neighbours in x; stride and phase: of the `widen` layout, where tap v
               lies in phase v mod SW
    """
    feeds, (U, V) = getattr(wiring, feeding), (np.array(t, np.int64) for t in taps)
    u, v = np.arange(len(U))[:, None], np.arange(len(V))[None]
    place = (
        (u % stride[0] * stride[1] + v % stride[1]) * phase
        + u // stride[0] * distances[1]
        + v // stride[1] * distances[2]
    )
    tap = U[:, None] * kernel_size[1] + V
    panels, index, offset, known, written, looked_up = [], [], [], {}, 0, 0
    for first, count in alike(feeds):
        maps = tuple(source for source, _ in feeds[first])
        if maps not in known:
            known[maps] = looked_up
            offset.append((place[:, :, None] + np.array(maps, np.int64) * distances[0]).ravel())
            looked_up += offset[-1].size
        for start, M in split(first, count, TILES):
            k = np.array(
                [[filter for _, filter in feeds[m]] for m in range(start, start + M)], np.int64
            ).reshape(M, len(maps))
            panels.append(
                (M, len(maps), written, len(V) * len(maps) * M, M, 1, known[maps], start * y_map, start)
            )
            index.append((k.T * (kernel_size[0] * kernel_size[1]) + tap[:, :, None, None]).ravel())
            written += index[-1].size
    joined = [np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in (index, offset)]
    return np.array(panels, np.int64), int32(joined[0]), int32(joined[1])


@lru_cache(maxsize=256)
def _tables_in_place(wiring, feeding, kernel_size, taps, distances, stride, phase, y_map):
    """(panels, offset) as _tables gives them, for weights that are read where they lie: forward, by filters
    that follow each other in the order of their maps. Else None. For few images, where packing the weights
    would take a good part of the time."""
    if feeding != "sources":
        return None
    u_places, v_places, _ = _places(kernel_size, stride, phase, *distances[1:])
    place, panels, offset, looked_up = u_places[:, None] + v_places, [], [], 0
    for first, count in alike(wiring.sources):
        maps = np.array([source for source, _ in wiring.sources[first]], np.int64)
        offset.append((maps[:, None, None] * distances[0] + place).ravel())
        size = offset[-1].size  # weights of one map of y
        for start, M in split(first, count, TILES):
            filters = [k for m in range(start, start + M) for _, k in wiring.sources[m]]
            if filters != list(range(filters[0], filters[0] + len(filters))):
                return None
            panels.append((M, size, filters[0] * place.size, 0, 1, size, looked_up, start * y_map, start))
        looked_up += size
    return np.array(panels, np.int64), int32(np.concatenate(offset))


def int32(table):
    """A table of positions in half the memory. Raises ValueError where one is too large."""
    if table.size and table.max() >= 2**31:
        raise ValueError(
            f"arrays of more than {2**31} elements in one piece are too large for the cpu kernels; use a "
            "smaller batch"
        )
    return table.astype(np.int32)


def alike(feeds):
    """(first, count) of neighbouring maps that are fed by the same maps."""
    sources, first = [[source for source, _ in feed] for feed in feeds], 0
    for m in range(1, len(feeds) + 1):
        if m == len(feeds) or sources[m] != sources[first]:
            yield first, m - first
            first = m


def split(first, count, sizes):
    """`count` maps from `first` on as (start, size) of tiles that exist, the largest first."""
    while count:
        size = max(size for size in sizes if size <= count)
        yield first, size
        first, count = first + size, count - size


def backward_weight(dy, x, wiring, kernel_size, stride, padding, dfilters):
    """dfilters[k, u, v] = sum over images and pixels (i, j) of dy[o, i, j] x[c, (i, j) * stride + (u, v) -
    padding], filter k from c to o.
    """
    (N, C, H, W), (_, O, OH, OW), (KH, KW), (SH, SW), (PH, PW) = (
        x.shape,
        dy.shape,
        kernel_size,
        stride,
        padding,
    )
    (blocks, *_, L), vector, d = x.data.shape, lanes(x.dtype), dy.data
    if L > 1:
        data, pitch, left = _with_margins(x, W, OW, KW, SW, PW)
        x_map, d_map, first = H * pitch * L, OH * OW * L, (left - PW - PH * pitch) * L
        places = _places(kernel_size, (1, 1), 0, pitch * L, L)
        rows, columns = (OH, OW * L, SH * pitch * L, H, SH, PH), (OW, SW * L)
    else:  # dy on the same pitch as x, with zeros wherever x has no output
        data, (_, pitch), x_map = widened(x, kernel_size, stride, padding, (OH, OW))
        d_map, first = -(-OH * pitch // vector) * vector, 0
        d = aligned_empty((N * O, d_map), dy.dtype)
        layouts.widen(dy.data.reshape(N * O, OH, OW), (1, 1), (0, 0), (OH, pitch), d)
        places = _places(kernel_size, stride, x_map // (SH * SW), pitch, 1)
        rows, columns = (1, 0, 0, KH, 1, 0), (d_map // vector, vector)
    jobs, some_jobs = _jobs(wiring, d_map, x_map, first, KH * KW)
    piece = (
        *_piece(blocks, rows[0], d_map, x_map, (SH, KH, H) if L > 1 else (1, 1, 1), dy.dtype.itemsize),
        some_jobs,
    )
    tiles.dot_tiles(
        d.reshape(-1),
        data.reshape(-1),
        dfilters.reshape(-1),
        jobs,
        *places,
        (blocks, O * d_map, C * x_map),
        rows,
        columns,
        piece,
    )


@lru_cache(maxsize=256)
def _places(kernel_size, stride, phase, row, neighbour):
    """Where tap row u and tap v of a row lie in x, and how many taps of a row lie at equal distances: those
    share a load of dy.
    """
    u, v = (np.arange(k) for k in kernel_size)
    columns = v % stride[1] * phase + v // stride[1] * neighbour
    together = len(v) if len(set(np.diff(columns))) < 2 else 1
    return u % stride[0] * stride[1] * phase + u // stride[0] * row, columns, together


def _piece(blocks, OH, d_map, x_map, axis, itemsize):
    """(blocks, rows of dy) of which MAPS_TOGETHER maps of dy and a map of x stay in the cache; axis =
    (stride, taps, rows of x).
    """
    stride, taps, H = axis
    fit = min(blocks, CACHE // (MAPS_TOGETHER * d_map * itemsize), CACHE // (x_map * itemsize))
    if fit > 0:
        return fit, OH
    rows = min(
        CACHE * OH // (MAPS_TOGETHER * d_map * itemsize),
        (CACHE * H // (x_map * itemsize) - taps) // stride + 1,
    )
    return 1, max(1, min(rows, OH))


@lru_cache(maxsize=256)
def _jobs(wiring, d_map, x_map, x_first, filter_size):
    """Filters that read the same map of x, as many at a time as a tile takes; where they and their maps of dy
    lie at equal distances.

    All that MAPS_TOGETHER maps of dy have to do stands together, for all maps of x; and how many jobs that
    makes.
    """
    jobs, most, O = [], 1, len(wiring.sources)
    for first in range(0, O, MAPS_TOGETHER):
        before = len(jobs)
        for c, all_targets in enumerate(wiring.targets):
            targets = [(o, k) for o, k in all_targets if first <= o < first + MAPS_TOGETHER]
            while targets:
                A = max(
                    a
                    for a in DOTS
                    if a <= len(targets)
                    and len({(o2 - o, k2 - k) for (o, k), (o2, k2) in zip(targets, targets[1:a])}) < 2
                )
                (o, k), (next_o, next_k) = targets[0], targets[min(A, 2) - 1]
                jobs.append(
                    (
                        A,
                        o * d_map,
                        (next_o - o) * d_map,
                        c * x_map + x_first,
                        k * filter_size,
                        (next_k - k) * filter_size,
                    )
                )
                targets = targets[A:]
        most = max(most, len(jobs) - before)
    return np.array(jobs, np.int64).reshape(-1, 6), most
