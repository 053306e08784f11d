"""relu in NumPy."""

import numpy as np


def forward(x):
    return np.where(x.real <= 0, 0, x)  # this way round NaN stays NaN


def backward_input(dy, x):
    return np.where(x.real > 0, dy, 0)  # reverses: y = max(x, 0)
