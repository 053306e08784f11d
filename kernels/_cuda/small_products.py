"""Matrix products of few numbers: dense layers of LeNet-5, for which the tiles of kernels/_cuda/tiles.py are too
large. Either product is a sum over k, and threads share it, so that many of them wait for memory at once.

times(a, b)             out[m, j] = sum_k A[m, k] B[k, j]       forward and backward_input: k is a feature
times_transposed(a, b)  out[m, i] = sum_j A[m, j] B[i, j]       backward_weight: j is an image, and contiguous

times: a block takes LANES columns j and ROWS rows m. Threads side by side take columns side by side; BLOCK //
LANES threads share a sum. Each number of B that a thread loads serves ROWS products.

times_transposed: a warp takes ROWS x ROWS sums, and its lanes share them: every number that a lane loads
serves ROWS products. Then they turn their sums over through shared memory:

    lane          0     1     2     ...  LANES - 1          lane 2 v      adds the first half of row v,
    sum 0         .     .     .          .                  lane 2 v + 1  the second half,
    sum 1         .     .     .          .                  and lane v the two
"""  # noqa: E501

from .launch import AT_ONCE, kernel
from .package import SIMULATOR, cuda
from .ptx import at, put
from .reduce import BLOCK, tree_sums

LANES = 4 if SIMULATOR else 32  # threads of a warp
ROWS = 2 if SIMULATOR else 4  # rows of a thread; ROWS x ROWS is half of LANES
FEW = 2**9 if SIMULATOR else 2**24  # products, at most: 12 million are C5's for 256 images
SUMS, WARPS = ROWS * ROWS, BLOCK // LANES


def fits(M, J, K):
    """Whether a dense layer (M, K) of J columns is computed here, and not in tiles."""
    return 0 < M * J * K <= FEW and J >= LANES


def times(a, row, column, b, out, bias=None, relu=False, mask=None):
    """out[m, j] = sum_k a[m row + k column] b[k, j], then + bias[m], relu, 0 where mask <= 0; a is flat, b is
    (K, J), and mask is an array like out.
    """
    (K, J), M = b.shape, len(out)
    _times[(-(-J // LANES), -(-M // ROWS)), BLOCK](
        a,
        row,
        column,
        _flat(b),
        M,
        J,
        K,
        a if bias is None else bias,
        bias is not None,
        relu,
        _flat(out if mask is None else mask),
        mask is not None,
        _flat(out),
    )


_add = tree_sums(ROWS, LANES)


@kernel(launch_bounds=(BLOCK, 2))
def _times(a, row, column, b, M, J, K, bias, biased, relu, z, masked, out):
    t, zero = cuda.threadIdx.x, out.dtype.type(0)
    j, m0 = cuda.blockIdx.x * LANES + t % LANES, cuda.blockIdx.y * ROWS
    near = min(j, J - 1)  # columns and rows that do not exist are computed like the last
    sums = cuda.local.array(ROWS, out.dtype)
    numbers = cuda.local.array(AT_ONCE, out.dtype)
    factors = cuda.local.array((AT_ONCE, ROWS), out.dtype)
    for m in range(ROWS):
        sums[m] = zero
    for first in range(t // LANES, K, AT_ONCE * WARPS):
        for n in range(AT_ONCE):
            k = min(first + n * WARPS, K - 1)
            numbers[n] = at(b, k * J + near)
            for m in range(ROWS):
                factors[n, m] = at(a, min(m0 + m, M - 1) * row + k * column)
        for n in range(AT_ONCE):
            if first + n * WARPS < K:
                for m in range(ROWS):
                    sums[m] += factors[n, m] * numbers[n]
    _add(sums, out)
    if t < LANES and j < J:
        for m in range(ROWS):
            if m0 + m < M:
                e, value = (m0 + m) * J + j, sums[m]
                if biased:
                    value += bias[m0 + m]
                if relu and value <= zero:
                    value = zero
                if masked and not at(z, e) > zero:
                    value = zero
                put(out, e, value)


def times_transposed(a, b, out):
    """out[m, i] = sum_j a[m, j] b[i, j] for a (M, J), b (I, J), out (M, I)."""
    (M, J), I = a.shape, len(b)
    _times_transposed[(-(-I // (WARPS * ROWS)), -(-M // ROWS)), BLOCK](
        _flat(a), _flat(b), M, I, J, _flat(out)
    )


SHARED = WARPS, SUMS, LANES + 1  # one more, so that the numbers of a column lie in different banks
HALVES = WARPS, 2, SUMS


@kernel(launch_bounds=(BLOCK, 2))
def _times_transposed(a, b, M, I, J, out):
    shared = cuda.shared.array(SHARED, out.dtype)
    halves = cuda.shared.array(HALVES, out.dtype)
    warp, lane, zero = cuda.threadIdx.x // LANES, cuda.threadIdx.x % LANES, out.dtype.type(0)
    m0, i0 = cuda.blockIdx.y * ROWS, (cuda.blockIdx.x * WARPS + warp) * ROWS
    sums = cuda.local.array((ROWS, ROWS), out.dtype)
    A, B = cuda.local.array(ROWS, out.dtype), cuda.local.array(ROWS, out.dtype)
    for m in range(ROWS):
        for i in range(ROWS):
            sums[m, i] = zero
    for j in range(lane, J, LANES):
        for r in range(ROWS):
            A[r], B[r] = at(a, min(m0 + r, M - 1) * J + j), at(b, min(i0 + r, I - 1) * J + j)
        for m in range(ROWS):
            for i in range(ROWS):
                sums[m, i] += A[m] * B[i]
    for m in range(ROWS):
        for i in range(ROWS):
            shared[warp, m * ROWS + i, lane] = sums[m, i]
    cuda.syncthreads()
    for item in range(lane, 2 * SUMS, LANES):
        v, half = item // 2, item % 2
        total = zero
        for n in range(LANES // 2):
            total += shared[warp, v, half * (LANES // 2) + n]
        halves[warp, half, v] = total
    cuda.syncthreads()
    for v in range(lane, SUMS, LANES):
        m, i = m0 + v // ROWS, i0 + v % ROWS
        if m < M and i < I:
            put(out, m * I + i, halves[warp, 0, v] + halves[warp, 1, v])


def _flat(array):
    return array.reshape(array.size)
