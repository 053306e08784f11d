"""The tile of cuda_registers, multiplied by tensor cores.

There one instruction of a warp is 32 multiply-adds. Here it is 16 x 8 x 8 = 1,024 (mma.m16n8k8 of the PTX
manual): 16 instructions of a warp for a step of its tile, instead of 512. The factors are rounded to 10 bits
behind the point (TF32), so an error of up to about 1e-3 of a product is the price. A warp computes 32 x 32 of
the result, and a thread holds 32 of these numbers, as before; which ones, kernels/_cuda/ptx.py says.

What it still wastes: nearly all. The 4 instructions for a multiply-add that find the numbers in memory are
the same as in cuda_registers. Where there are tables, as in the shipped kernel, tensor cores have something
to do: 0.2 instructions for a multiply-add.
"""

from functools import cache

import numpy as np

from ...kernels._cuda.launch import cuda, kernel
from ...kernels._cuda.package import SIMULATOR
from ...kernels._cuda.ptx import ALIGNMENT, accumulators, multiply_add_tf32, putter
from ...kernels._cuda.tile_shapes import Panel
from .cuda_factors import loader
from .cuda_matrix import Directions

BM, BN, BK = (8, 16, 8) if SIMULATOR else (32, 128, 16)
WARPS = 1 if SIMULATOR else 4  # side by side
THREADS, TM, TN = 32 * WARPS, BM // 4, BN // WARPS // 8  # a thread has TM x TN numbers
A, B = Panel(BM, BK, THREADS, True, 1, tensor=True), Panel(BN, BK, THREADS, False, 1, tensor=True)
WORDS = max(A.words + B.words, BM * (BN + 4))


@cache
def product(direction):
    """The kernel of one direction: out[part, m, j] = the sum over the steps of this part of A[k, m] B[k,
    j].
    """
    load = loader(direction, BM, BN, BK, THREADS, A.stride, B.stride)
    zeros, A_WORDS, A_STRIDE, B_STRIDE = accumulators(TM * TN), A.words, A.stride, B.stride
    a_thread, b_thread = A.tensor_fragment(TM), B.tensor_fragment(TN)
    multiply, put = multiply_add_tf32(a_thread, b_thread, range(BK)), putter(a_thread, b_thread, BN + 4, 0, 1)

    @kernel(made_with=direction)
    def product(a, b, sizes, splits, window, bias, biased, out):
        shared = cuda.shared.array(WORDS, np.float32, ALIGNMENT)
        M, J, K = sizes
        m0, j0 = BM * cuda.blockIdx.y, BN * cuda.blockIdx.x
        group, part = cuda.blockIdx.z // splits, cuda.blockIdx.z % splits
        # the place of this thread's lane in its warp: 8 x 4
        warp, l, r = cuda.threadIdx.x // 32, cuda.threadIdx.x % 32 // 4, cuda.threadIdx.x % 4
        a0, b0 = l * A_STRIDE + 2 * r, A_WORDS + 16 * warp + 2 * l + 2 * r * B_STRIDE
        sums = zeros()
        for k0 in range(part * BK, K, splits * BK):
            load(shared, a, b, group, m0, j0, k0, sizes, window)
            cuda.syncthreads()
            sums = multiply(sums, shared, np.int32(a0), np.int32(b0))
            cuda.syncthreads()
        put(sums, shared, np.int32(2 * r * (BN + 4) + 16 * warp + 2 * l))
        cuda.syncthreads()
        for pass_ in range(BM * BN // THREADS):
            e = cuda.threadIdx.x + pass_ * THREADS
            m, j = m0 + e // BN, j0 + e % BN
            if m < M and j < J:
                o, total = group * M + m, shared[e // BN * (BN + 4) + e % BN]
                out[part, o, j] = total + bias[o] if biased and part == 0 else total

    return product


directions = Directions(product, (BM, BN, BK, THREADS))
forward, backward_input, backward_weight = (
    directions.forward,
    directions.backward_input,
    directions.backward_weight,
)
