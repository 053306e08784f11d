"""local_response_norm in numba.cuda: maps mix, pixels and images do not. A thread takes one pixel of one
image and walks through the maps.

What the maps around the present one hold goes along in a window of `size` registers, which the next map
enters on the right:

    window          c-2 c-1  c  c+1 c+2         size = 5: d[c] needs these
    one map on          c-1  c  c+1 c+2 c+3

So every number is read once and written once, as little as can be. No sum is kept by adding what comes and
subtracting what goes: a large number that has gone would leave its rounding error behind.
"""

import math

from .._cuda.launch import SIMULATOR, cuda, device, kernel, row_blocks
from . import output_shape

MAPS = 2 if SIMULATOR else 32  # that a thread walks through; some more at both ends, for their neighbours


def forward(x, size, k, alpha, beta):
    output_shape(x.shape, size)
    y = x.like()
    _forward[_walks(x)](_pixels(x), _window(x, size), *map(x.dtype.type, (k, alpha, beta)), _pixels(y))
    return y


@kernel
def _forward(x, window, k, alpha, beta, y):
    C, half, start = x.shape[0], len(window) // 2, MAPS * cuda.blockIdx.y
    zero = x.dtype.type(0)
    for p in range(cuda.grid(1), x.shape[1], cuda.gridsize(1)):
        inputs = window
        for newest in range(start - half, min(C, start + MAPS) + half):
            inputs = inputs[1:] + (x[newest, p] if 0 <= newest < C else zero,)
            c = newest - half
            if c >= start:
                y[c, p] = _times_power(inputs[half], _denominator(inputs, k, alpha), beta)


@device
def _denominator(inputs, k, alpha):
    """k + alpha sum of inputs^2"""
    total = inputs[0] * inputs[0]
    for near in range(1, len(inputs)):
        total += inputs[near] * inputs[near]
    return k + alpha * total


@device
def _times_power(v, d, beta):
    """v d^-beta"""
    if beta == 0.75:  # the usual one, and roots are faster
        root = math.sqrt(d)
        return v / (root * math.sqrt(root))
    return v * math.exp(-beta * math.log(d))


def backward_input(dy, x, size, k, alpha, beta):
    dx = dy.like()
    _backward_input[_walks(x)](
        _pixels(dy), _pixels(x), _window(x, size), *map(x.dtype.type, (k, alpha, beta)), _pixels(dx)
    )
    return dx


@kernel
def _backward_input(dy, x, window, k, alpha, beta, dx):
    """Three windows: inputs, `half` maps ahead of the others; g = dy d^-beta; shares = g x / d, what y hands
    to d, but for -beta.
    """
    C, half, start = x.shape[0], len(window) // 2, MAPS * cuda.blockIdx.y
    zero, two = x.dtype.type(0), x.dtype.type(2)
    for p in range(cuda.grid(1), x.shape[1], cuda.gridsize(1)):
        inputs, direct, shares = window, window, window
        for newest in range(start - 2 * half, min(C, start + MAPS) + 2 * half):
            inputs = inputs[1:] + (x[newest, p] if 0 <= newest < C else zero,)
            near, c = newest - half, newest - 2 * half
            g = share = zero
            if 0 <= near < C:
                d = _denominator(inputs, k, alpha)
                g = _times_power(dy[near, p], d, beta)  # reverses: y = x d^-beta, as to x
                share = g * inputs[half] / d  # ... as to d
            direct, shares = direct[1:] + (g,), shares[1:] + (share,)
            if c >= start:
                total = shares[0]
                for other in range(1, len(shares)):
                    total += shares[other]
                dx[c, p] = (
                    direct[half] - two * alpha * beta * inputs[0] * total
                )  # reverses: d[near] = k + alpha sum of x[c]^2


def _window(x, size):
    """`size` zeros. A tuple, whose length is part of its type: loops over it are unrolled, and its numbers
    stay in registers.
    """
    return (x.dtype.type(0),) * size


def _pixels(x):
    """(C, pixels and images)"""
    return x.data.reshape(x.shape[1], x.data.size // x.shape[1])


def _walks(x):
    C, pixels = _pixels(x).shape
    return row_blocks(pixels, -(-C // MAPS))
