"""avg_pool2d in NumPy: one shifted, strided view of x for each tap (u, v) of the window."""
import numpy as np


def forward(x, size, stride, padding, ceil=False):
    OH, OW = positions = [_positions(*axis, ceil) for axis in zip(x.shape[2:], size, stride, padding)]
    counts = _counts(x.shape, size, stride, padding, positions).astype(x.dtype)
    x = _padded(x, size, stride, padding, positions)
    y = np.zeros((*x.shape[:2], OH, OW), x.dtype)
    for u, v in np.ndindex(*size):
        y += _tap(x, u, v, OH, OW, stride)
    return y / counts


def backward_input(dy, x_shape, size, stride, padding):
    (N, C, H, W), (PH, PW), (OH, OW) = x_shape, padding, dy.shape[2:]
    counts = _counts(x_shape, size, stride, padding, (OH, OW)).astype(dy.dtype)
    dx = _padded(np.zeros(x_shape, dy.dtype), size, stride, padding, (OH, OW))
    for u, v in np.ndindex(*size):
        _tap(dx, u, v, OH, OW, stride)[...] += dy / counts                   # reverses: y += tap(x), then y / counts
    return np.ascontiguousarray(dx[:, :, PH:PH + H, PW:PW + W])


def _positions(size, window, stride, padding, ceil):
    """How many windows lie along an axis; with ceil also one that begins on the map and reaches beyond its padding."""
    strides, left_over = divmod(size + 2 * padding - window, stride)
    return strides + 1 + (ceil and left_over > 0 and (strides + 1) * stride < size + padding)


def _padded(x, window, stride, padding, positions):
    """x with zeros around it, as far as the padding goes, and the last window reaches."""
    behind = [max(p, (n - 1) * s + k - p - size) for size, k, s, p, n in zip(x.shape[2:], window, stride, padding, positions)]
    return np.pad(x, ((0, 0), (0, 0), (padding[0], behind[0]), (padding[1], behind[1])))


def _counts(x_shape, window, stride, padding, positions):
    """(OH, OW): how many places of the padded map each window covers."""
    rows, columns = (np.minimum(k, size + 2 * p - s * np.arange(n)) for size, k, s, p, n in zip(x_shape[2:], window, stride, padding, positions))
    return np.outer(rows, columns)


def _tap(x, u, v, OH, OW, stride):
    """What tap (u, v) of the window sees at each of the OH x OW positions: a strided view of x."""
    return x[:, :, u:u + stride[0] * OH:stride[0], v:v + stride[1] * OW:stride[1]]
