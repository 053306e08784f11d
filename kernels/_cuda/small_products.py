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

from functools import cache

import numpy as np

from .launch import AT_ONCE, kernel
from .package import SIMULATOR, cuda
from .ptx import at, at_shared, near, put
from .reduce import BLOCK, lane_sums

near_one = near(1)
int32 = np.int32  # numba widens what two int32 give to int64; this makes it one register again
LANES = 4 if SIMULATOR else 32  # threads of a warp
ROWS = 2 if SIMULATOR else 4  # rows of a thread; ROWS x ROWS is half of LANES
FEW = 2**9 if SIMULATOR else 2**24  # products, at most: 12 million are C5's for 256 images
LOADS = 2 if SIMULATOR else 8  # of either factor that a lane of times_vector has on the way
SUMS, WARPS = ROWS * ROWS, BLOCK // LANES
LINE = LANES + 1  # one more than a line needs, so that the numbers of a column lie in different banks
SHARED = WARPS * SUMS * LINE
HALVES = WARPS, 2, SUMS
VECTOR_SHARED = WARPS * LINE


def fits(M, J, K):
    """Return True where a dense layer (M, K) of J columns is computed here, and not in tiles."""
    return 0 < M * J * K <= FEW and min(M, K) >= ROWS and J >= LANES


