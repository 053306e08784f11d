"""conv2d in Numba: plain loops over connections, taps and pixels, with the L images of a block innermost.

The loops take a list of connections (o, c), one filter each. Here that list is full within each group; table_conv2d hands in
the connections of its table. A tap that looks beyond the map's edge contributes nothing, so instead of padding the map,
valid_range leaves those outputs out.
"""
import numpy as np
from numba import njit

from .._native import Native
from .._windows import valid_range
from . import output_shape


def forward(x, weight, bias, stride, padding, groups):
    y = Native.empty(output_shape(x.shape, weight.shape, stride, padding, groups), x.dtype)
    bias = np.zeros(len(weight), x.dtype) if bias is None else bias
    forward_loops(x.data, _filters(weight), bias, _connections(weight.shape, groups), stride, padding, y.data)
    return y


def backward_input(dy, weight, x_shape, stride, padding, groups):
    dx = Native.zeros(x_shape, dy.dtype)
    backward_input_loops(dy.data, _filters(weight), _connections(weight.shape, groups), stride, padding, dx.data)
    return dx


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    dweight = np.empty((dy.shape[1], x.shape[1] // groups, *kernel_size), dy.dtype)
    backward_weight_loops(dy.data, x.data, _connections(dweight.shape, groups), stride, padding, _filters(dweight))
    return dweight


def backward_bias(dy):
    dbias = np.empty(dy.shape[1], dy.dtype)
    backward_bias_loops(dy.data, dbias)
    return dbias


def _filters(weight):
    """(O, C/groups, KH, KW) as one filter a connection: (O * C/groups, KH, KW), without a copy."""
    return np.ascontiguousarray(weight).reshape(-1, *weight.shape[2:])


def _connections(weight_shape, groups):
    """The pairs (o, c') in the order of _filters: o sees all C/groups maps of its own group."""
    O, C = weight_shape[:2]
    o, c = np.divmod(np.arange(O * C), C)
    return np.stack([o, c + o // (O // groups) * C], axis=1)


@njit(cache=True, nogil=True)
def forward_loops(x, filters, bias, connections, stride, padding, y):
    (blocks, _, H, W, L), (_, O, OH, OW, _), (_, KH, KW) = x.shape, y.shape, filters.shape
    for b in range(blocks):
        for o in range(O):
            y[b, o] = bias[o]
        for k in range(len(connections)):
            o, c = connections[k, 0], connections[k, 1]
            for u in range(KH):
                for i in range(*valid_range(u, H, OH, stride[0], padding[0])):
                    y_row, x_row = y[b, o, i], x[b, c, i * stride[0] + u - padding[0]]
                    for v in range(KW):
                        w, shift = filters[k, u, v], v - padding[1]
                        for j in range(*valid_range(v, W, OW, stride[1], padding[1])):
                            for l in range(L):
                                y_row[j, l] += w * x_row[j * stride[1] + shift, l]


@njit(cache=True, nogil=True)
def backward_input_loops(dy, filters, connections, stride, padding, dx):
    (blocks, _, H, W, L), (_, _, OH, OW, _), (_, KH, KW) = dx.shape, dy.shape, filters.shape
    for b in range(blocks):
        for k in range(len(connections)):
            o, c = connections[k, 0], connections[k, 1]
            for u in range(KH):
                for i in range(*valid_range(u, H, OH, stride[0], padding[0])):
                    dy_row, dx_row = dy[b, o, i], dx[b, c, i * stride[0] + u - padding[0]]
                    for v in range(KW):
                        w, shift = filters[k, u, v], v - padding[1]
                        for j in range(*valid_range(v, W, OW, stride[1], padding[1])):
                            for l in range(L):
                                # reverses: y_row[j, l] += w * x_row[j * stride + shift, l]
                                dx_row[j * stride[1] + shift, l] += w * dy_row[j, l]


@njit(cache=True, nogil=True)
def backward_weight_loops(dy, x, connections, stride, padding, dfilters):
    (blocks, _, H, W, L), (_, _, OH, OW, _), (_, KH, KW) = x.shape, dy.shape, dfilters.shape
    lane_sums = np.empty(L, x.dtype)                        # one sum a lane, added up at the end: short chains of rounding errors
    for k in range(len(connections)):
        o, c = connections[k, 0], connections[k, 1]
        for u in range(KH):
            for v in range(KW):
                lane_sums[:] = 0
                shift = v - padding[1]
                for b in range(blocks):
                    for i in range(*valid_range(u, H, OH, stride[0], padding[0])):
                        dy_row, x_row = dy[b, o, i], x[b, c, i * stride[0] + u - padding[0]]
                        for j in range(*valid_range(v, W, OW, stride[1], padding[1])):
                            for l in range(L):
                                # reverses: y_row[j, l] += w * x_row[j * stride + shift, l]
                                lane_sums[l] += dy_row[j, l] * x_row[j * stride[1] + shift, l]
                dfilters[k, u, v] = lane_sums.sum()


@njit(cache=True, nogil=True)
def backward_bias_loops(dy, dbias):
    blocks, O, OH, OW, L = dy.shape
    lane_sums = np.empty(L, dy.dtype)
    for o in range(O):
        lane_sums[:] = 0
        for b in range(blocks):
            for i in range(OH):
                for j in range(OW):
                    for l in range(L):
                        lane_sums[l] += dy[b, o, i, j, l]   # reverses: y[b, o] = bias[o]
        dbias[o] = lane_sums.sum()
