"""max_pool2d by one block for one image, in shared memory (kernels/_cuda/one_image.py)."""

import numpy as np

from .._cuda.launch import device
from .._cuda.one_image import THREADS
from .._cuda.package import cuda
from .._cuda.ptx import at_shared, put_shared, thread

int32 = np.int32


def forward(x, y, size, stride, padding):
    """forward(s, params): a thread computes a pixel."""
    (SH, SW), (PH, PW) = stride, padding
    Y, YP, OH, OW, ALL = y.first, y.pitch, y.H, y.W, y.features
    search = _search(x, size)

    @device
    def forward(s, params):
        for e in range(thread(), ALL, THREADS):
            line, j = e // OW, e % OW
            best = search(s, line // OH, line % OH * SH - PH, j * SW - PW)[0]
            put_shared(s, int32(Y + line * YP + j), best)

    return forward


def _search(x, size):
    """search(s, c, top, left): the first maximum of a window in the order of reading, and its place."""
    (KH, KW), X, XP, H, W = size, x.first, x.pitch, x.H, x.W

    @device
    def search(s, c, top, left):
        winner = int32(X + (c * H + max(top, 0)) * XP + max(left, 0))
        best = at_shared(s, winner)
        for h in range(max(top, 0), min(top + KH, H)):
            for w in range(max(left, 0), min(left + KW, W)):
                place = int32(X + (c * H + h) * XP + w)
                value = at_shared(s, place)
                # NaN is never hidden: nothing is larger than it
                if (value > best) | ((value != value) & (best == best)):
                    best, winner = value, place
        return best, winner

    return search


def backward(x, y, out, size, stride, padding, slope, need_dx):
    """backward(s, params, ...): dx in the place of x. Each pixel takes dy of the windows that it has won; all
    threads keep what they have found until nobody searches any more.
    """
    (KH, KW), (SH, SW), (PH, PW) = size, stride, padding
    X, XP, H, W, Y, YP, OH, OW = x.first, x.pitch, x.H, x.W, y.first, y.pitch, y.H, y.W
    ALL = x.features
    EACH = -(-ALL // THREADS)
    search = _search(x, size)

    @device
    def backward(s, params, notes, shares, row, fresh, n):
        if need_dx:
            found = cuda.local.array(EACH, s.dtype)
            for a in range(EACH):
                e = a * THREADS + thread()
                line, w = e // W, e % W
                c, h = line // H, line % H
                place, total = int32(X + line * XP + w), s.dtype.type(0)
                if e < ALL:
                    for i in range(max(0, (h + PH - KH + SH) // SH), min(OH, (h + PH) // SH + 1)):
                        for j in range(max(0, (w + PW - KW + SW) // SW), min(OW, (w + PW) // SW + 1)):
                            if search(s, c, i * SH - PH, j * SW - PW)[1] == place:
                                # reverses: y = x[winner]
                                total += at_shared(s, int32(Y + (c * OH + i) * YP + j))
                    total *= slope(at_shared(s, place))
                found[a] = total
            cuda.syncthreads()
            for a in range(EACH):
                e = a * THREADS + thread()
                if e < ALL:
                    put_shared(s, int32(X + e // W * XP + e % W), found[a])

    return backward


def scratch_words(y):
    """Return the words of shared memory that are needed beside x and y, at least."""
    return 0
