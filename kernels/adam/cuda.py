"""adam in numba.cuda: every thread takes AT_ONCE elements of a parameter at once. The numbers are read from
memory, as in kernels/sgd/cuda.py.

    options  [*numbers(...), scale], of the dtype of the parameter; a scale that is NaN: leave weight, mean
             and square as they are
"""

import math

import numpy as np

from .._cuda import memory
from .._cuda.launch import AT_ONCE, cuda, device, kernel
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
    numbers = (options[0], options[1], options[2], options[3], options[4]) + (
        options[5],
        options[6],
        options[7],
        options[8],
        options[9],
    )
    if numbers[9] != numbers[9]:
        return
    w = cuda.local.array(AT_ONCE, options.dtype)
    dw = cuda.local.array(AT_ONCE, options.dtype)
    m = cuda.local.array(AT_ONCE, options.dtype)
    s = cuda.local.array(AT_ONCE, options.dtype)
    e, grid = cuda.grid(1), cuda.gridsize(1)
    while e + (AT_ONCE - 1) * grid < weight.size:
        for a in range(AT_ONCE):
            i = e + a * grid
            w[a], dw[a], m[a], s[a] = at(weight, i), at(dweight, i), at(mean, i), at(square, i)
        for a in range(AT_ONCE):
            w[a], m[a], s[a] = _changed(w[a], dw[a], m[a], s[a], numbers)
            put(weight, e + a * grid, w[a])
            put(mean, e + a * grid, m[a])
            put(square, e + a * grid, s[a])
        e += AT_ONCE * grid
    while e < weight.size:
        weight[e], mean[e], square[e] = _changed(weight[e], dweight[e], mean[e], square[e], numbers)
        e += grid


@device
def _changed(w, dw, m, s, numbers):
    """Return (weight, mean, square) after the update."""
    rate, root, keep_mean, add_mean, keep_square, add_square, eps, pull, shrink, scale = numbers
    g = scale * dw + pull * w
    m = keep_mean * m + add_mean * g
    s = keep_square * s + add_square * g * g
    return w - shrink * w - rate * m / (root * math.sqrt(s) + eps), m, s
