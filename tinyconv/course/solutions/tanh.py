"""tanh: the hyperbolic tangent, element by element.

    x, y  of any shape (N, ...)

forward         y = tanh(x)

Derivation. E is the number that is minimised at the end of the network, and dy = dE/dy is what the next layer
hands back; dy has the shape of y, as every gradient has the shape of the array that it belongs to. Wanted: dx
= dE/dx. Each y depends on the x at its own place alone, so the chain rule has one term:

    dx = dE/dx = dE/dy . dy/dx = dy . tanh'(x)

Go on: write tanh as (e^x - e^-x) / (e^x + e^-x), differentiate the quotient, and find y in the result. Then
backward needs no x.
"""
import numpy as np


def forward(x):
    return np.tanh(x)


def backward_input(dy, y):
    """dx, of the shape of y."""
    return dy * (1 - y * y)                                  # reverses: y = tanh(x)
