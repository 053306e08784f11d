"""A tile of the result for a block of threads, and what the tile needs in shared memory.

A thread of cuda_coalesced reads two numbers from memory for each multiply-add, and its neighbours read the
same ones again. Here 16 x 16 threads compute 16 maps of 16 neighbouring pixels and images: they read 16 steps
of k, 256 numbers of each factor, once into shared memory, and then multiply from there. Each number that
comes from memory takes part in 16 multiply-adds instead of one: 1/8 of a number for each, instead of 2. And
its place is found once for 16 of them: 20 instructions for a multiply-add (sm_90), instead of 60.

What it still wastes: each multiply-add reads two numbers from shared memory.
"""

from functools import cache

from ...kernels._cuda.launch import cuda, kernel
from ...kernels._cuda.package import SIMULATOR
from .cuda_factors import loader
from .cuda_matrix import Directions

TILE = 4 if SIMULATOR else 16
SQUARE = TILE * TILE
WORDS = 2 * SQUARE


@cache
def product(direction):
    """The kernel of one direction: out[part, m, j] = the sum over the steps of this part of A[k, m] B[k,
    j].
    """
    load = loader(direction, TILE, TILE, TILE, SQUARE, TILE, TILE)

    @kernel(made_with=direction)
    def product(a, b, sizes, splits, window, bias, biased, out):
        shared = cuda.shared.array(WORDS, a.dtype)  # A[k, m] at m TILE + k, B[k, j] at SQUARE + k TILE + j
        (M, J, K), (m, j) = sizes, (cuda.threadIdx.x // TILE, cuda.threadIdx.x % TILE)
        m0, j0 = TILE * cuda.blockIdx.y, TILE * cuda.blockIdx.x
        group, part = cuda.blockIdx.z // splits, cuda.blockIdx.z % splits
        total = a.dtype.type(0)
        for k0 in range(part * TILE, K, splits * TILE):
            load(shared, a, b, group, m0, j0, k0, sizes, window)
            cuda.syncthreads()
            for k in range(TILE):
                total += shared[m * TILE + k] * shared[SQUARE + k * TILE + j]
            cuda.syncthreads()  # before the next step takes the place of this one
        if m0 + m < M and j0 + j < J:
            o = group * M + m0 + m
            out[part, o, j0 + j] = total + bias[o] if biased and part == 0 else total

    return product


directions = Directions(product, (TILE, TILE, TILE, SQUARE))
forward, backward_input, backward_weight = (
    directions.forward,
    directions.backward_input,
    directions.backward_weight,
)
