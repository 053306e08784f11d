"""scaled_tanh in NumPy."""

import numpy as np


def forward(x, amplitude, slope):
    return amplitude * np.tanh(slope * x)


def backward_input(dy, y, amplitude, slope):
    return dy * (
        amplitude * slope - slope / amplitude * y * y
    )  # reverses: y = A tanh(S x); tanh' = 1 - tanh^2 = 1 - (y/A)^2
