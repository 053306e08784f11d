"""Parts of backward passes that mutants are put together from: some right, most wrong."""

import numpy as np

from ...layers import Sigmoid


def right(layer, dy):
    """dx as the layer itself has it."""
    return super(type(layer), layer)._backward_input(dy)


def rights(layer, dy, name):
    return super(type(layer), layer)._backward_parameters(dy)[name]


def conv_dx(layer, dy, weight=None, **changes):
    given = {
        "x_shape": layer.cache.shape,
        "stride": layer.stride,
        "padding": layer.padding,
        "groups": layer.groups,
    } | changes
    return layer.kernel.backward_input(
        dy, np.ascontiguousarray(layer._parameter("weight", dy) if weight is None else weight), **given
    )


def conv_dweight(layer, dy, x=None):
    return layer.kernel.backward_weight(
        dy, layer.cache if x is None else x, layer.kernel_size, layer.stride, layer.padding, layer.groups
    )


def window_loop(layer, dy):
    """dx of a convolution without padding, window by window: assigned, as if no two overlapped."""
    dx, weight, (SH, SW), (KH, KW) = (
        np.zeros(layer.cache.shape),
        layer._parameter("weight", dy),
        layer.stride,
        layer.kernel_size,
    )
    for i, j in np.ndindex(*dy.shape[2:]):
        dx[:, :, i * SH : i * SH + KH, j * SW : j * SW + KW] = np.einsum(
            "no,ocuv->ncuv", dy[:, :, i, j], weight
        )
    return dx


def shifted_crop(layer, dy):
    (N, C, H, W), (PH, PW) = layer.cache.shape, layer.padding
    padded = conv_dx(layer, dy, x_shape=(N, C, H + 2 * PH, W + 2 * PW), padding=(0, 0))
    return padded[:, :, PH - 1 : PH - 1 + H, PW : PW + W]


def pool_loop(layer, dy, share):
    """dx of a pooling without padding, window by window: assigned, not added. share(window) says which part
    each input gets.
    """
    dx, x, (SH, SW), (KH, KW) = (
        np.zeros(layer.cache if isinstance(layer.cache, tuple) else layer.cache.shape),
        layer.cache,
        layer.stride,
        layer.size,
    )
    for n, c, i, j in np.ndindex(*dy.shape):
        place = n, c, slice(i * SH, i * SH + KH), slice(j * SW, j * SW + KW)
        part = share(None if isinstance(x, tuple) else x[place])
        dx[place] = np.where(part == 0, dx[place], part * dy[n, c, i, j])
    return dx


def of_the_largest(window):
    return (window == window.max()).astype(float)


def stop_at(array, *index):
    array = array.copy()
    array[index] = 0
    return array


def lrn_parts(layer, dy):
    """(the part through the numerator, the part through the denominator) of dx."""
    x, (size, k, alpha, beta) = layer.cache, layer._options()
    squares = x * x
    sums = np.stack(
        [squares[:, max(0, c - size // 2) : c + size // 2 + 1].sum(axis=1) for c in range(x.shape[1])], axis=1
    )
    direct = dy * (k + alpha * sums) ** -beta
    return direct, right(layer, dy) - direct, x, k + alpha * sums


def adding(self, dy):
    before = self.grads.get("weight", 0)
    return {**super(type(self), self)._backward_parameters(dy), "weight": before + rights(self, dy, "weight")}


def first_cache(self, x, training):
    kept = self.cache
    y = super(type(self), self)._forward(x, training)
    self.cache = y if kept is None and isinstance(self, Sigmoid) else x if kept is None else kept
    return y


def in_place(self, x, training):
    x *= x > 0
    self.cache = x
    return x.copy()


def forgotten_generator(self, x, training):
    self.cache = x
    return self.kernel.forward(x) * (1 + 1e-3 * np.random.default_rng().random())


def skipping(self, dy, need_dx):
    for layer in self.layers[:1:-1] + self.layers[:1]:
        dy = layer.backward(dy)
    return dy


def forwards(self, dy, need_dx):
    for layer in self.layers:
        dy = layer.backward(dy)
    return dy


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
