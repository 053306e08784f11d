"""add in Numba: one loop over all elements, a register of them at a time, whatever they stand for."""

from .._cpu.kernel import kernel
from .._cpu.vector import load_run, store_run, width


def forward(x, other):
    y = x.like()
    _forward(x.data.reshape(-1), other.data.reshape(-1), y.data.reshape(-1))
    return y


@kernel(split=("x", "other", "y"))
def _forward(x, other, y):
    for e in range(0, len(x), width(x)):
        store_run(y, e, load_run(x, e) + load_run(other, e))


def backward_input(dy):
    return dy  # reverses: y = x + other
