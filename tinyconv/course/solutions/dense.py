"""dense: a fully connected layer.

    x  (N, C)    weight  (O, C)
    y  (N, O)    bias    (O,)          N images, C features of each, O outputs

forward         y[n,o] = bias[o] + sum_c weight[o,c] x[n,c]

Derivation. dy[n,o] = dE/dy[n,o] is given. x[n,c] takes part in y[n,o] for every o, and in no other image, so
the chain rule adds up over o:

    dx[n,c]      = sum_o dE/dy[n,o] . dy[n,o]/dx[n,c] = sum_o dy[n,o] . ...
    dweight[o,c] = sum_? dE/dy[n,o] . dy[n,o]/dweight[o,c]
    dbias[o]     = ...

Go on: over which index does dweight[o,c] add up? (In which y does this one weight take part?) Then write each
sum over one index as a matrix product, and let the shapes tell which factor is transposed.
"""
import numpy as np


def forward(x, weight, bias):
    return np.einsum("oc,nc->no", weight, x) + bias


def backward_input(dy, weight):
    """dx (N, C)."""
    return dy @ weight                                       # reverses: y = x weight^T


def backward_weight(dy, x):
    """dweight (O, C)."""
    return dy.T @ x                                          # reverses: y = x weight^T


def backward_bias(dy):
    """dbias (O,)."""
    return dy.sum(axis=0)                                    # reverses: y = ... + bias
