"""max_pool2d: the largest input of each window; windows overlap where the stride is smaller than the size.

    x  (N, C, H, W)      size   (KH, KW)
    y  (N, C, OH, OW)    stride (SH, SW)       OH = floor((H - KH) / SH) + 1, OW likewise

forward         y[n,c,i,j] = max_{u < KH, v < KW} x[n, c, i SH + u, j SW + v]

Derivation. A maximum is one of its inputs, y = x[winner], as long as x moves so little that the winner stays
the same. So

    dy[n,c,i,j]/dx[n,c,h,w] = 1 where (h, w) is the winner of window (i, j), and ... elsewhere

Go on: what does an input get that wins in two windows at once? (Overlapping windows: AlexNet.) And one that
wins in none? Two equal maxima: take the first in reading order, as argmax does.
"""
import numpy as np


def forward(x, size, stride):
    (N, C, H, W), (KH, KW), (SH, SW) = x.shape, size, stride
    y = np.empty((N, C, (H - KH) // SH + 1, (W - KW) // SW + 1), x.dtype)
    for n, c, i, j in np.ndindex(*y.shape):
        window = x[n, c, i * SH:i * SH + KH, j * SW:j * SW + KW]
        y[n, c, i, j] = window.flat[window.real.argmax()]
    return y


def backward_input(dy, x, size, stride):
    """dx (N, C, H, W)."""
    (KH, KW), (SH, SW) = size, stride
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*dy.shape):
        window = x[n, c, i * SH:i * SH + KH, j * SW:j * SW + KW]
        u, v = divmod(window.argmax(), KW)
        # reverses: y = x[winner]; one input may win in several windows
        dx[n, c, i * SH + u, j * SW + v] += dy[n, c, i, j]
    return dx
