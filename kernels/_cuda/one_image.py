r"""One block computes one image: the whole network forward, and back, in one launch. kernels/<op>/block.py
has for each operation what all threads of a block do together; here they are put one after the other.

All activations of the image lie in shared memory, from the first layer to the last, and stay there for the
way back. Where a layer has taken dy from behind it and has given its parameters their gradients, dx takes the
place of x:

    x   ->  a1  ->  a2  ->  scores         forward: every array in a place of its own
                              |            loss: its gradient takes the place of the scores
            da1 <-  da2 <-  dscores        backward: dx[e] = (...) * slope(x[e]), in the place of x[e]

slope is the derivative of the activation that made x, written as a function of what it made.

A block takes images n = block, block + grid, ... What it finds of the gradients of small parameters, it adds
to a row of its own, `shares`; of dense layers it notes x and dy of each image, `notes`. The second launch
(kernels/_cuda/one_image_gradients.py) makes gradients of both. The grid follows from the batch alone, and so
the order of all sums.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from .launch import SIMULATOR, device, divided, kernel
from .package import cuda
from .ptx import ALIGNMENT, at, at_shared, put, put_shared, thread

int32 = np.int32
THREADS = 8 if SIMULATOR else 512  # of a block
BLOCKS = 3 if SIMULATOR else 528  # of a launch at most: four for each multiprocessor of an H100
WORDS = 12_288  # of shared memory that a block has without asking for more


@dataclass(frozen=True)
class Maps:
    """Place of an array (C, H, W) of one image in shared memory: element c, h, w at first + (c H + h) pitch
    + w.
    """

    first: int
    C: int
    H: int
    W: int
    pitch: int

    @property
    def rows(self):
        return self.C * self.H

    @property
    def size(self):
        return self.rows * self.pitch

    @property
    def features(self):
        """Number of its numbers, without what fills up its rows."""
        return self.rows * self.W

    @property
    def packed(self):
        """True where its rows lie one right behind the other."""
        return self.pitch == self.W


@dataclass(frozen=True)
class Out:
    """Places where a layer's gradients begin in a row of `shares`, or its x and dy in one of `notes`; row:
    the length of the latter, in words.
    """

    shares: int
    notes: int
    row: int


@device
def nothing(s, params, notes, shares, row, fresh, n):
    """For a layer that has no way back."""


@device
def one(y):
    """The slope of no activation at all."""
    return np.float32(1)


@device
def add_share(shares, place, value, fresh):
    """Add to a block's row of shares; its first image sets it."""
    put(shares, place, value if fresh else at(shares, place) + value)


@cache
def activation(y_of, numbers, dx_of, dnumbers):
    """(value(x), slope(y)) of an activation, made of what its kernels/<op>/cuda.py computes of a number:
    y_of(x, numbers) and dx_of(dy, y, dnumbers).
    """
    y_of, dx_of = device(y_of), device(dx_of)
    NUMBERS, DNUMBERS = tuple(map(np.float32, numbers)), tuple(map(np.float32, dnumbers))
    ONE = np.float32(1)

    @device
    def value(x):
        return y_of(x, NUMBERS)

    @device
    def slope(y):
        return dx_of(ONE, y, DNUMBERS)

    return value, slope


@cache
def elementwise(maps, value):
    """forward(s): y[e] = value(y[e]), in place. What fills up the rows is computed too, and never read."""
    FIRST, SIZE = maps.first, maps.size

    @device
    def forward(s):
        for e in range(thread(), SIZE, THREADS):
            put_shared(s, int32(FIRST + e), value(at_shared(s, int32(FIRST + e))))

    return forward


def layer(forward, backward, rest):
    """A layer, and all that comes behind it, as one device function."""

    @device
    def run(s, params, notes, shares, row, fresh, labels, dlosses, scores, losses, n):
        forward(s, params)
        cuda.syncthreads()
        rest(s, params, notes, shares, row, fresh, labels, dlosses, scores, losses, n)
        backward(s, params, notes, shares, row, fresh, n)
        cuda.syncthreads()

    return run


def activated(forward, maps, value):
    """forward(s, params) of a layer and of the activation behind it."""
    activation = elementwise(maps, value)

    @device
    def both(s, params):
        forward(s, params)
        cuda.syncthreads()
        activation(s)

    return both


@cache
def only_scores(y):
    """The end of a network of which nothing but the scores is asked."""
    FIRST, W, PITCH, FEATURES = y.first, y.W, y.pitch, y.features

    @device
    def end(s, params, notes, shares, row, fresh, labels, dlosses, scores, losses, n):
        for k in range(thread(), FEATURES, THREADS):
            line, w = divided(k, W)
            put(scores, n * FEATURES + k, at_shared(s, int32(FIRST + line * PITCH + w)))

    return end


def network(x, run, shares, words, name):
    """step(x, N, params, labels, dlosses, notes, shares, scores, losses): the kernel of a network.

    x       Maps of the input          run     its layers, as layer() puts them together
    shares  words of a row of shares   words   of shared memory
    """
    FIRST, C_H, W, PITCH, ROW, SIZE = x.first, x.rows, x.W, x.pitch, shares, words
    FEATURES = C_H * W

    @kernel(made_with=name, launch_bounds=(THREADS, 2))
    def step(x, N, params, labels, dlosses, notes, shares, scores, losses):
        s = cuda.shared.array(SIZE, x.dtype, alignment=ALIGNMENT)
        b = cuda.blockIdx.x
        row = b * ROW
        for n in range(b, N, cuda.gridDim.x):
            for e in range(thread(), FEATURES, THREADS):
                line, w = divided(e, W)
                put_shared(s, int32(FIRST + line * PITCH + w), at(x, e * N + n))
            cuda.syncthreads()
            run(s, params, notes, shares, row, n == b, labels, dlosses, scores, losses, n)
            cuda.syncthreads()

    return step


def grid(N):
    """Blocks of the first launch for N images."""
    return max(1, min(N, BLOCKS))
