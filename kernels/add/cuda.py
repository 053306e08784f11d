"""add in numba.cuda: every thread takes single elements, whatever they stand for."""

from .._cuda.launch import cuda, kernel


def forward(x, other):
    y = x.like()
    _forward[x.data.size](x.flat, other.flat, y.flat)
    return y


@kernel
def _forward(x, other, y):
    for e in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[e] = x[e] + other[e]


def backward_input(dy):
    return dy  # reverses: y = x + other
