"""tanh in NumPy."""

import numpy as np


def forward(x):
    return np.tanh(x)


def backward_input(dy, y):
    return dy * (1 - y * y)  # reverses: y = tanh(x)
