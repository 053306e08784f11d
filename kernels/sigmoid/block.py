"""sigmoid of a number, for kernels/_cuda/one_image.py."""

import math

import numpy as np

from .._cuda.launch import device

ZERO, ONE = np.float32(0), np.float32(1)


@device
def value(x):
    """1 / (1 + e^-x)"""
    small = math.exp(-abs(x))  # of the smaller of the two sides, so that it cannot overflow
    return (small if x < ZERO else ONE) / (ONE + small)


@device
def slope(y):
    """Its derivative, of what it has made."""
    return y * (ONE - y)  # reverses: y = 1 / (1 + e^-x)


def functions():
    """(value(x), slope(y)): the derivative as a function of y."""
    return value, slope
