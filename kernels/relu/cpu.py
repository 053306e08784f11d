"""relu in Numba: one loop over all elements, a register of them at a time, whatever they stand for. y may be
x, and dx dy.
"""

from .._cpu.kernel import kernel
from .._cpu.vector import load_run, store_run, where, width


def forward(x):
    y = x.like()
    _forward(x.data.reshape(-1), y.data.reshape(-1))
    return y


@kernel(split=("x", "y"))
def _forward(x, y):
    for e in range(0, len(x), width(x)):
        v = load_run(x, e)
        store_run(y, e, where(v <= 0, 0, v))  # so that NaN stays


def backward_input(dy, x):
    dx = dy.like()
    _backward_input(dy.data.reshape(-1), x.data.reshape(-1), dx.data.reshape(-1))
    return dx


@kernel(split=("dy", "x", "dx"))
def _backward_input(dy, x, dx):
    for e in range(0, len(dy), width(dy)):
        store_run(dx, e, where(load_run(x, e) > 0, load_run(dy, e), 0))  # reverses: y = max(x, 0)
