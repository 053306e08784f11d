"""local_response_norm in Numba: maps mix, pixels and images do not, so those of a map are one run, taken a
register at a time.

The run is cut into chunks, and each chunk is taken through all maps before the next, so that the `size` maps
around the present one are still in the cache.
"""

import numpy as np

from .._cpu.kernel import kernel
from .._cpu.math import exp, log
from .._cpu.vector import fill_like, fma, inner, load_run, sqrt, store_run, width
from . import output_shape

CHUNK = 256


def forward(x, size, k, alpha, beta):
    output_shape(x.shape, size)
    y = x.like()
    _forward(_runs(x), _starts(x), size, float(k), float(alpha), float(beta), _runs(y))
    return y


@kernel(split=("starts",))
def _forward(x, starts, size, k, alpha, beta, y):
    blocks, C, P = x.shape
    for b in range(blocks):
        for start in starts:
            for c in range(C):
                for p in range(start, min(P, start + CHUNK), width(x)):
                    d = _denominator(x, b, c, p, size, k, alpha)
                    store_run(y, (b, c, p), load_run(x, (b, c, p)) * _power(d, beta))


@inner
def _denominator(x, b, c, p, size, k, alpha):
    total = fill_like(load_run(x, (b, c, p)), 0)
    for near in range(max(0, c - size // 2), min(x.shape[1], c + size // 2 + 1)):
        v = load_run(x, (b, near, p))
        total = fma(v, v, total)
    return fma(total, alpha, k)


@inner
def _power(d, beta):
    """d^-beta"""
    if beta == 0.75:  # the usual one, and roots are more than twice as fast
        root = sqrt(d)
        return 1 / (root * sqrt(root))
    return exp(-beta * log(d))


def backward_input(dy, x, size, k, alpha, beta):
    dx = dy.like()
    _backward_input(_runs(dy), _runs(x), _starts(x), size, float(k), float(alpha), float(beta), _runs(dx))
    return dx


@kernel(split=("starts",))
def _backward_input(dy, x, starts, size, k, alpha, beta, dx):
    blocks, C, P = x.shape
    shares = np.empty((C, CHUNK), x.dtype)
    for b in range(blocks):
        for start in starts:
            stop = min(P, start + CHUNK)
            for c in range(C):
                for p in range(start, stop, width(x)):
                    d = _denominator(x, b, c, p, size, k, alpha)
                    g = load_run(dy, (b, c, p)) * _power(d, beta)
                    store_run(dx, (b, c, p), g)  # reverses: y = x * d^-beta, as to x
                    store_run(
                        shares, (c, p - start), g * load_run(x, (b, c, p)) / d
                    )  # ... as to d, but for -beta
            for c in range(C):
                for p in range(start, stop, width(x)):
                    total = fill_like(load_run(x, (b, c, p)), 0)
                    for near in range(max(0, c - size // 2), min(C, c + size // 2 + 1)):
                        total = total + load_run(shares, (near, p - start))
                    # reverses: d[near] = k + alpha * (sum of x[c]^2)
                    store_run(
                        dx,
                        (b, c, p),
                        fma(-2 * alpha * beta * load_run(x, (b, c, p)), total, load_run(dx, (b, c, p))),
                    )


def _starts(x):
    """Where the chunks of a run begin: what threads share, whatever the number of images."""
    return np.arange(0, _runs(x).shape[2], CHUNK)


def _runs(x):
    """(blocks, C, pixels and lanes)"""
    return x.data.reshape(*x.data.shape[:2], -1)
