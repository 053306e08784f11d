"""Windows that slide over a padded map, in NumPy: what the references of conv2d and of the pools share.

x is (..., H, W), and the window has OH x OW positions. window, stride, padding and positions are pairs
(vertical, horizontal).
"""

import numpy as np


def window_positions(x_shape, window, stride, padding, ceil):
    """Return (OH, OW): on each axis floor((size + 2 padding - window) / stride) + 1.

    With ceil also a window counts that begins on the map and reaches beyond its padding.
    """
    return tuple(_along_an_axis(*axis, ceil) for axis in zip(x_shape[-2:], window, stride, padding))


def _along_an_axis(size, window, stride, padding, ceil):
    strides, left_over = divmod(size + 2 * padding - window, stride)
    one_more = ceil and left_over > 0 and (strides + 1) * stride < size + padding
    return strides + 1 + one_more


def padded(x, window, stride, padding, positions, value=0):
    """Return x (N, C, H, W) with `value` around it, as far as the padding and the last window reach."""
    axes = zip(x.shape[2:], window, stride, padding, positions)
    # the last window begins at (n - 1) s on the padded map and ends k later
    behind = [max(p, (n - 1) * s + k - p - size) for size, k, s, p, n in axes]
    around = ((0, 0), (0, 0), (padding[0], behind[0]), (padding[1], behind[1]))
    return np.pad(x, around, constant_values=value)


def cropped(dx, x_shape, padding):
    """Return the part of dx that lies on the map."""
    (H, W), (PH, PW) = x_shape[-2:], padding
    # reverses: padded(x)
    return np.ascontiguousarray(dx[..., PH : PH + H, PW : PW + W])


def tap(x, u, v, positions, stride):
    """Return what tap (u, v) of the window sees at each position: a strided view of x, (..., OH, OW)."""
    (OH, OW), (SH, SW) = positions, stride
    return x[..., u : u + SH * OH : SH, v : v + SW * OW : SW]
