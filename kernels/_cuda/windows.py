"""Windows that slide over a map, as threads see them: what the pools share.

A window that looks beyond the edge of the map gets the pixel at the edge instead (`within`), and what it must
not count is left out afterwards: so all loads of a thread are on their way at once, and none waits for a
branch.
"""

from .._windows import as_lengths
from .launch import device, divided


def lengths(size, stride):
    """A window and its stride for a kernel, as pairs of tuples of that length: the length is part of their
    type, so that loops over taps are unrolled and what is divided by the stride is divided by a constant."""
    return as_lengths(size), as_lengths(stride)


@device
def map_size(rows, N):
    """(H, W) of a map, from CudaNative.rows of N images."""
    return rows.shape[1], divided(rows.shape[2], N)[0]


@device
def within(place, positions):
    """`place`, or the nearest of 0 to positions - 1."""
    return min(max(place, 0), positions - 1)


@device
def most_windows(size, stride):
    """How many windows contain a pixel, along one axis, at most."""
    return (len(size) + len(stride) - 1) // len(stride)


@device
def window_and_tap(pixel, stride, a):
    """i, u with i stride + u = pixel (of the padded map): pixel is tap u of window i. a = 0 for the last such
    window, 1 for the one before, ...

    Whether there is such a window, 0 <= i < positions, and such a tap, u < size, is for the caller to see.
    """
    i = pixel // len(stride) - a
    return i, pixel - i * len(stride)
