"""rbf in Numba: plain loops, the L images of a block innermost."""
import numpy as np
from numba import njit

from .._native import Native
from . import output_shape


def forward(x, centers):
    y = Native.zeros(output_shape(x.shape, centers.shape), x.dtype)
    _forward(x.positions(), centers, y.positions())
    return y


@njit(cache=True, nogil=True)
def _forward(x, centers, y):
    (blocks, F, P, L), K = x.shape, len(centers)
    for b, k, f, p in np.ndindex(blocks, K, F, P):
        for l in range(L):
            y[b, k, p, l] += (x[b, f, p, l] - centers[k, f]) ** 2


def backward_input(dy, x, centers):
    dx = Native.zeros(x.shape, dy.dtype)
    _backward_input(dy.positions(), x.positions(), centers, dx.positions())
    return dx


@njit(cache=True, nogil=True)
def _backward_input(dy, x, centers, dx):
    (blocks, F, P, L), K = x.shape, len(centers)
    for b, k, f, p in np.ndindex(blocks, K, F, P):
        for l in range(L):
            # reverses: y += (x - center)^2
            dx[b, f, p, l] += 2 * dy[b, k, p, l] * (x[b, f, p, l] - centers[k, f])


def backward_centers(dy, x, centers):
    dcenters = np.zeros_like(centers)
    _backward_centers(dy.positions(), x.positions(), centers, dcenters)
    return dcenters


@njit(cache=True, nogil=True)
def _backward_centers(dy, x, centers, dcenters):
    (blocks, F, P, L), K = x.shape, len(centers)
    for b, k, f, p in np.ndindex(blocks, K, F, P):
        for l in range(L):
            # reverses: y += (x - center)^2
            dcenters[k, f] -= 2 * dy[b, k, p, l] * (x[b, f, p, l] - centers[k, f])
