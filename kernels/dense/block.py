"""dense by one block for one image, in shared memory (kernels/_cuda/one_image.py).

Weights are read once from the GPU's memory, as many as possible at a time, since nothing else takes as long.
rbf has the same loops: `term` and `dterm` say what is added up.
"""

import numpy as np

from .._cuda.launch import AT_ONCE, SIMULATOR, device, divided
from .._cuda.one_image import THREADS
from .._cuda.package import cuda
from .._cuda.ptx import at, at_shared, near, near_shared, put, put_shared, thread

int32 = np.int32
LANES = 2 if SIMULATOR else 8  # threads that share a sum, at most
SLICES = 2 if SIMULATOR else 8  # likewise on the way back


@device
def times(weight, x):
    """The part of one y that one x makes."""
    return weight * x


@device
def times_dy(weight, x, dy):
    """The part of one dx that one dy makes."""
    return weight * dy  # reverses: y[o] += weight[o, c] x[c]


def forward(x, y, scratch, weight, bias, term=times):
    """forward(s, params): y[o] = sum_c term(weight[o, c], x[c]) + bias[o]. bias: which of params, or None.

    Threads side by side read weights side by side, WIDTH each.
    """
    C, O, X, Y, SCRATCH = x.features, y.features, x.first, y.first, scratch.first
    WIDTH = _width(C)
    PARTS = max(1, min(LANES, C // WIDTH, scratch.size // O - 1))
    STRIDE, ALL = PARTS + 1, O * PARTS
    STEP = PARTS * WIDTH
    # steps that all threads take, several at once
    FULL = C // (STEP * AT_ONCE) * AT_ONCE
    read, read_shared, SHAPE = near(WIDTH), near_shared(WIDTH), (AT_ONCE, WIDTH)

    @device
    def forward(s, params):
        held = cuda.local.array(SHAPE, s.dtype)
        for task in range(thread(), ALL, THREADS):
            o, part = divided(task, PARTS)
            total = s.dtype.type(0)
            begin, place = o * C + part * WIDTH, int32(X + part * WIDTH)
            for first in range(0, FULL * STEP, AT_ONCE * STEP):
                for a in range(AT_ONCE):
                    numbers = read(params[weight], begin + first, int32(a * STEP))
                    for i in range(WIDTH):
                        held[a, i] = numbers[i]
                for a in range(AT_ONCE):
                    numbers = read_shared(s, int32(place + first), int32(a * STEP))
                    for i in range(WIDTH):
                        total += term(held[a, i], numbers[i])
            for c in range(FULL * STEP, C - part * WIDTH, STEP):
                numbers = read(params[weight], begin + c, int32(0))
                for i in range(WIDTH):
                    total += term(numbers[i], at_shared(s, int32(place + c + i)))
            put_shared(s, int32(SCRATCH + o * STRIDE + part), total)
        cuda.syncthreads()
        for o in range(thread(), O, THREADS):
            total = s.dtype.type(0)
            if bias is not None:
                total = at(params[bias], o)
            for part in range(PARTS):
                total += at_shared(s, int32(SCRATCH + o * STRIDE + part))
            put_shared(s, int32(Y + o), total)

    return forward


def backward(x, y, out, weight, slope, need_dx, noted=True, dterm=times_dy):
    """backward(s, params, ...): note x and dy, of which the second launch makes dweight and dbias; then dx in
    the place of x: the sum over o of dterm(weight[o, c], x[c], dy[o]), times the slope there.

    Threads share the o of a c, and add what they have one after the other.
    """
    C, O, X, Y, NOTES = x.features, y.features, x.first, y.first, out.notes
    WIDTH = _width(C)
    COLUMNS = C // WIDTH
    PARTS = max(1, min(SLICES, THREADS // COLUMNS, O))
    ALL = COLUMNS * PARTS
    # steps that all threads take, several at once
    FULL = O // (PARTS * AT_ONCE) * AT_ONCE
    ROW = out.row
    read, SHAPE = near(WIDTH), (AT_ONCE, WIDTH)

    @device
    def backward(s, params, notes, shares, row, fresh, n):
        if noted:
            for e in range(thread(), C, THREADS):
                put(notes, n * ROW + NOTES + e, at_shared(s, int32(X + e)))
            for e in range(thread(), O, THREADS):
                put(notes, n * ROW + NOTES + C + e, at_shared(s, int32(Y + e)))
            if need_dx:
                cuda.syncthreads()
        if need_dx:
            sums = cuda.local.array(WIDTH, s.dtype)
            there = cuda.local.array(WIDTH, s.dtype)
            held = cuda.local.array(SHAPE, s.dtype)
            for begin in range(0, ALL, THREADS):
                part, c = divided(begin + thread(), COLUMNS)
                c *= WIDTH
                for i in range(WIDTH):
                    sums[i] = s.dtype.type(0)
                if part < PARTS:
                    for i in range(WIDTH):
                        there[i] = at_shared(s, int32(X + c + i))
                    place = part * C + c
                    for first in range(0, FULL * PARTS, AT_ONCE * PARTS):
                        for a in range(AT_ONCE):
                            numbers = read(params[weight], place + first * C, int32(a * PARTS * C))
                            for i in range(WIDTH):
                                held[a, i] = numbers[i]
                        for a in range(AT_ONCE):
                            dy = at_shared(s, int32(Y + part + first + a * PARTS))
                            for i in range(WIDTH):
                                sums[i] += dterm(held[a, i], there[i], dy)
                    for o in range(FULL * PARTS + part, O, PARTS):
                        numbers, dy = read(params[weight], o * C + c, int32(0)), at_shared(s, int32(Y + o))
                        for i in range(WIDTH):
                            sums[i] += dterm(numbers[i], there[i], dy)
                    for i in range(WIDTH):
                        sums[i] *= slope(there[i])
                if PARTS > 1:
                    cuda.syncthreads()  # whoever still reads x
                for turn in range(PARTS):
                    if part == turn:
                        for i in range(WIDTH):
                            value = sums[i]
                            if turn > 0:
                                value += at_shared(s, int32(X + c + i))
                            put_shared(s, int32(X + c + i), value)
                    if PARTS > 1:
                        cuda.syncthreads()

    return backward


def scratch_words(y):
    """Return the words of shared memory that are needed beside x and y, at least."""
    return 2 * y.features


def _width(C):
    """Numbers of a row of weights that a thread reads at once."""
    return next(width for width in (4, 2, 1) if C % width == 0)
