"""Sums over many numbers on the GPU: a block of threads adds them up together, always in the same order, so
that two runs give the same bits.

Every thread first adds up numbers of its own, and then the threads their sums, in a tree (BLOCK = 8, width =
1):

    thread      0   1   2   3   4   5   6   7
    step 4      0+4 1+5 2+6 3+7
    step 2      0+4 1+5
                +2+6 +3+7
    step 1      all

No atomic additions: they would add in the order in which threads happen to arrive. Errors grow like the
logarithm of how many numbers there are, and with what one thread adds. Sums of float32 are float32: a GPU
computes float64 many times more slowly.
"""

from . import memory
from .launch import device, kernel
from .package import SIMULATOR, cuda

BLOCK = 4 if SIMULATOR else 256  # threads of a block that adds: a power of two
BLOCKS = (
    8 if SIMULATOR else 1024
)  # of them keep any GPU busy: a constant, since the order of a sum must not depend on the GPU
WORTH = 16 * BLOCK  # numbers that are worth a block


def parts(rows, columns):
    """How many blocks share the sum of one row."""
    return max(1, min(BLOCKS // rows, columns // WORTH))


def row_sums(matrix, out=None):
    """The sum of every row of a contiguous matrix (M, K), (M,): dbias, where matrix is dy as (O, positions
    and images).

    A block adds up a row; where rows are few and long, several blocks a part of it each, and then one more
    their sums.
    """
    M, K = matrix.shape
    out = memory.empty((M,), matrix.dtype) if out is None else out
    P = parts(M, K)
    if P > 1:
        of_parts = memory.empty((M, P), matrix.dtype)
        _sum_rows[M * P, BLOCK](matrix, of_parts)
        matrix = of_parts
    _sum_rows[M, BLOCK](matrix, out.reshape(M, 1))
    return out


@kernel
def _sum_rows(matrix, sums):
    """sums[m, p]: the p-th part of row m, by block m P + p."""
    K, P = matrix.shape[1], sums.shape[1]
    m, p = cuda.blockIdx.x // P, cuda.blockIdx.x % P
    length = (K + P - 1) // P
    total = matrix.dtype.type(0)
    for k in range(p * length + cuda.threadIdx.x, min(K, (p + 1) * length), BLOCK):
        total += matrix[m, k]
    total = tree_sum(total, 1, matrix)
    if cuda.threadIdx.x == 0:
        sums[m, p] = total


@device
def tree_sum(value, width, like):
    """The sum of `value` over the threads t, t + width, t + 2 width, ... of a block of BLOCK, for each of
    them; width is a power of two.

    All threads of the block have to call it. `like` is any array of the dtype of `value`.
    """
    shared = cuda.shared.array(BLOCK, like.dtype)
    t, step = cuda.threadIdx.x, BLOCK // 2
    cuda.syncthreads()  # whoever still reads the result of the call before
    shared[t] = value
    while step >= width:
        cuda.syncthreads()
        if t < step:
            shared[t] += shared[t + step]
        step //= 2
    cuda.syncthreads()
    return shared[t % width]


@device
def tree_max(value, width, like):
    """The largest `value` in the same way; NaN may be passed over."""
    shared = cuda.shared.array(BLOCK, like.dtype)
    t, step = cuda.threadIdx.x, BLOCK // 2
    cuda.syncthreads()
    shared[t] = value
    while step >= width:
        cuda.syncthreads()
        if t < step and shared[t + step] > shared[t]:
            shared[t] = shared[t + step]
        step //= 2
    cuda.syncthreads()
    return shared[t % width]
