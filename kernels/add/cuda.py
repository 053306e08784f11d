"""add in numba.cuda: every thread takes a few elements, whatever they stand for."""

from .._cuda.elementwise import elementwise


def forward(x, other):
    y = x.like()
    _forward(y.flat, x.flat, other.flat)
    return y


_forward = elementwise("add forward", lambda x, other, numbers: x + other, 2)


def backward_input(dy):
    return dy  # reverses: y = x + other
