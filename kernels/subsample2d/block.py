"""subsample2d by one block for one image, in shared memory (kernels/_cuda/one_image.py)."""

import numpy as np

from .._cuda.launch import device, divided
from .._cuda.one_image import THREADS, add_share
from .._cuda.package import cuda
from .._cuda.ptx import at, at_shared, near_shared, put_shared, thread

int32 = np.int32
read = near_shared(1)


def forward(x, y, size, coefficient, bias):
    """forward(s, params): a thread computes a pixel. coefficient, bias: which of params."""
    Y, YP, OH, OW, ALL = y.first, y.pitch, y.H, y.W, y.features
    window_sum = _window_sum(x, size)

    @device
    def forward(s, params):
        for e in range(thread(), ALL, THREADS):
            line, j = divided(e, OW)
            c, i = divided(line, OH)
            total = at(params[coefficient], c) * window_sum(s, c, i, j) + at(params[bias], c)
            put_shared(s, int32(Y + line * YP + j), total)

    return forward


def _window_sum(x, size):
    (SH, SW), X, XP, H = size, x.first, x.pitch, x.H

    @device
    def window_sum(s, c, i, j):
        total, first = s.dtype.type(0), int32(X + (c * H + i * SH) * XP + j * SW)
        for u in range(SH):
            for v in range(SW):
                total += read(s, first, int32(u * XP + v))[0]
        return total

    return window_sum


def backward(x, y, scratch, out, size, coefficient, slope, need_dx):
    """backward(s, params, ...): dcoefficient, and behind it dbias, to the shares; dx in the place of x."""
    (SH, SW), X, XP, H, W = size, x.first, x.pitch, x.H, x.W
    Y, YP, C, OH, OW, SCRATCH, OUT = y.first, y.pitch, y.C, y.H, y.W, scratch.first, out.shares
    ROWS, WINDOWS = C * OH, y.features if need_dx else 0
    # pixels of rows and columns that fill no window
    LEFT = x.features if need_dx and (H % SH or W % SW) else 0
    window_sum = _window_sum(x, size)

    @device
    def backward(s, params, notes, shares, row, fresh, n):
        for line in range(thread(), ROWS, THREADS):
            products = total = s.dtype.type(0)
            c, i = divided(line, OH)
            for j in range(OW):
                dy = at_shared(s, int32(Y + line * YP + j))
                products += dy * window_sum(s, c, i, j)  # reverses: y = coefficient * sum
                total += dy  # reverses: y = ... + bias[c]
            put_shared(s, int32(SCRATCH + line), products)
            put_shared(s, int32(SCRATCH + ROWS + line), total)
        cuda.syncthreads()
        for e in range(thread(), 2 * C, THREADS):
            total = s.dtype.type(0)
            for i in range(OH):
                total += at_shared(s, int32(SCRATCH + e * OH + i))
            add_share(shares, row + OUT + e, total, fresh)
        for e in range(thread(), WINDOWS, THREADS):
            line, j = divided(e, OW)
            c, i = divided(line, OH)
            # reverses: coefficient * total
            dtotal = at(params[coefficient], c) * at_shared(s, int32(Y + line * YP + j))
            first = int32(X + (c * H + i * SH) * XP + j * SW)
            for u in range(SH):
                for v in range(SW):
                    # reverses: total + x[i SH + u, j SW + v]
                    value = read(s, first, int32(u * XP + v))[0]
                    put_shared(s, int32(first + u * XP + v), dtotal * slope(value))
        for e in range(thread(), LEFT, THREADS):
            line, w = divided(e, W)
            _, h = divided(line, H)
            if h >= OH * SH or w >= OW * SW:
                put_shared(s, int32(X + line * XP + w), s.dtype.type(0))

    return backward


def scratch_words(y):
    """Return the words of shared memory that are needed beside x and y, at least."""
    return 2 * y.C * y.H
