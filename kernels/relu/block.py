"""relu of a number, for kernels/_cuda/one_image.py."""

import numpy as np

from .._cuda.launch import device

ZERO, ONE = np.float32(0), np.float32(1)


@device
def value(x):
    """max(x, 0)"""
    return ZERO if x <= ZERO else x  # this way round NaN stays NaN


@device
def slope(y):
    """Its derivative, of what it has made."""
    return ONE if y > ZERO else ZERO  # reverses: y = max(x, 0); y > 0 where x > 0


def functions():
    """(value(x), slope(y)): the derivative as a function of y."""
    return value, slope
