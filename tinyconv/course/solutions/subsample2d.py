"""subsample2d: trainable subsampling, S2 and S4 of LeNet-5.

    x  (N, C, H, W)                    coefficient, bias  (C,)
    y  (N, C, H // SH, W // SW)        size = (SH, SW): the window and its stride, so windows do not overlap

forward         s[n,c,i,j] = sum_{u < SH, v < SW} x[n, c, i SH + u, j SW + v]
                y[n,c,i,j] = coefficient[c] s[n,c,i,j] + bias[c]

Derivation. Two steps forward, so two steps back, the last one first. From y to s:

    ds[n,c,i,j]     = dE/dy . dy/ds = dy[n,c,i,j] . ...
    dcoefficient[c] = sum_{...} dy[n,c,i,j] . ...
    dbias[c]        = sum_{...} dy[n,c,i,j] . ...

and from s to x: each x lies in one window, or, where a rest of the map fills no window, in none.

Go on: over which indices do dcoefficient and dbias add up? Which ds does x[n,c,h,w] get, and what do the rows
and columns get that fill no window?
"""
import numpy as np


def window_sums(x, size):
    """s (N, C, H // SH, W // SW): cut the map into windows by a reshape, add up each."""
    (N, C, H, W), (SH, SW) = x.shape, size
    return x[:, :, :H // SH * SH, :W // SW * SW].reshape(N, C, H // SH, SH, W // SW, SW).sum(axis=(3, 5))


def forward(x, coefficient, bias, size):
    return coefficient[:, None, None] * window_sums(x, size) + bias[:, None, None]


def backward_input(dy, x, coefficient, size):
    """dx (N, C, H, W). Of x only the shape is needed."""
    ds = coefficient[:, None, None] * dy                     # reverses: y = coefficient s
    # reverses the sum: each input of a window gets its ds
    spread = ds.repeat(size[0], axis=2).repeat(size[1], axis=3)
    dx = np.zeros(x.shape)
    dx[:, :, :spread.shape[2], :spread.shape[3]] = spread
    return dx


def backward_coefficient(dy, x, size):
    """dcoefficient (C,)."""
    return (dy * window_sums(x, size)).sum(axis=(0, 2, 3))   # reverses: y = coefficient s


def backward_bias(dy):
    """dbias (C,)."""
    return dy.sum(axis=(0, 2, 3))                            # reverses: y = ... + bias
