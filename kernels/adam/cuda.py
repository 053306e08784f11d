"""adam in numba.cuda: every thread takes AT_ONCE elements of a parameter at once. The numbers are read from
memory, as in kernels/sgd/cuda.py.

    options  [*numbers(...), scale], of the dtype of the parameter; a scale that is NaN: leave weight, mean
             and square as they are
"""

import math

import numpy as np

from .._cuda import memory
from .._cuda.launch import AT_ONCE, cuda, kernel
from .._cuda.ptx import at, put
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
    w = cuda.local.array(AT_ONCE, options.dtype)
    dw = cuda.local.array(AT_ONCE, options.dtype)
    m = cuda.local.array(AT_ONCE, options.dtype)
    s = cuda.local.array(AT_ONCE, options.dtype)
    for first in range(cuda.grid(1), weight.size, AT_ONCE * cuda.gridsize(1)):
        for a in range(AT_ONCE):
            e = min(first + a * cuda.gridsize(1), weight.size - 1)
            w[a], dw[a], m[a], s[a] = at(weight, e), at(dweight, e), at(mean, e), at(square, e)
        for a in range(AT_ONCE):
            e = first + a * cuda.gridsize(1)
            if e < weight.size:
                g = scale * dw[a] + pull * w[a]
                new_mean = keep_mean * m[a] + add_mean * g
                new_square = keep_square * s[a] + add_square * g * g
                put(mean, e, new_mean)
                put(square, e, new_square)
                put(weight, e, w[a] - shrink * w[a] - rate * new_mean / (root * math.sqrt(new_square) + eps))
