"""Another layout: L images side by side, as many as one vector register has lanes; the innermost loop runs
over them.

Takes and gives activations in native form (kernels/_cpu/native.py): (N/L, C, H, W, L) instead of (N, C, H,
W). Whatever happens at one pixel of one image happens at that pixel of L images in one instruction: no short
rows, no edges, any stride, any size of map. What is left: each multiply-add loads two vectors and stores one,
so the loads set the pace. The shipped kernel keeps a tile of y in registers.
"""

import numpy as np
from numba import njit

from ...kernels._cpu.native import Native


def forward(x, weight, bias, stride, padding, groups):
    data, (O, _, KH, KW) = padded(x.data, padding), weight.shape
    blocks, _, H, W, L = data.shape
    y = np.zeros((blocks, O, (H - KH) // stride[0] + 1, (W - KW) // stride[1] + 1, L), x.dtype)
    if bias is not None:
        y += bias[:, None, None, None]
    forward_loops(data, weight, stride, groups, y)
    return Native(y, (x.shape[0], *y.shape[1:4]))


@njit(cache=True, nogil=True)
def forward_loops(x, weight, stride, groups, y):
    (blocks, O, OH, OW, L), (_, C, KH, KW) = y.shape, weight.shape
    for b in range(blocks):
        for o in range(O):
            for c in range(C):
                x_map = x[b, o // (O // groups) * C + c]
                for u in range(KH):
                    for v in range(KW):
                        w = weight[o, c, u, v]
                        for i in range(OH):
                            y_row, x_row = y[b, o, i], x_map[i * stride[0] + u]
                            for j in range(OW):
                                for l in range(L):
                                    y_row[j, l] += w * x_row[j * stride[1] + v, l]


def backward_input(dy, weight, x_shape, stride, padding, groups):
    (_, C, H, W), (PH, PW), (blocks, *_, L) = x_shape, padding, dy.data.shape
    dx = np.zeros((blocks, C, H + 2 * PH, W + 2 * PW, L), dy.dtype)
    backward_input_loops(dy.data, weight, stride, groups, dx)
    return Native(np.ascontiguousarray(dx[:, :, PH : PH + H, PW : PW + W]), x_shape)


@njit(cache=True, nogil=True)
def backward_input_loops(dy, weight, stride, groups, dx):
    (blocks, O, OH, OW, L), (_, C, KH, KW) = dy.shape, weight.shape
    for b in range(blocks):
        for o in range(O):
            for c in range(C):
                dx_map = dx[b, o // (O // groups) * C + c]
                for u in range(KH):
                    for v in range(KW):
                        w = weight[o, c, u, v]
                        for i in range(OH):
                            dy_row, dx_row = dy[b, o, i], dx_map[i * stride[0] + u]
                            for j in range(OW):
                                for l in range(L):
                                    dx_row[j * stride[1] + v, l] += (
                                        w * dy_row[j, l]
                                    )  # reverses: y_row += w * x_row


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    dweight = np.empty((dy.shape[1], x.shape[1] // groups, *kernel_size), dy.dtype)
    backward_weight_loops(dy.data, padded(x.data, padding), stride, groups, dweight)
    return dweight


@njit(cache=True, nogil=True)
def backward_weight_loops(dy, x, stride, groups, dweight):
    (blocks, O, OH, OW, L), (_, C, KH, KW) = dy.shape, dweight.shape
    lane_sums = np.empty(L, x.dtype)  # one sum a lane, added up at the end
    for o in range(O):
        for c in range(C):
            for u in range(KH):
                for v in range(KW):
                    lane_sums[:] = 0
                    for b in range(blocks):
                        x_map = x[b, o // (O // groups) * C + c]
                        for i in range(OH):
                            dy_row, x_row = dy[b, o, i], x_map[i * stride[0] + u]
                            for j in range(OW):
                                for l in range(L):
                                    lane_sums[l] += (
                                        dy_row[j, l] * x_row[j * stride[1] + v, l]
                                    )  # reverses: y_row += w * x_row
                    dweight[o, c, u, v] = lane_sums.sum()


def padded(data, padding):
    PH, PW = padding
    return np.pad(data, ((0, 0), (0, 0), (PH, PH), (PW, PW), (0, 0))) if PH or PW else data
