"""max_pool2d in NumPy: lay the inputs of each window side by side and take the first maximum."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .._windows_reference import cropped, padded, tap, window_positions


def forward(x, size, stride, padding, ceil=False):
    positions = window_positions(x.shape, size, stride, padding, ceil)
    windows, winner = _windows(x, size, stride, padding, positions)
    return np.take_along_axis(windows, winner[..., None], axis=-1)[..., 0]


def backward_input(dy, x, size, stride, padding):
    positions = dy.shape[2:]
    winner = _windows(x, size, stride, padding, positions)[1]
    dx = padded(np.zeros_like(dy, shape=x.shape), size, stride, padding, positions)
    for u, v in np.ndindex(*size):
        # the windows whose maximum is their input (u, v)
        taken = winner == u * size[1] + v
        # reverses: y = x[winner]
        tap(dx, u, v, positions, stride)[...] += np.where(taken, dy, 0)
    return cropped(dx, x.shape, padding)


def _windows(x, size, stride, padding, positions):
    """Return the inputs of each window, (N, C, OH, OW, KH * KW), and the index of its first maximum."""

    def cut(around_x):
        windows = sliding_window_view(around_x, size, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
        return windows.reshape(*windows.shape[:4], -1)

    windows = cut(padded(x, size, stride, padding, positions, -np.inf))
    inside = cut(padded(np.ones(x.shape, bool), size, stride, padding, positions, False))
    largest = (windows.real == windows.real.max(axis=-1, keepdims=True)) | np.isnan(windows)
    # also where all of the map is minus infinity, padding does not win
    return windows, (largest & inside).argmax(axis=-1)
