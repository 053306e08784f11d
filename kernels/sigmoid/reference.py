"""sigmoid in NumPy."""

import numpy as np


def forward(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def backward_input(dy, y):
    return dy * y * (1 - y)  # reverses: y = 1 / (1 + e^-x)