def times(a, across, b, out, bias=None, relu=False, mask=None):
    """out[m, j] = sum_k A[m, k] b[k, j], then + bias[m], relu, 0 where mask <= 0; b is (K, J), out (M, J),
    and mask an array like out.

    across  whether a is A, with k contiguous in memory; else a is A transposed
    """
    (K, J), M = b.shape, len(out)
    _times(across)[(-(-J // LANES), -(-M // ROWS)), BLOCK](
        _flat(a),
        _flat(b),
        M,
        J,
        K,
        _flat(out) if bias is None else bias,
        bias is not None,
        relu,
        _flat(out if mask is None else mask),
        mask is not None,
        _flat(out),
    )


@cache
def _times(ACROSS):
    add = lane_sums(ROWS, LANES)

    @kernel(made_with="k contiguous" if ACROSS else "m contiguous", launch_bounds=(BLOCK, 2))
    def times(a, b, M, J, K, bias, biased, relu, z, masked, out):
        """Warp w adds k = 4 w, ..., 4 w + 3, then those 4 WARPS further on, ... where AT_ONCE is 4."""
        t, zero = cuda.threadIdx.x, out.dtype.type(0)
        # the last rows and columns are computed twice where they do not fill a block: to the same bits
        m0 = min(cuda.blockIdx.y * ROWS, M - ROWS)
        j = min(cuda.blockIdx.x * LANES + t % LANES, J - 1)
        sums = cuda.local.array(ROWS, out.dtype)
        numbers = cuda.local.array(AT_ONCE, out.dtype)
        factors = cuda.local.array((AT_ONCE, ROWS), out.dtype)
        for m in range(ROWS):
            sums[m] = zero
        k = t // LANES * AT_ONCE
        while k + AT_ONCE <= K:
            for n in range(AT_ONCE):
                numbers[n] = at(b, int32((k + n) * J + j))
                for m in range(ROWS):
                    if ACROSS:
                        factors[n, m] = near_one(a, (m0 + m) * K + k, int32(n))[0]
                    else:
                        factors[n, m] = near_one(a, (k + n) * M + m0, int32(m))[0]
            for n in range(AT_ONCE):
                for m in range(ROWS):
                    sums[m] += factors[n, m] * numbers[n]
            k += AT_ONCE * WARPS
        for last in range(k, K):
            for m in range(ROWS):
                factor = at(a, (m0 + m) * K + last if ACROSS else last * M + m0 + m)
                sums[m] += factor * at(b, last * J + j)
        add(sums, out)
        if t < LANES:
            for m in range(ROWS):
                e, value = (m0 + m) * J + j, sums[m]
                if biased:
                    value += bias[m0 + m]
                if relu and value <= zero:
                    value = zero
                if masked and not at(z, e) > zero:
                    value = zero
                put(out, e, value)

    return times


def times_vector(a, b, out, bias=None, relu=False):
    """out[m] = sum_k a[m, k] b[k], then + bias[m], relu, for a (M, K): one image, for which time is that of
    reading a. A warp takes a row, and its lanes share the sum.
    """
    M, K = a.shape
    _times_vector[-(-M // WARPS), BLOCK](
        _flat(a), _flat(b), M, K, _flat(out) if bias is None else bias, bias is not None, relu, _flat(out)
    )


@kernel(launch_bounds=(BLOCK, 4))
def _times_vector(a, b, M, K, bias, biased, relu, out):
    shared = cuda.shared.array(VECTOR_SHARED, out.dtype)
    t, zero = cuda.threadIdx.x, out.dtype.type(0)
    warp, lane = t // LANES, t % LANES
    begin = min(cuda.blockIdx.x * WARPS + warp, M - 1) * K
    numbers = cuda.local.array(LOADS, out.dtype)
    factors = cuda.local.array(LOADS, out.dtype)
    total, k = zero, lane
    while k + (LOADS - 1) * LANES < K:
        for n in range(LOADS):
            factors[n] = near_one(a, begin + k, int32(n * LANES))[0]
            numbers[n] = near_one(b, k, int32(n * LANES))[0]
        for n in range(LOADS):
            total += factors[n] * numbers[n]
        k += LOADS * LANES
    for last in range(k, K, LANES):
        total += at(a, begin + last) * at(b, last)
    shared[warp * LINE + lane] = total
    cuda.syncthreads()
    m = cuda.blockIdx.x * WARPS + t
    if t < WARPS and m < M:
        total = bias[m] if biased else zero
        for n in range(LANES):
            total += at_shared(shared, int32(t * LINE + n))
        if relu and total <= zero:
            total = zero
        put(out, m, total)


def times_transposed(a, b, out):
    """out[m, i] = sum_j a[m, j] b[i, j] for a (M, J), b (I, J), out (M, I)."""
    (M, J), I = a.shape, len(b)
    _times_transposed[(-(-I // (WARPS * ROWS)), -(-M // ROWS)), BLOCK](
        _flat(a), _flat(b), M, I, J, _flat(out)
    )


@kernel(launch_bounds=(BLOCK, 2))
def _times_transposed(a, b, M, I, J, out):
    shared = cuda.shared.array(SHARED, out.dtype)
    halves = cuda.shared.array(HALVES, out.dtype)
    warp, lane, zero = cuda.threadIdx.x // LANES, cuda.threadIdx.x % LANES, out.dtype.type(0)
    line = warp * SUMS * LINE
    m0 = min(cuda.blockIdx.y * ROWS, M - ROWS)
    i0 = min((cuda.blockIdx.x * WARPS + warp) * ROWS, I - ROWS)
    sums = cuda.local.array((ROWS, ROWS), out.dtype)
    A, B = cuda.local.array(ROWS, out.dtype), cuda.local.array(ROWS, out.dtype)
    for m in range(ROWS):
        for i in range(ROWS):
            sums[m, i] = zero
    for j in range(lane, J, LANES):
        for r in range(ROWS):
            A[r] = at(a, int32((m0 + r) * J + j))
            B[r] = at(b, int32((i0 + r) * J + j))
        for m in range(ROWS):
            for i in range(ROWS):
                sums[m, i] += A[m] * B[i]
    for m in range(ROWS):
        for i in range(ROWS):
            shared[line + (m * ROWS + i) * LINE + lane] = sums[m, i]
    cuda.syncthreads()
    for item in range(lane, 2 * SUMS, LANES):
        v, half = item // 2, item % 2
        total = zero
        for n in range(LANES // 2):
            total += at_shared(shared, int32(line + v * LINE + half * (LANES // 2) + n))
        halves[warp, half, v] = total
    cuda.syncthreads()
    for v in range(lane, SUMS, LANES):
        put(out, (m0 + v // ROWS) * I + i0 + v % ROWS, halves[warp, 0, v] + halves[warp, 1, v])


def _flat(array):
    return array.reshape(array.size)
