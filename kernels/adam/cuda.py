"""adam in numba.cuda: every thread takes single elements of a parameter. The numbers are read from memory, as
in kernels/sgd/cuda.py.

    options  [*numbers(...), scale], of the dtype of the parameter; a scale that is NaN: leave weight, mean
             and square as they are
"""

import math

import numpy as np

from .._cuda import memory
from .._cuda.launch import cuda, kernel
from ..sgd.cuda import launch_together
from . import numbers


def update(weight, dweight, mean, square, lr, beta1, beta2, eps, weight_decay, decoupled, step, scale):
    options = *numbers(lr, beta1, beta2, eps, weight_decay, decoupled, step), scale
    options = memory.to_gpu(np.array(options, weight.dtype))
    change([(weight, dweight, mean, square)], options)


def change(rows, options):
    """update of many (weight, dweight, mean, square), with options that are on the GPU."""
    launch_together(_update, rows, options)


@kernel
def _update(weights, dweights, means, squares, options):
    weight, dweight = weights[cuda.blockIdx.y], dweights[cuda.blockIdx.y]
    mean, square = means[cuda.blockIdx.y], squares[cuda.blockIdx.y]
    rate, root, keep_mean, add_mean, keep_square = options[0], options[1], options[2], options[3], options[4]
    add_square, eps, pull, shrink, scale = options[5], options[6], options[7], options[8], options[9]
    if scale != scale:
        return
    for e in range(cuda.grid(1), weight.size, cuda.gridsize(1)):
        w = weight[e]
        g = scale * dweight[e] + pull * w
        m = keep_mean * mean[e] + add_mean * g
        s = keep_square * square[e] + add_square * g * g
        mean[e] = m
        square[e] = s
        weight[e] = w - shrink * w - rate * m / (root * math.sqrt(s) + eps)
