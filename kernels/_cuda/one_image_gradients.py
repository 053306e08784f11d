"""The second launch behind kernels/_cuda/one_image.py: the gradients of all parameters, of what the blocks of
the first have left. All sums are taken in an order that follows from the batch alone.

    shares  (blocks, words)  gradients of small parameters, of the images of each block: they are added up
    notes   (images, words)  of each dense layer, x and behind it dy: dweight[o, c] = sum_n dy[n, o] x[n, c]

A block of the launch takes LANES words, or ROWS rows o of a dweight and BLOCK columns c; column C is that of
the bias, as if there were an x[n, C] = 1.
"""

from dataclasses import dataclass

import numpy as np

from .launch import AT_ONCE, SIMULATOR, device, kernel
from .package import cuda
from .ptx import at, put
from .reduce import BLOCK, tree_sum

int32 = np.int32
LANES = 2 if SIMULATOR else 32
ROWS = 2 if SIMULATOR else 4


@dataclass(frozen=True)
class Dense:
    """A dense layer (O, C): where its x begins in a row of notes, and its dweight and dbias (None: it has
    none) in the array of gradients.
    """

    O: int
    C: int
    notes: int
    weight: int
    bias: int | None

    @property
    def columns(self):
        return self.C + (self.bias is not None)

    @property
    def blocks(self):
        return -(-self.columns // BLOCK) * -(-self.O // ROWS)


def gradients(words, row, layers, name):
    """(kernel(notes, N, shares, parts, out), blocks). words: of a row of shares, which are also the first of
    out; row: of a row of notes.
    """
    blocks = -(-words // LANES)
    run = _added(words)
    for layer in layers:
        run = _else(blocks, run, _products(layer, row))
        blocks += layer.blocks
    ALL = blocks

    @kernel(made_with=name, launch_bounds=(BLOCK, 2))
    def gradients(notes, N, shares, parts, out):
        run(cuda.blockIdx.x, notes, N, shares, parts, out)

    return gradients, ALL


def _else(first, run, behind):
    """The blocks below `first` run one, all others another."""

    @device
    def either(block, notes, N, shares, parts, out):
        if block < first:
            run(block, notes, N, shares, parts, out)
        else:
            behind(block - first, notes, N, shares, parts, out)

    return either


def _added(words):
    @device
    def added(block, notes, N, shares, parts, out):
        t = cuda.threadIdx.x
        e, total = block * LANES + t % LANES, out.dtype.type(0)
        if e < words:
            for part in range(t // LANES, parts, BLOCK // LANES):
                total += at(shares, part * words + e)
        total = tree_sum(total, LANES, out)
        if t < LANES and e < words:
            put(out, e, total)

    return added


def _products(layer, row):
    O, C, X, WEIGHT, COLUMNS = layer.O, layer.C, layer.notes, layer.weight, layer.columns
    BIASED, BIAS = layer.bias is not None, layer.bias or 0
    ACROSS = -(-COLUMNS // BLOCK)
    SHAPE = AT_ONCE, ROWS

    @device
    def products(block, notes, N, shares, parts, out):
        first, c = block // ACROSS * ROWS, block % ACROSS * BLOCK + cuda.threadIdx.x
        zero, one = out.dtype.type(0), out.dtype.type(1)
        sums = cuda.local.array(ROWS, out.dtype)
        x, dy = cuda.local.array(AT_ONCE, out.dtype), cuda.local.array(SHAPE, out.dtype)
        for r in range(ROWS):
            sums[r] = zero
        for begin in range(0, N, AT_ONCE):
            for a in range(AT_ONCE):
                place = min(begin + a, N - 1) * row + X
                x[a] = at(notes, place + min(c, C - 1))
                for r in range(ROWS):
                    dy[a, r] = at(notes, place + C + min(first + r, O - 1))
            for a in range(AT_ONCE):
                number = x[a] if c < C else one
                if begin + a >= N:
                    number = zero
                for r in range(ROWS):
                    sums[r] += dy[a, r] * number  # reverses: y[o] += weight[o, c] x[c], y[o] + bias[o]
        for r in range(ROWS):
            o = first + r
            if o < O and c < C:
                put(out, WEIGHT + o * C + c, sums[r])
            if BIASED and o < O and c == C:
                put(out, BIAS + o, sums[r])

    return products
