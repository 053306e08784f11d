"""adam in NumPy."""

import numpy as np


def update(weight, dweight, mean, square, lr, beta1, beta2, eps, weight_decay, decoupled, step, scale):
    g = scale * dweight
    if not decoupled:
        g = g + weight_decay * weight
    mean[...] = beta1 * mean + (1 - beta1) * g
    square[...] = beta2 * square + (1 - beta2) * g * g
    if decoupled:
        weight -= lr * weight_decay * weight
    corrected_mean = mean / (1 - beta1**step)
    corrected_square = square / (1 - beta2**step)
    weight -= lr * corrected_mean / (np.sqrt(corrected_square) + eps)
