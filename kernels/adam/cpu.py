"""adam in Numba: one loop over all elements of a parameter, a register of them at a time."""

import numpy as np

from .._cpu.kernel import kernel
from .._cpu.vector import fma, load_run, sqrt, store_run, width
from . import numbers


def update(weight, dweight, mean, square, lr, beta1, beta2, eps, weight_decay, decoupled, step, scale):
    options = np.array([*numbers(lr, beta1, beta2, eps, weight_decay, decoupled, step), scale], np.float64)
    _update(weight.reshape(-1), dweight.reshape(-1), mean.reshape(-1), square.reshape(-1), options)


@kernel(split=("weight", "dweight", "mean", "square"))
def _update(weight, dweight, mean, square, options):
    rate, root, keep_mean, add_mean, keep_square = options[0], options[1], options[2], options[3], options[4]
    add_square, eps, pull, shrink, scale = options[5], options[6], options[7], options[8], options[9]
    for e in range(0, len(weight), width(weight)):
        w = load_run(weight, e)
        g = fma(scale, load_run(dweight, e), pull * w)
        m = fma(keep_mean, load_run(mean, e), add_mean * g)
        s = fma(keep_square, load_run(square, e), add_square * g * g)
        store_run(mean, e, m)
        store_run(square, e, s)
        w = fma(-shrink, w, w)
        store_run(weight, e, w - rate * m / fma(root, sqrt(s), eps))
