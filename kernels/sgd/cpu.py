"""sgd in Numba: one loop over all elements of a parameter."""
import numpy as np
from numba import njit


def update(weight, dweight, velocity, lr, momentum, weight_decay, nesterov, scale):
    lr, momentum, weight_decay, scale = (weight.dtype.type(value) for value in (lr, momentum, weight_decay, scale))
    _update(weight.reshape(-1), dweight.reshape(-1), velocity.reshape(-1), lr, momentum, weight_decay, nesterov, scale)


@njit(cache=True, nogil=True)
def _update(weight, dweight, velocity, lr, momentum, weight_decay, nesterov, scale):
    for e in range(len(weight)):
        g = scale * dweight[e] + weight_decay * weight[e]
        velocity[e] = momentum * velocity[e] + g
        weight[e] -= lr * (g + momentum * velocity[e] if nesterov else velocity[e])


def sum_of_squares(dweight):
    return float(_sum_of_squares(dweight.reshape(-1)))


@njit(cache=True, nogil=True)
def _sum_of_squares(dweight):
    total = 0.0
    for e in range(len(dweight)):
        value = np.float64(dweight[e])                     # float64: the square of a large float32 would overflow
        total += value * value
    return total
