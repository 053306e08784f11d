"""sgd in NumPy."""

import numpy as np


def update(weight, dweight, velocity, lr, momentum, weight_decay, nesterov, scale):
    g = scale * dweight + weight_decay * weight
    velocity[...] = momentum * velocity + g
    weight -= lr * (g + momentum * velocity if nesterov else velocity)


def sum_of_squares(dweight):
    return float(np.sum(np.square(dweight, dtype=np.float64)))
