"""rbf by one block for one image: the loops of dense (kernels/dense/block.py), with squares of differences.
Its centers are fixed, and have no gradient here.
"""

from .._cuda.launch import device
from ..dense import block as dense


@device
def squared(center, x):
    """The part of one y that one x makes."""
    return (x - center) * (x - center)


@device
def squared_dy(center, x, dy):
    """The part of one dx that one dy makes."""
    product = dy * (x - center)  # reverses: total + (x - center)^2
    return product + product


def forward(x, y, scratch, centers):
    """forward(s, params): y[k] = sum_f (x[f] - centers[k, f])^2. centers: which of params."""
    return dense.forward(x, y, scratch, centers, None, squared)


def backward(x, y, out, centers, slope, need_dx):
    """backward(s, params, ...): dx in the place of x, times the slope there."""
    return dense.backward(x, y, out, centers, slope, need_dx, False, squared_dy)


scratch_words = dense.scratch_words
