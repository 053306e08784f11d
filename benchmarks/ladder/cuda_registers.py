"""A tile of the tile for each thread, kept in registers.

A thread of cuda_shared reads two numbers from shared memory for each multiply-add, and shared memory gives a
multiprocessor 32 numbers in the time in which it does 128 multiply-adds. Here a thread computes 4 x 8 numbers
of the result: at each k it reads 4 + 8 numbers and does 32 multiply-adds with them, 3/8 of a number for each,
instead of 2. The tile of a block grows to 32 x 128, so that from memory come 1/32 + 1/128 numbers for each
multiply-add, instead of 1/8. That takes 8 instructions for a multiply-add (sm_90), instead of 20: 4 of them
multiply and read shared memory, the other 4 find the numbers in memory.

What it still wastes: those 4; and a layer of 6 maps fills 6 of the 32 rows of its tiles. The shipped kernel
finds the numbers through tables, loads a step while it multiplies the one before, 16 bytes at once, and
chooses among six tiles: 1.2 instructions for a multiply-add with the largest.
"""

from functools import cache

from ...kernels._cuda.launch import cuda, kernel
from ...kernels._cuda.package import SIMULATOR
from .cuda_factors import loader
from .cuda_matrix import Directions

TM, TN = (2, 2) if SIMULATOR else (4, 8)  # numbers of a thread
DOWN, ACROSS = (2, 4) if SIMULATOR else (8, 16)  # threads of a block
BM, BN, BK, THREADS = DOWN * TM, ACROSS * TN, 4 if SIMULATOR else 16, DOWN * ACROSS
A_ROW, B = (
    BK + 1,
    BM * (BK + 1),
)  # words of a row of A, one more than it has: so rows begin in different banks
WORDS = B + BK * BN


@cache
def product(direction):
    """The kernel of one direction: out[part, m, j] = the sum over the steps of this part of A[k, m] B[k,
    j].
    """
    load = loader(direction, BM, BN, BK, THREADS, A_ROW, BN)

    @kernel(made_with=direction)
    def product(a, b, sizes, splits, window, bias, biased, out):
        shared = cuda.shared.array(WORDS, a.dtype)  # A[k, m] at m A_ROW + k, B[k, j] at B + k BN + j
        sums, column = cuda.local.array((TM, TN), a.dtype), cuda.local.array(TM, a.dtype)
        (M, J, K), (down, across) = sizes, (cuda.threadIdx.x // ACROSS, cuda.threadIdx.x % ACROSS)
        m0, j0 = BM * cuda.blockIdx.y, BN * cuda.blockIdx.x
        group, part = cuda.blockIdx.z // splits, cuda.blockIdx.z % splits
        for p in range(TM):
            for q in range(TN):
                sums[p, q] = a.dtype.type(0)
        for k0 in range(part * BK, K, splits * BK):
            load(shared, a, b, group, m0, j0, k0, sizes, window)
            cuda.syncthreads()
            for k in range(BK):
                for p in range(TM):
                    column[p] = shared[(down * TM + p) * A_ROW + k]
                for q in range(TN):
                    number = shared[B + k * BN + across + q * ACROSS]  # neighbouring threads read neighbours
                    for p in range(TM):
                        sums[p, q] += column[p] * number
            cuda.syncthreads()
        for p in range(TM):
            m = m0 + down * TM + p
            for q in range(TN):
                j = j0 + across + q * ACROSS
                if m < M and j < J:
                    o = group * M + m
                    out[part, o, j] = sums[p, q] + bias[o] if biased and part == 0 else sums[p, q]

    return product


directions = Directions(product, (BM, BN, BK, THREADS))
forward, backward_input, backward_weight = (
    directions.forward,
    directions.backward_input,
    directions.backward_weight,
)
