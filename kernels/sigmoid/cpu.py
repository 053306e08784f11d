"""sigmoid in Numba: one loop over all elements, a register of them at a time, whatever they stand for. y may
be x, and dx dy.
"""

from .._cpu.kernel import kernel
from .._cpu.math import sigmoid
from .._cpu.vector import load_run, store_run, width


def forward(x):
    y = x.like()
    _forward(x.data.reshape(-1), y.data.reshape(-1))
    return y


@kernel(split=("x", "y"))
def _forward(x, y):
    for e in range(0, len(x), width(x)):
        store_run(y, e, sigmoid(load_run(x, e)))


def backward_input(dy, y):
    dx = dy.like()
    _backward_input(dy.data.reshape(-1), y.data.reshape(-1), dx.data.reshape(-1))
    return dx


@kernel(split=("dy", "y", "dx"))
def _backward_input(dy, y, dx):
    for e in range(0, len(dy), width(dy)):
        v = load_run(y, e)
        store_run(dx, e, load_run(dy, e) * v * (1 - v))  # reverses: y = 1 / (1 + e^-x)
