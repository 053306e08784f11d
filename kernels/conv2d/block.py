r"""conv2d by one block for one image, in shared memory (kernels/_cuda/one_image.py): of stride 1 and without
padding, with a list of which maps are connected, so that table_conv2d is computed here too.

A thread holds a row of pixels in registers, the sums, as in kernels/_cuda/few_maps.py. Where there are more
threads than rows, several of them, slices, share the connections of a map: then they add what they have, one
slice after the other.

    k = (o, c)   the pair of connection k; its filter is weight[k]
"""

from functools import cache

import numpy as np

from .._cuda.launch import device, divided
from .._cuda.one_image import THREADS, add_share
from .._cuda.package import cuda
from .._cuda.ptx import at, at_shared, near, near_shared, put_shared, thread

int32 = np.int32
read, weight_at = near_shared(1), near(1)
LONGEST = 14  # pixels of a row that a thread holds, where it can be cut


def forward(x, y, pairs, kernel_size, weight, bias):
    """forward(s, params): y = sum over the connections, + bias. weight, bias: which of params; bias may be
    None.
    """
    KH, KW = kernel_size
    order, starts, inputs = _lists(pairs, 0, y.C)
    LENGTH = _length(y.W)
    PIECES, OH = y.W // LENGTH, y.H
    TASKS = y.C * OH * PIECES
    SLICES = _slices(TASKS, starts)
    XH, XP, X, YP, Y = x.H, x.pitch, x.first, y.pitch, y.first
    ALL = TASKS * SLICES

    @device
    def forward(s, params):
        ORDER, STARTS, INPUTS = (
            cuda.const.array_like(order),
            cuda.const.array_like(starts),
            cuda.const.array_like(inputs),
        )
        sums = cuda.local.array(LENGTH, s.dtype)
        for begin in range(0, ALL, THREADS):
            row, i = divided(begin + thread(), OH)
            row, piece = divided(row, PIECES)
            slice, o = divided(row, y_C)
            first = piece * LENGTH
            if slice < SLICES:
                start = s.dtype.type(0)
                if bias is not None and slice == 0:
                    start = at(params[bias], o)
                for j in range(LENGTH):
                    sums[j] = start
                for entry in range(STARTS[o] + slice, STARTS[o + 1], SLICES):
                    k, c = ORDER[entry], INPUTS[entry]
                    for u in range(KH):
                        place, taps = int32(X + (c * XH + i + u) * XP + first), (k * KH + u) * KW
                        for w in range(LENGTH + KW - 1):
                            number = read(s, place, int32(w))[0]
                            for v in range(KW):
                                if 0 <= w - v < LENGTH:
                                    sums[w - v] += weight_at(params[weight], taps, int32(v))[0] * number
            place = int32(Y + (o * OH + i) * YP + first)
            add_in_order(s, sums, place, slice)

    y_C, add_in_order = y.C, _add_in_order(LENGTH, SLICES)
    return forward


def backward(x, y, scratch, out, pairs, kernel_size, weight, bias, slope, need_dx):
    """backward(s, params, ...): the gradients of weight and bias to the shares; then dx in the place of x."""
    parameters = backward_parameters(x, y, scratch, out, pairs, kernel_size, bias is not None)
    if not need_dx:
        return parameters
    dx = backward_input(x, y, pairs, kernel_size, weight, slope)

    @device
    def backward(s, params, notes, shares, row, fresh, n):
        parameters(s, params, notes, shares, row, fresh, n)
        cuda.syncthreads()
        dx(s, params)

    return backward


def backward_input(x, y, pairs, kernel_size, weight, slope):
    """backward(s, params): dx in the place of x, times the slope there."""
    KH, KW = kernel_size
    order, starts, outputs = _lists(pairs, 1, x.C)
    LENGTH = _length(x.W)
    PIECES, H, OH, OW = x.W // LENGTH, x.H, y.H, y.W
    TASKS = x.C * H * PIECES
    SLICES = _slices(TASKS, starts)
    ALL, x_C = TASKS * SLICES, x.C
    XP, X, YP, Y = x.pitch, x.first, y.pitch, y.first
    add_in_order = _add_in_order(LENGTH, SLICES)

    @device
    def backward(s, params):
        ORDER, STARTS, OUTPUTS = (
            cuda.const.array_like(order),
            cuda.const.array_like(starts),
            cuda.const.array_like(outputs),
        )
        sums = cuda.local.array(LENGTH, s.dtype)
        for begin in range(0, ALL, THREADS):
            row, h = divided(begin + thread(), H)
            row, piece = divided(row, PIECES)
            slice, c = divided(row, x_C)
            first = piece * LENGTH if PIECES > 1 else 0
            for w in range(LENGTH):
                sums[w] = s.dtype.type(0)
            target = int32(X + (c * H + h) * XP + first)
            if slice < SLICES:
                for entry in range(STARTS[c] + slice, STARTS[c + 1], SLICES):
                    k, o = ORDER[entry], OUTPUTS[entry]
                    for u in range(KH):
                        if 0 <= h - u < OH:
                            place, taps = int32(Y + (o * OH + h - u) * YP + first), (k * KH + u) * KW
                            for j in range(1 - KW, LENGTH):
                                if 0 <= first + j < OW:
                                    number = read(s, place, int32(j))[0]
                                    for v in range(KW):
                                        if 0 <= j + v < LENGTH:
                                            # reverses: sums[w - v] += weight[k, u, v] * number
                                            sums[j + v] += (
                                                weight_at(params[weight], taps, int32(v))[0] * number
                                            )
                for w in range(LENGTH):
                    sums[w] *= slope(read(s, target, int32(w))[0])
            if SLICES > 1:
                cuda.syncthreads()  # whoever still reads x
            add_in_order(s, sums, target, slice)

    return backward


