"""avg_pool2d in NumPy: one shifted, strided view of x for each tap (u, v) of the window."""
import numpy as np


def forward(x, size, stride, padding):
    H, W = x.shape[2] + 2 * padding[0], x.shape[3] + 2 * padding[1]
    OH, OW = (H - size[0]) // stride[0] + 1, (W - size[1]) // stride[1] + 1
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    y = np.zeros((*x.shape[:2], OH, OW), x.dtype)
    for u, v in np.ndindex(*size):
        y += _tap(x, u, v, OH, OW, stride)
    return y / x.dtype.type(size[0] * size[1])


def backward_input(dy, x_shape, size, stride, padding):
    (N, C, H, W), (PH, PW), (OH, OW) = x_shape, padding, dy.shape[2:]
    dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dy.dtype)
    for u, v in np.ndindex(*size):
        _tap(dx, u, v, OH, OW, stride)[...] += dy / dy.dtype.type(size[0] * size[1])      # reverses: y += tap(x) / size
    return np.ascontiguousarray(dx[:, :, PH:PH + H, PW:PW + W])


def _tap(x, u, v, OH, OW, stride):
    """What tap (u, v) of the window sees at each of the OH x OW positions: a strided view of x."""
    return x[:, :, u:u + stride[0] * OH:stride[0], v:v + stride[1] * OW:stride[1]]
