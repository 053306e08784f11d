"""The tables by which tiles (kernels/_cuda/tiles.py) become a convolution: where the taps of a window and its
places lie in the maps.

    x[taps[t].offset + pixels[p].offset + n], or 0 where taps[t].bits & pixels[p].bits

is what tap t of the window at place p sees in image n. Bit u of a tap says that it lies in row u of the
window, bit KH + v that it lies in column v; the same bits of a pixel say which rows and columns of the window
at that place lie outside of the map. So one AND tells whether a tap sees the map.

                 A[k, m]                      B[k, j]                                     k             j
forward          weight[m, k]                 x at tap k, pixel and image j               (c, u, v)     (i, j, n)
backward_weight  dy[m, k]                     x at tap j, pixel and image k               (i, j, n)     (c, u, v)
backward_input   weight[o, m, u, v]           dy at tap k, pixel and image j              (o, u, v)     (h, w, n)

backward_input is a forward from dy to dx with the taps turned round, once for every phase of the stride: the
pixels h of dx with (h + PH) mod SH = r see only the taps u = r, r + SH, r + 2 SH, ..., and among themselves
they are a convolution of stride 1. Its weights are copied first, so that m is contiguous.

dense is the convolution of maps of one row with a window of one pixel.
"""  # noqa: E501

import math

import numpy as np

from . import launch, memory
from .launch import divided, kernel
from .package import cuda
from .tiles import Gathered, Matrix, multiply

PAD = 256  # entries behind a table, that tiles and steps that are not full read
BEYOND = -1 << 31  # the bit of taps that do not exist; all pixels have it
MOST = 2**31  # elements that 32-bit indices reach


def fits(window, *arrays, groups=1):
    """Whether tiles can compute this: float32, a window whose rows and columns fit into 31 bits, arrays that
    32-bit indices reach, groups that blocks reach.
    """
    return (
        groups <= launch.ROWS
        and arrays[0].dtype == np.float32
        and sum(window) < 32
        and max(array.size for array in arrays) < MOST
    )


def _packed(offset, bits, missing):
    """Table entries as int64: bits above, offset below; and PAD of those that are `missing`."""
    return np.concatenate([(bits.ravel() << 32) | (offset.ravel() & 0xFFFFFFFF), np.full(PAD, missing << 32)])


