"""sgd in numba.cuda: every thread takes AT_ONCE elements of a parameter at once, a grid apart. The rate and
the other options are read from the GPU's memory, so that a captured step (kernels/_cuda/graph.py), which
makes the same calls for ever, can be given other ones.

    options  [*numbers(...), scale], of the dtype of the parameter; a scale that is NaN: leave weight and
             velocity as they are
"""

import math

import numpy as np

from .._cuda import memory
from .._cuda.launch import AT_ONCE, cuda, device, kernel, row_blocks
from .._cuda.ptx import at, put
from .._cuda.reduce import BLOCK, BLOCKS, part, parts, tree_sum
from . import numbers

# parameters of one launch: 4 x 16 arrays of 56 bytes fit into the 4 KB that a kernel's arguments may take
TOGETHER = 16


def update(weight, dweight, velocity, lr, momentum, weight_decay, nesterov, scale):
    options = memory.to_gpu(np.array([*numbers(lr, momentum, weight_decay, nesterov), scale], weight.dtype))
    change([(weight, dweight, velocity)], options)


def change(rows, options):
    """update of many (weight, dweight, velocity), with options that are on the GPU."""
    launch_together(_update, rows, options)


def launch_together(update, rows, options):
    """Launch the kernel `update` for many rows (weight, dweight, slots ...), TOGETHER at a time.

    LeNet-5's parameters are so small that a launch for each would take longer than its work.
    """
    for first in range(0, len(rows), TOGETHER):
        columns = zip(*rows[first : first + TOGETHER], strict=True)
        some = [tuple(array.reshape(array.size) for array in column) for column in columns]
        (blocks, rows_of_blocks), threads = row_blocks(max(weight.size for weight in some[0]), len(some[0]))
        # a small parameter needs few of so many blocks
        update[(min(blocks, BLOCKS), rows_of_blocks), threads](*some, options)


@kernel
def _update(weights, dweights, velocities, options):
    weight, dweight, velocity = (
        weights[cuda.blockIdx.y],
        dweights[cuda.blockIdx.y],
        velocities[cuda.blockIdx.y],
    )
    numbers = options[0], options[1], options[2], options[3], options[4]
    if numbers[4] != numbers[4]:
        return
    w = cuda.local.array(AT_ONCE, options.dtype)
    dw = cuda.local.array(AT_ONCE, options.dtype)
    v = cuda.local.array(AT_ONCE, options.dtype)
    e, grid = cuda.grid(1), cuda.gridsize(1)
    while e + (AT_ONCE - 1) * grid < weight.size:
        for a in range(AT_ONCE):
            i = e + a * grid
            w[a], dw[a], v[a] = at(weight, i), at(dweight, i), at(velocity, i)
        for a in range(AT_ONCE):
            w[a], v[a] = _changed(w[a], dw[a], v[a], numbers)
            put(weight, e + a * grid, w[a])
            put(velocity, e + a * grid, v[a])
        e += AT_ONCE * grid
    while e < weight.size:
        weight[e], velocity[e] = _changed(weight[e], dweight[e], velocity[e], numbers)
        e += grid


@device
def _changed(w, dw, v, numbers):
    """Return (weight, velocity) after the update."""
    lr, momentum, weight_decay, nesterov, scale = numbers
    g = scale * dw + weight_decay * w
    v = momentum * v + g
    return w - lr * (g + momentum * v if nesterov else v), v


def sum_of_squares(dweight):
    return float(memory.to_host(_partial_sums([dweight])).sum(dtype=np.float64))


def _partial_sums(dweights):
    """Sums of squares of parts of all these arrays: the squares and each of these sums are of the dtype of
    dweight, also where that is float32.
    """
    blocks = parts(1, max(dweight.size for dweight in dweights))
    sums = memory.empty((len(dweights) * blocks,), dweights[0].dtype)
    for first in range(0, len(dweights), TOGETHER):
        some = tuple(dweight.reshape(dweight.size) for dweight in dweights[first : first + TOGETHER])
        _sum_of_squares[(blocks, len(some)), BLOCK](some, sums, first * blocks)
    return sums


@kernel
def _sum_of_squares(dweights, sums, first):
    """sums[first + a P + p]: that of the p-th of P parts of array a, by block (p, a)."""
    dweight, p, P = dweights[cuda.blockIdx.y], cuda.blockIdx.x, cuda.gridDim.x
    begin, end = part(p, P, dweight.size)
    total = zero = dweight.dtype.type(0)
    for few in range(begin + cuda.threadIdx.x, end, AT_ONCE * BLOCK):
        for a in range(AT_ONCE):
            e = few + a * BLOCK
            number = at(dweight, min(e, end - 1))
            total += number * number if e < end else zero
    total = tree_sum(total, 1, dweight)
    if cuda.threadIdx.x == 0:
        sums[first + cuda.blockIdx.y * P + p] = total


def guarded_options(options, losses, dweights, clip):
    """Return `options` for change of any optimizer, where nobody looks in between.

    The scale, which stands last, is made smaller so that the norm of all dweights together is no larger than
    clip (None: as large as it is), and NaN where it is 0 or a loss is not finite.
    """
    guarded = memory.empty(options.shape, options.dtype)
    sums = losses if clip is None else _partial_sums(dweights)
    _guard[1, BLOCK](options, losses, sums, options.dtype.type(math.inf if clip is None else clip), guarded)
    return guarded


@kernel
def _guard(options, losses, sums, clip, guarded):
    t, zero, one = cuda.threadIdx.x, options.dtype.type(0), options.dtype.type(1)
    wrong = total = zero
    for n in range(t, losses.size, BLOCK):
        wrong += zero if math.isfinite(losses[n]) else one
    for p in range(t, sums.size, BLOCK):
        total += sums[p]
    wrong, norm = tree_sum(wrong, 1, options), math.sqrt(tree_sum(total, 1, options))
    if t == 0:
        last = options.size - 1
        for place in range(last):
            guarded[place] = options[place]
        scale = options[last] * (clip / norm if norm > clip else one)
        guarded[last] = options.dtype.type(math.nan) if wrong > zero or options[last] == zero else scale
