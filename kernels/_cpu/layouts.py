"""Copies that bring arrays into the form that the tiles (kernels/_cpu/tiles.py) need: packed, padded,
transposed.
"""

from .kernel import kernel
from .native import vector_bytes
from .simd import transpose

VECTOR_BYTES = vector_bytes()


@kernel(once=True, split=("index", "packed"))
def gather(weight, index, packed):
    """packed[e] = weight[index[e]]: the weights in the order in which the tiles read them."""
    for e in range(len(index)):
        packed[e] = weight[index[e]]


@kernel(split=("x", "padded"))
def with_margins(x, left, padded):
    """Rows (n, W) into rows (n, left + W + right) with zeros on both sides."""
    n, W = x.shape
    for row in range(n):
        padded[row, :left] = 0
        padded[row, left : left + W] = x[row]
        padded[row, left + W :] = 0


@kernel
def add_to_rows(row, y):
    """y[i] += row, in place."""
    for i in range(len(y)):
        for j in range(len(row)):
            y[i, j] += row[j]


@kernel
def without_margins(padded, x):
    """Rows (n, W or more) cut off to rows (n, W)."""
    for row in range(len(x)):
        x[row] = padded[row, : x.shape[1]]


@kernel(split=("x", "y"))
def images_first(x, y):
    """x (blocks, C, L) as y (blocks, L, C or more): the transpose of every block; columns of y beyond C are
    zero.
    """
    (blocks, C, L), pitch, side = x.shape, y.shape[2], VECTOR_BYTES // x.itemsize
    whole = C // side * side if side == L else 0  # as many maps as fill square tiles
    for b in range(blocks):
        for c in range(0, whole, side):
            transpose(x.reshape(-1), (b * C + c) * L, L, y.reshape(-1), b * L * pitch + c, pitch)
        for lane in range(L):
            for c in range(whole, C):
                y[b, lane, c] = x[b, c, lane]
            y[b, lane, C:] = 0


@kernel(split=("x", "wide"))
def widen(x, stride, padding, shape, wide):
    """Every map of x (maps, H, W) laid out for pixels side by side: wide (maps, SH * SW * rows * pitch or
    more), shape = (rows, pitch).

    Pixel (h, w) of the padded map goes to phase (h mod SH, w mod SW), row h // SH and column w // SW, so that
    the pixels that neighbouring outputs see through one tap are neighbours whatever the stride. All else is
    zero.
    """
    (SH, SW), (PH, PW), (rows, pitch), (maps, H, W) = stride, padding, shape, x.shape
    for n in range(maps):
        wide[n] = 0
        for h in range(H):
            row, phase = (h + PH) // SH, (h + PH) % SH * SW
            if 0 <= row < rows:
                for w in range(W):
                    column = (w + PW) // SW
                    if 0 <= column < pitch:
                        wide[n, ((phase + (w + PW) % SW) * rows + row) * pitch + column] = x[n, h, w]


@kernel(split=("wide", "y"))
def narrow(wide, pitch, size, origin, step, y):
    """The outputs (i, j) < size of every map, which lie in wide at i * pitch + j, to y at origin + (i, j) *
    step.
    """
    for n in range(len(y)):
        for i in range(size[0]):
            for j in range(size[1]):
                y[n, origin[0] + i * step[0], origin[1] + j * step[1]] = wide[n, i * pitch + j]