@memory.constant
def tables(source, window, rows, columns, tap_step, N, target=None):
    """(taps, pixels, places) for windows that read maps of a shape `source` (C, H, W), N images.

    window     (C, rows, columns) of taps
    rows       (first, step, count): in which row of the map windows begin, before it where negative; columns
               likewise
    tap_step   1, or -1 where taps lie against the direction of the map
    target     (first row, row step, first column, column step, width): which pixel of the result each place
               is; None: they are all of them, in order
    """
    (_, H, W), (C, KH, KW) = source, window
    c, u, v = np.ogrid[:C, :KH, :KW]
    taps = _packed(((c * H + u * tap_step) * W + v * tap_step) * N, (1 << u | 1 << KH + v) + 0 * c, BEYOND)
    h, w = (np.arange(count) * step + first for first, step, count in (rows, columns))
    outside = [
        ((place[:, None] + np.arange(size) * tap_step) // length != 0) @ (1 << np.arange(size))
        for place, size, length in ((h, KH, H), (w, KW, W))
    ]
    pixels = _packed((h[:, None] * W + w) * N, outside[0][:, None] | outside[1] << KH | BEYOND, -1)
    places = np.arange(len(h) * len(w))
    if target:
        first_row, row_step, first_column, column_step, width = target
        places = (
            (first_row + row_step * np.arange(len(h)))[:, None] * width
            + first_column
            + column_step * np.arange(len(w))
        ).ravel()
    return taps, pixels, places.astype(np.int32)


def _maps(x):
    """(maps, (C, H, W), N) of maps (C, H, W, N), flat."""
    return x.reshape(x.size), x.shape[:3], x.shape[3]


def forward(x, weight, stride, padding, groups, y, bias=None, relu=False):
    (maps, (C, H, W), N), (O, _, KH, KW), (_, OH, OW, _) = _maps(x), weight.shape, y.shape
    window = C // groups, KH, KW
    rows, columns = ((-p, s, count) for p, s, count in zip(padding, stride, (OH, OW)))
    K = math.prod(window)
    multiply(
        Matrix(weight.reshape(weight.size), O // groups * K, K, True),
        Gathered(maps, C // groups * H * W * N, *tables((C, H, W), window, rows, columns, 1, N), N, False),
        (O // groups, OH * OW * N, K),
        groups,
        y.reshape(y.size),
        OH * OW * N,
        bias,
        relu,
    )


def backward_weight(dy, x, stride, padding, groups, dweight):
    (maps, (C, H, W), N), (O, _, KH, KW), (_, OH, OW, _) = _maps(x), dweight.shape, dy.shape
    window = C // groups, KH, KW
    rows, columns = ((-p, s, count) for p, s, count in zip(padding, stride, (OH, OW)))
    K, J = OH * OW * N, math.prod(window)
    multiply(
        Matrix(dy.reshape(dy.size), O // groups * K, K, True),
        Gathered(maps, C // groups * H * W * N, *tables((C, H, W), window, rows, columns, 1, N), N, True),
        (O // groups, J, K),
        groups,
        dweight.reshape(dweight.size),
        J,
    )


def backward_input(dy, weight, stride, padding, groups, dx, mask=None):
    (maps, (O, OH, OW), N), (_, C, KH, KW), (_, H, W, _) = _maps(dy), weight.shape, dx.shape
    phases = [(r, q) for r in range(stride[0]) for q in range(stride[1])]
    for r, q in phases:
        # along each axis: the first pixel of this phase, how many there are, the place in dy that its first
        # tap sees, and how many taps there are
        (h, OHs, i, U), (w, OWs, j, V) = (
            _phase(*axis) for axis in zip((r, q), (H, W), (KH, KW), stride, padding)
        )
        if not OHs * OWs * N:
            continue
        K, window = O // groups * U * V, (O // groups, U, V)
        if (KH, KW) == (1, 1) and groups == 1:  # the weights lie as they are needed
            a = Matrix(weight.reshape(weight.size), 0, C, False, C)
        else:
            columns = -(-C // 4) * 4
            packed = memory.empty((max(groups * K * columns, 1),), weight.dtype)
            if K:
                _pack[packed.size](weight, r, q, *stride, U, V, columns, packed)
            a = Matrix(packed, K * columns, columns, False, columns)
        places = tables((O, OH, OW), window, (i, 1, OHs), (j, 1, OWs), -1, N, (h, stride[0], w, stride[1], W))
        # reverses: y[o, i, j] += weight[o, c, u, v] x[c, i SH + u - PH, j SW + v - PW]
        multiply(
            a,
            Gathered(maps, O // groups * OH * OW * N, *places, N, False),
            (C, OHs * OWs * N, K),
            groups,
            dx.reshape(dx.size),
            H * W * N,
            mask=mask,
            split=len(phases) == 1,
        )


def _phase(r, size, window, stride, padding):
    """(first pixel, pixels, place in dy of what tap r of the first pixel sees, taps) of phase r along one
    axis.
    """
    first = (r - padding) % stride
    return (
        first,
        len(range(first, size, stride)),
        (first + padding - r) // stride,
        len(range(r, window, stride)),
    )


@kernel
def _pack(weight, r, q, SH, SW, U, V, columns, packed):
    """packed[(o, u, v), c] = weight[o, c, r + u SH, q + v SW]; 0 for c that there are not. The maps o of a
    group are neighbours, so a group's rows are too.
    """
    C = weight.shape[1]
    for e in range(cuda.grid(1), packed.size, cuda.gridsize(1)):
        k, c = divided(e, columns)
        k, v = divided(k, V)
        o, u = divided(k, U)
        packed[e] = weight[o, c, r + u * SH, q + v * SW] if c < C else weight.dtype.type(0)
