"""relu in numba.cuda: every thread takes single elements, whatever they stand for."""

from .._cuda.launch import cuda, kernel


def forward(x):
    y = x.like()
    _forward[x.data.size](x.flat, y.flat)
    return y


@kernel
def _forward(x, y):
    for e in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        zero = x.dtype.type(0)
        y[e] = zero if x[e] <= zero else x[e]  # this way round NaN stays NaN


def backward_input(dy, x):
    dx = dy.like()
    _backward_input[dy.data.size](dy.flat, x.flat, dx.flat)
    return dx


@kernel
def _backward_input(dy, x, dx):
    for e in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        zero = x.dtype.type(0)
        dx[e] = dy[e] if x[e] > zero else zero  # reverses: y = max(x, 0)
