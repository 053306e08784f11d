"""tanh in Numba: scaled_tanh with amplitude and slope 1."""

from ..scaled_tanh import cpu as scaled_tanh


def forward(x):
    return scaled_tanh.forward(x, 1.0, 1.0)


def backward_input(dy, y):
    return scaled_tanh.backward_input(dy, y, 1.0, 1.0)  # reverses: y = tanh(x)
