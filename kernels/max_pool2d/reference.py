"""max_pool2d in NumPy: lay the inputs of each window side by side and take the first maximum."""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def forward(x, size, stride, padding, ceil=False):
    positions = [_positions(*axis, ceil) for axis in zip(x.shape[2:], size, stride, padding)]
    windows, winner = _windows(x, size, stride, padding, positions)
    return np.take_along_axis(windows, winner[..., None], axis=-1)[..., 0]


def backward_input(dy, x, size, stride, padding):
    (H, W), (PH, PW), (OH, OW) = x.shape[2:], padding, dy.shape[2:]
    winner = _windows(x, size, stride, padding, (OH, OW))[1]
    dx = _padded(np.zeros_like(dy, shape=x.shape), size, stride, padding, (OH, OW), 0)
    for u, v in np.ndindex(*size):
        taken = winner == u * size[1] + v                    # the windows whose maximum is their input (u, v)
        # reverses: y = x[winner]
        dx[:, :, u:u + stride[0] * OH:stride[0], v:v + stride[1] * OW:stride[1]] += np.where(taken, dy, 0)
    return np.ascontiguousarray(dx[:, :, PH:PH + H, PW:PW + W])


def _positions(size, window, stride, padding, ceil):
    """How many windows lie along an axis; with ceil also one that begins on the map and reaches beyond its padding."""
    strides, left_over = divmod(size + 2 * padding - window, stride)
    return strides + 1 + (ceil and left_over > 0 and (strides + 1) * stride < size + padding)


def _padded(x, window, stride, padding, positions, value):
    """x with `value` around it, as far as the padding goes, and the last window reaches."""
    behind = [max(p, (n - 1) * s + k - p - size) for size, k, s, p, n in zip(x.shape[2:], window, stride, padding, positions)]
    return np.pad(x, ((0, 0), (0, 0), (padding[0], behind[0]), (padding[1], behind[1])), constant_values=value)


def _windows(x, size, stride, padding, positions):
    """The inputs of each window, (N, C, OH, OW, size_h * size_w), and the index of the first maximum of each."""
    def cut(padded):
        windows = sliding_window_view(padded, size, axis=(2, 3))[:, :, ::stride[0], ::stride[1]]
        return windows.reshape(*windows.shape[:4], -1)

    around = size, stride, padding, positions
    windows, inside = cut(_padded(x, *around, -np.inf)), cut(_padded(np.ones(x.shape, bool), *around, False))
    largest = (windows.real == windows.real.max(axis=-1, keepdims=True)) | np.isnan(windows)
    return windows, (largest & inside).argmax(axis=-1)       # also where all of the map is minus infinity, padding does not win
