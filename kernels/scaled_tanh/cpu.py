"""scaled_tanh in Numba: one loop over all elements, a register of them at a time, whatever they stand for. y
may be x, and dx dy.
"""

from .._cpu.kernel import kernel
from .._cpu.math import tanh
from .._cpu.vector import fma, load_run, store_run, width


def forward(x, amplitude, slope):
    y = x.like()
    _forward(x.data.reshape(-1), float(amplitude), float(slope), y.data.reshape(-1))
    return y


@kernel(split=("x", "y"))
def _forward(x, amplitude, slope, y):
    for e in range(0, len(x), width(x)):
        store_run(y, e, amplitude * tanh(slope * load_run(x, e)))


def backward_input(dy, y, amplitude, slope):
    dx = dy.like()
    _backward_input(
        dy.data.reshape(-1), y.data.reshape(-1), float(amplitude), float(slope), dx.data.reshape(-1)
    )
    return dx


@kernel(split=("dy", "y", "dx"))
def _backward_input(dy, y, amplitude, slope, dx):
    for e in range(0, len(dy), width(dy)):
        v = load_run(y, e)
        store_run(
            dx, e, load_run(dy, e) * fma(-slope / amplitude * v, v, amplitude * slope)
        )  # reverses: y = A tanh(S x)