@cache
def _add_in_order(LENGTH, SLICES):
    """add(s, sums, place, slice): slice 0 sets s[place + j], the others add, one after the other."""

    @device
    def add(s, sums, place, slice):
        if SLICES == 1:
            if slice == 0:
                for j in range(LENGTH):
                    put_shared(s, int32(place + j), sums[j])
        else:
            for turn in range(SLICES):
                if slice == turn:
                    for j in range(LENGTH):
                        value = sums[j]
                        if turn > 0:
                            value += read(s, place, int32(j))[0]
                        put_shared(s, int32(place + j), value)
                cuda.syncthreads()

    return add


def backward_parameters(x, y, scratch, out, pairs, kernel_size, biased):
    """backward(s, params, ...): dweight, and behind it dbias, to the shares.

    A thread has a row of a filter's gradient, (k, u), and where there are threads enough, they share the rows
    of pixels, and add up through `scratch`.
    """
    KH, KW = kernel_size
    first_of_k = np.ascontiguousarray(pairs, np.int32)
    OH, OW, O, LENGTH = y.H, y.W, y.C, _length(y.W)
    TASKS, SUMS = len(pairs) * KH, len(pairs) * KH * KW
    SLICES = max(1, min(THREADS // TASKS, OH, (scratch.size - O * OH) // SUMS))
    XH, XP, X, YP, Y, SCRATCH, OUT = x.H, x.pitch, x.first, y.pitch, y.first, scratch.first, out.shares
    K, ALL, LINES, ROWS = (
        len(pairs),
        TASKS * SLICES,
        scratch.first + (SUMS * SLICES if SLICES > 1 else 0),
        O * OH,
    )

    @device
    def backward(s, params, notes, shares, row, fresh, n):
        PAIRS = cuda.const.array_like(first_of_k)
        sums, dy = cuda.local.array(KW, s.dtype), cuda.local.array(LENGTH, s.dtype)
        for task in range(thread(), ALL, THREADS):
            line, u = divided(task, KH)
            slice, k = divided(line, K)
            o, c = PAIRS[k, 0], PAIRS[k, 1]
            for v in range(KW):
                sums[v] = s.dtype.type(0)
            for i in range(slice, OH, SLICES):
                for first in range(0, OW, LENGTH):
                    place = int32(X + (c * XH + i + u) * XP + first)
                    dplace = int32(Y + (o * OH + i) * YP + first)
                    for j in range(LENGTH):
                        dy[j] = read(s, dplace, int32(j))[0]
                    for w in range(LENGTH + KW - 1):
                        number = read(s, place, int32(w))[0]
                        for v in range(KW):
                            if 0 <= w - v < LENGTH:
                                # reverses: y[j] += weight[k, u, v] * x[j + v]
                                sums[v] += dy[w - v] * number
            for v in range(KW):
                if SLICES > 1:
                    put_shared(s, int32(SCRATCH + task * KW + v), sums[v])
                else:
                    add_share(shares, row + OUT + task * KW + v, sums[v], fresh)
        if biased:
            for line in range(thread(), ROWS, THREADS):
                total = s.dtype.type(0)
                for j in range(OW):
                    total += read(s, int32(Y + line * YP), int32(j))[0]
                put_shared(s, int32(LINES + line), total)
        if biased or SLICES > 1:
            cuda.syncthreads()
        if SLICES > 1:
            for e in range(thread(), SUMS, THREADS):
                total = s.dtype.type(0)
                for slice in range(SLICES):
                    total += at_shared(s, int32(SCRATCH + slice * SUMS + e))
                add_share(shares, row + OUT + e, total, fresh)
        if biased:
            for o in range(thread(), O, THREADS):
                total = s.dtype.type(0)
                for i in range(OH):
                    total += at_shared(s, int32(LINES + o * OH + i))  # reverses: y + bias[o]
                add_share(shares, row + OUT + SUMS + o, total, fresh)

    return backward


def scratch_words(y):
    """Words of shared memory that backward_parameters needs at least."""
    return y.C * y.H


def _lists(pairs, by, maps):
    """(order, starts, others): connections order[starts[m]:starts[m + 1]] are those of map m, and lead to
    `others`.
    """
    order = np.argsort(pairs[:, by], kind="stable")
    starts = np.searchsorted(pairs[order, by], np.arange(maps + 1))
    return tuple(array.astype(np.int32) for array in (order, starts, pairs[order, 1 - by]))


def _length(pixels):
    """Pixels of a row that a thread holds: a divisor of the row, so that no pixel has two threads."""
    if pixels <= LONGEST:
        return pixels
    longest = max(length for length in range(1, LONGEST + 1) if pixels % length == 0)
    return longest if longest > 3 or pixels > 40 else pixels


def _slices(tasks, starts):
    """Number of threads that share the connections of a map."""
    return max(1, min(THREADS // tasks, int(np.diff(starts).max(initial=1)), 8))
