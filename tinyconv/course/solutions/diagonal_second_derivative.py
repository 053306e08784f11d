"""diagonal_second_derivative (an extra): how strongly E is curved along each x, weight and bias, as LeNet-5's
learning rates need it (1998).

    x  (N, C)    weight  (O, C)
    y  (N, O)    bias    (O,)          a dense layer with its squashing function

forward         y[n,o] = tanh(a[n,o]),      a[n,o] = bias[o] + sum_c weight[o,c] x[n,c]

Wanted: ddx = d2E/dx2, ddweight = d2E/dweight2, ddbias = d2E/dbias2, element by element, given ddy = d2E/dy2
of each y by itself. All mixed second derivatives d2E/dy[n,o]dy[n,p] are left out, and so is the curvature of
the layer itself: the Gauss-Newton approximation (LeCun et al. 1998, appendix C), which costs no more than a
backward pass.

Derivation. For one number x and one y the chain rule, used twice, gives

    d2E/dx2 = d2E/dy2 . (dy/dx)^2 + dE/dy . d2y/dx2

and the second term is the curvature that is left out. With more than one y the terms add up as they did for
dx:

    ddx[n,c] = sum_o ddy[n,o] . (dy[n,o]/dx[n,c])^2 = sum_o ddy[n,o] . ...

Go on: dy/dx has two factors, tanh' and a weight. What is squared? Then the same for weight and bias: over
which index do they add up?
"""
import numpy as np


def forward(x, weight, bias):
    return np.tanh(x @ weight.T + bias)


def backward_diagonal_input(ddy, weight, y):
    """ddx (N, C)."""
    return (ddy * (1 - y * y) ** 2) @ weight ** 2            # dy/dx = (1 - y^2) weight, squared


def backward_diagonal_weight(ddy, x, y):
    """ddweight (O, C)."""
    return (ddy * (1 - y * y) ** 2).T @ x ** 2               # dy/dweight = (1 - y^2) x, squared


def backward_diagonal_bias(ddy, y):
    """ddbias (O,)."""
    return (ddy * (1 - y * y) ** 2).sum(axis=0)              # dy/dbias = 1 - y^2, squared
