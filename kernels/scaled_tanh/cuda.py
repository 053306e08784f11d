"""scaled_tanh in numba.cuda: every thread takes single elements, whatever they stand for. y may be x, and dx
dy.
"""

import math

from .._cuda.launch import cuda, kernel


def forward(x, amplitude, slope):
    y = x.like()
    _forward[x.data.size](x.flat, x.dtype.type(amplitude), x.dtype.type(slope), y.flat)
    return y


@kernel
def _forward(x, amplitude, slope, y):
    for e in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[e] = amplitude * math.tanh(slope * x[e])


def backward_input(dy, y, amplitude, slope):
    dx = dy.like()
    _backward_input[dy.data.size](
        dy.flat, y.flat, dy.dtype.type(amplitude * slope), dy.dtype.type(slope / amplitude), dx.flat
    )
    return dx


@kernel
def _backward_input(dy, y, steepest, bend, dx):
    for e in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        dx[e] = dy[e] * (
            steepest - bend * y[e] * y[e]
        )  # reverses: y = A tanh(S x), steepest = A S, bend = S / A
