"""tanh of a number, for kernels/_cuda/one_image.py: scaled_tanh with amplitude and slope 1."""

from ..scaled_tanh import block as scaled_tanh


def functions():
    """(value(x), slope(y)): the derivative as a function of y."""
    return scaled_tanh.functions(1.0, 1.0)
