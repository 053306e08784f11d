"""conv2d in NumPy: one matrix product for each tap (u, v) of the window. The three directions are one line, read three ways."""
import numpy as np


def forward(x, weight, bias, stride, padding, groups, ceil=False):
    O, _, KH, KW = weight.shape
    OH, OW = (_positions(*axis, ceil) for axis in zip(x.shape[2:], (KH, KW), stride, padding))
    x, weight = _grouped(_padded(x, (KH, KW), stride, padding, (OH, OW)), groups), weight.reshape(groups, -1, *weight.shape[1:])
    y = np.zeros((len(x), groups, O // groups, OH, OW), x.dtype)
    for u in range(KH):
        for v in range(KW):
            y += np.einsum("goc,ngcij->ngoij", weight[..., u, v], _tap(x, u, v, OH, OW, stride), optimize=True)
    y = y.reshape(len(x), O, OH, OW)
    return y if bias is None else y + bias[:, None, None]


def backward_input(dy, weight, x_shape, stride, padding, groups):
    (N, C, H, W), (KH, KW), (PH, PW), (OH, OW) = x_shape, weight.shape[2:], padding, dy.shape[2:]
    dx = _grouped(_padded(np.zeros(x_shape, dy.dtype), (KH, KW), stride, padding, (OH, OW)), groups)
    dy, weight = _grouped(dy, groups), weight.reshape(groups, -1, *weight.shape[1:])
    for u in range(KH):
        for v in range(KW):
            # reverses: y += weight[u, v] tap(x, u, v)
            _tap(dx, u, v, OH, OW, stride)[...] += np.einsum("goc,ngoij->ngcij", weight[..., u, v], dy, optimize=True)
    return np.ascontiguousarray(dx.reshape(N, C, *dx.shape[-2:])[:, :, PH:PH + H, PW:PW + W])


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    OH, OW = dy.shape[2:]
    x, dy = _grouped(_padded(x, kernel_size, stride, padding, (OH, OW)), groups), _grouped(dy, groups)
    dweight = np.empty((groups, dy.shape[2], x.shape[2], *kernel_size), dy.dtype)
    for u in range(kernel_size[0]):
        for v in range(kernel_size[1]):
            # reverses: y += weight[u, v] tap(x, u, v)
            dweight[..., u, v] = np.einsum("ngoij,ngcij->goc", dy, _tap(x, u, v, OH, OW, stride), optimize=True)
    return dweight.reshape(-1, *dweight.shape[2:])


def backward_bias(dy):
    return dy.sum(axis=(0, 2, 3))                            # reverses: y + bias


def _positions(size, window, stride, padding, ceil):
    """How many windows lie along an axis; with ceil also one that begins on the map and reaches beyond its padding."""
    strides, left_over = divmod(size + 2 * padding - window, stride)
    return strides + 1 + (ceil and left_over > 0 and (strides + 1) * stride < size + padding)


def _padded(x, window, stride, padding, positions):
    """x with zeros around it, as far as the padding goes, and the last window reaches."""
    behind = [max(p, (n - 1) * s + k - p - size) for size, k, s, p, n in zip(x.shape[2:], window, stride, padding, positions)]
    return np.pad(x, ((0, 0), (0, 0), (padding[0], behind[0]), (padding[1], behind[1])))


def _grouped(x, groups):
    """(N, C, H, W) as (N, groups, C/groups, H, W)."""
    return x.reshape(len(x), groups, -1, *x.shape[2:])


def _tap(x, u, v, OH, OW, stride):
    """What tap (u, v) of the window sees at each of the OH x OW positions: a strided view of x."""
    SH, SW = stride
    return x[..., u:u + SH * OH:SH, v:v + SW * OW:SW]
