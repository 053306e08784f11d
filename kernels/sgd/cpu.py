"""sgd in Numba: one loop over all elements of a parameter, a register of them at a time."""

import numpy as np

from .._cpu.kernel import kernel
from .._cpu.vector import double, fill_like, fma, lane_sum, load_run, store_run, width
from . import numbers


def update(weight, dweight, velocity, lr, momentum, weight_decay, nesterov, scale):
    options = np.array([*numbers(lr, momentum, weight_decay, nesterov), scale], np.float64)
    _update(weight.reshape(-1), dweight.reshape(-1), velocity.reshape(-1), options)


@kernel(split=("weight", "dweight", "velocity"))
def _update(weight, dweight, velocity, options):
    lr, momentum, weight_decay, nesterov, scale = options[0], options[1], options[2], options[3], options[4]
    for e in range(0, len(weight), width(weight)):
        w = load_run(weight, e)
        g = fma(scale, load_run(dweight, e), weight_decay * w)
        v = fma(momentum, load_run(velocity, e), g)
        store_run(velocity, e, v)
        if nesterov != 0:
            v = fma(momentum, v, g)
        store_run(weight, e, fma(-lr, v, w))


def sum_of_squares(dweight):
    total = np.empty(1)
    _sum_of_squares(dweight.reshape(-1), total)
    return float(total[0])


@kernel
def _sum_of_squares(dweight, total):
    lanes = fill_like(
        double(load_run(dweight, 0)), 0
    )  # float64: the square of a large float32 would overflow
    for e in range(0, len(dweight), width(dweight)):
        v = double(load_run(dweight, e))
        lanes = fma(v, v, lanes)
    total[0] = lane_sum(lanes)
