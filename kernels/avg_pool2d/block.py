"""avg_pool2d by one block for one image, in shared memory (kernels/_cuda/one_image.py)."""

import numpy as np

from .._cuda.launch import device
from .._cuda.one_image import THREADS
from .._cuda.ptx import at_shared, put_shared, thread

int32 = np.int32


def forward(x, y, size, stride, padding):
    """forward(s, params): a thread computes a pixel."""
    (KH, KW), (SH, SW), (PH, PW) = size, stride, padding
    X, XP, H, W, Y, YP, OH, OW, ALL = x.first, x.pitch, x.H, x.W, y.first, y.pitch, y.H, y.W, y.features
    count = _count(size, H + PH, W + PW)

    @device
    def forward(s, params):
        for e in range(thread(), ALL, THREADS):
            line, j = e // OW, e % OW
            c, top, left = line // OH, line % OH * SH - PH, j * SW - PW
            total = s.dtype.type(0)
            for h in range(max(top, 0), min(top + KH, H)):
                for w in range(max(left, 0), min(left + KW, W)):
                    total += at_shared(s, int32(X + (c * H + h) * XP + w))  # padding adds nothing
            put_shared(s, int32(Y + line * YP + j), total / np.float32(count(top, left)))

    return forward


def _count(size, bottom, right):
    """count(top, left): how many places a window covers of a padded map that ends at `bottom` and `right`."""
    KH, KW = size

    @device
    def count(top, left):
        return (min(top + KH, bottom) - top) * (min(left + KW, right) - left)

    return count


def backward(x, y, out, size, stride, padding, slope, need_dx):
    """backward(s, params, ...): dx in the place of x: each pixel adds up what the windows that contain it
    hand to it.
    """
    (KH, KW), (SH, SW), (PH, PW) = size, stride, padding
    X, XP, H, W, Y, YP, OH, OW = x.first, x.pitch, x.H, x.W, y.first, y.pitch, y.H, y.W
    ALL = x.features if need_dx else 0
    count = _count(size, H + PH, W + PW)

    @device
    def backward(s, params, notes, shares, row, fresh, n):
        for e in range(thread(), ALL, THREADS):
            line, w = e // W, e % W
            c, h = line // H, line % H
            total = s.dtype.type(0)
            for i in range(max(0, (h + PH - KH + SH) // SH), min(OH, (h + PH) // SH + 1)):
                for j in range(max(0, (w + PW - KW + SW) // SW), min(OW, (w + PW) // SW + 1)):
                    dy = at_shared(s, int32(Y + (c * OH + i) * YP + j))
                    total += dy / np.float32(count(i * SH - PH, j * SW - PW))  # reverses: total / count
            place = int32(X + line * XP + w)
            put_shared(s, place, total * slope(at_shared(s, place)))

    return backward


def scratch_words(y):
    """Return the words of shared memory that are needed beside x and y, at least."""
    return 0
