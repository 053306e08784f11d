"""table_conv2d: convolution in which an output map sees only some of the input maps, C3 of LeNet-5.

    x            (N, C, H, W)               weight  (K, KH, KW), one filter a connection
    y            (N, O, H-KH+1, W-KW+1)     bias    (O,)
    connections  (K, 2) int: row k is the pair (o, c), "output map o sees input map c"

forward         y[n,o,i,j] = bias[o] + sum over the connections k = (o, c) of
                             sum_{u,v} weight[k,u,v] x[n, c, i+u, j+v]

Derivation. forward is a loop over connections and taps, each of which adds one product to one map:

    y[:, o] += weight[k, u, v] * x[:, c, u:u + OH, v:v + OW]

A sum hands dy to each of its terms. So backward is the same loop, and each round hands back what its product
asks for:

    to the piece of x:       weight[k, u, v] . ...
    to the one weight:       sum_{...} dy[n,o,i,j] . ...

Go on: which index of dy belongs to connection k? An input map feeds several output maps, and its pixels lie
under several taps: how do all these contributions come together?
"""
import numpy as np


def forward(x, weight, bias, connections):
    (N, _, H, W), (_, KH, KW) = x.shape, weight.shape
    OH, OW = H - KH + 1, W - KW + 1
    y = np.zeros((N, len(bias), OH, OW), x.dtype) + bias[:, None, None]
    for k, (o, c) in enumerate(connections):
        for u, v in np.ndindex(KH, KW):
            y[:, o] += weight[k, u, v] * x[:, c, u:u + OH, v:v + OW]
    return y


def backward_input(dy, x, weight, connections):
    """dx (N, C, H, W). Of x only the shape is needed."""
    OH, OW = dy.shape[2:]
    dx = np.zeros(x.shape)
    for k, (o, c) in enumerate(connections):
        for u, v in np.ndindex(*weight.shape[1:]):
            # reverses: y[:, o] += weight[k, u, v] * x[:, c, ...]
            dx[:, c, u:u + OH, v:v + OW] += weight[k, u, v] * dy[:, o]
    return dx


def backward_weight(dy, x, weight, connections):
    """dweight (K, KH, KW). Of weight only the shape is needed."""
    OH, OW = dy.shape[2:]
    dweight = np.empty(weight.shape)
    for k, (o, c) in enumerate(connections):
        for u, v in np.ndindex(*weight.shape[1:]):
            # reverses: y[:, o] += weight[k, u, v] * x[:, c, ...]
            dweight[k, u, v] = np.sum(dy[:, o] * x[:, c, u:u + OH, v:v + OW])
    return dweight


def backward_bias(dy):
    """dbias (O,)."""
    return dy.sum(axis=(0, 2, 3))                            # reverses: y = bias + ...
