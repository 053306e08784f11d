"""scaled_tanh of a number, for kernels/_cuda/one_image.py."""

import math

import numpy as np

from .._cuda.launch import device


def functions(amplitude, slope):
    """(value(x), slope(y)) of y = A tanh(S x): the derivative as a function of y."""
    A, S = np.float32(amplitude), np.float32(slope)
    steepest, bend = np.float32(amplitude * slope), np.float32(slope / amplitude)

    @device
    def value(x):
        return A * math.tanh(S * x)

    @device
    def slope(y):
        return steepest - bend * y * y  # reverses: y = A tanh(S x), steepest = A S, bend = S / A

    return value, slope
