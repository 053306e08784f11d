"""rbf in Numba: the L images of a block are one vector, which each number of a center is subtracted from."""

import numpy as np

from .._cpu.kernel import kernel
from .._cpu.vector import fill_like, fma, lane_sum, lanewise, load, room, store
from . import output_shape


def forward(x, centers):
    y = room(x, output_shape(x.shape, centers.shape))
    _forward(lanewise(x.positions()), centers, lanewise(y.positions()))
    return y


@kernel(split=("x", "y"))
def _forward(x, centers, y):
    (blocks, F, P), K = x.shape[:3], len(centers)
    for b in range(blocks):
        for p in range(P):
            for k in range(K):
                total = fill_like(load(x, (b, 0, p)), 0)
                for f in range(F):
                    difference = load(x, (b, f, p)) - centers[k, f]
                    total = fma(difference, difference, total)
                store(y, (b, k, p), total)


def backward_input(dy, x, centers):
    dx = room(dy, x.shape)
    _backward_input(lanewise(dy.positions()), lanewise(x.positions()), centers, lanewise(dx.positions()))
    return dx


@kernel(split=("dy", "x", "dx"))
def _backward_input(dy, x, centers, dx):
    (blocks, F, P), K = x.shape[:3], len(centers)
    for b in range(blocks):
        for p in range(P):
            for f in range(F):
                v = load(x, (b, f, p))
                total = fill_like(v, 0)
                for k in range(K):
                    total = fma(
                        load(dy, (b, k, p)), v - centers[k, f], total
                    )  # reverses: total + (x - center)^2, but for 2
                store(dx, (b, f, p), 2 * total)


def backward_centers(dy, x, centers):
    dcenters = np.empty_like(centers)
    _backward_centers(lanewise(dy.positions()), lanewise(x.positions()), centers, dcenters)
    return dcenters


@kernel
def _backward_centers(dy, x, centers, dcenters):
    (blocks, F, P), K = x.shape[:3], len(centers)
    for k in range(K):
        for f in range(F):
            total = fill_like(load(x, (0, f, 0)), 0)
            for b in range(blocks):
                for p in range(P):
                    total = fma(
                        load(dy, (b, k, p)), load(x, (b, f, p)) - centers[k, f], total
                    )  # reverses: total + (x - center)^2
            dcenters[k, f] = -2 * lane_sum(total)
