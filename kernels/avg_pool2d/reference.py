"""avg_pool2d in NumPy: one shifted, strided view of x for each tap (u, v) of the window."""

import numpy as np

from .._windows_reference import cropped, padded, tap, window_positions


def forward(x, size, stride, padding, ceil=False):
    positions = window_positions(x.shape, size, stride, padding, ceil)
    counts = _counts(x.shape, size, stride, padding, positions).astype(x.dtype)
    x = padded(x, size, stride, padding, positions)
    y = np.zeros((*x.shape[:2], *positions), x.dtype)
    for u, v in np.ndindex(*size):
        y += tap(x, u, v, positions, stride)
    return y / counts


def backward_input(dy, x_shape, size, stride, padding):
    positions = dy.shape[2:]
    counts = _counts(x_shape, size, stride, padding, positions).astype(dy.dtype)
    dx = padded(np.zeros(x_shape, dy.dtype), size, stride, padding, positions)
    for u, v in np.ndindex(*size):
        # reverses: y += tap(x, u, v), then y / counts
        tap(dx, u, v, positions, stride)[...] += dy / counts
    return cropped(dx, x_shape, padding)


def _counts(x_shape, size, stride, padding, positions):
    """Return how many pixels of the padded map each window covers, (OH, OW)."""
    axes = zip(x_shape[2:], size, stride, padding, positions)
    rows, columns = (np.minimum(k, length + 2 * p - s * np.arange(n)) for length, k, s, p, n in axes)
    return np.outer(rows, columns)
