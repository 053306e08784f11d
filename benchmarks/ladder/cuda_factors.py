"""Where the factors of cuda_matrix.py lie, and how a block of threads copies a step of them into shared
memory.

The tap (c, u, v) of a window, and its place (i, j, n) in the maps, tell which number of x it is. Divisions
find them, at each number anew: about 90 instructions for one.
"""

from ...kernels._cuda.launch import cuda, device, divided


@device
def row_at(a, group, k, m, sizes, window):
    """A of forward and backward_weight: weight as (O, C KH KW), dy as (O, OH OW N)."""
    return a[group * sizes[0] + m, k]


@device
def weight_at(a, group, k, m, sizes, window):
    """A of backward_input."""
    taps = window[1] * window[2]
    o, tap = divided(k, taps)
    return a[group * (sizes[2] // taps) + o, m * taps + tap]


@device
def begin(place, x, window):
    """(h, w, n): where the window at place (i, j) of image n begins in the map, before it where negative."""
    _, _, _, OW, SH, SW, PH, PW = window
    pixel, n = divided(place, x.shape[3])
    i, j = divided(pixel, OW)
    return i * SH - PH, j * SW - PW, n


@device
def x_at(x, group, tap, h, w, n, window):
    """The number that tap (c, u, v) of the window that begins at (h, w) sees in image n."""
    (_, H, W, _), (C, KH, KW) = x.shape, window[:3]
    c, uv = divided(tap, KH * KW)
    u, v = divided(uv, KW)
    inside = 0 <= h + u < H and 0 <= w + v < W
    return x[group * C + c, h + u, w + v, n] if inside else x.dtype.type(0)


@device
def pixel(place, dy, window):
    """(h + PH, w + PW, n): pixel (h, w) of image n, counted from the first one of the padding."""
    _, _, _, W, _, _, PH, PW = window
    row, n = divided(place, dy.shape[3])
    h, w = divided(row, W)
    return h + PH, w + PW, n


@device
def dy_at(dy, group, tap, h, w, n, window):
    """dy where the window saw pixel (h, w) of the padded map through tap (o, u, v)."""
    (_, OH, OW, _), (O, KH, KW, _, SH, SW, _, _) = dy.shape, window
    o, uv = divided(tap, KH * KW)
    u, v = divided(uv, KW)
    (i, above), (j, beside) = divided(max(h - u, 0), SH), divided(max(w - v, 0), SW)
    seen = h >= u and w >= v and above == 0 and beside == 0 and i < OH and j < OW
    return dy[group * O + o, i, j, n] if seen else dy.dtype.type(0)


# direction -> A, the two functions of B, and whether its places are k, and its taps j
FACTORS = {
    "forward": (row_at, begin, x_at, False),
    "backward_input": (weight_at, pixel, dy_at, False),
    "backward_weight": (row_at, begin, x_at, True),
}


def loader(direction, BM, BN, BK, THREADS, A_ROW, B_ROW):
    """load(shared, ...): the threads of a block copy step k0 of their tile into shared memory, with 0 beyond
    the edges: A[k, m] to shared[m A_ROW + k], B[k, j] behind it, to shared[BM A_ROW + k B_ROW + j].

    Neighbouring threads copy neighbours in memory. Of B a thread has one place and several taps.
    """
    a_at, found, b_at, ALONG_K = FACTORS[direction]
    ACROSS, DEEP = (BK, BN) if ALONG_K else (BN, BK)  # places and taps of a step

    @device
    def load(shared, a, b, group, m0, j0, k0, sizes, window):
        (M, J, K), zero = sizes, a.dtype.type(0)
        for turn in range(BM * BK // THREADS):
            e = cuda.threadIdx.x + turn * THREADS
            m, k = e // BK, e % BK
            inside = m0 + m < M and k0 + k < K
            shared[m * A_ROW + k] = a_at(a, group, k0 + k, m0 + m, sizes, window) if inside else zero
        place0, tap0, places, taps = (k0, j0, K, J) if ALONG_K else (j0, k0, J, K)
        p, first = cuda.threadIdx.x % ACROSS, cuda.threadIdx.x // ACROSS
        h, w, n = found(place0 + p, b, window)
        for turn in range(ACROSS * DEEP // THREADS):
            t = first + turn * (THREADS // ACROSS)
            inside = place0 + p < places and tap0 + t < taps
            word = p * B_ROW + t if ALONG_K else t * B_ROW + p
            shared[BM * A_ROW + word] = b_at(b, group, tap0 + t, h, w, n, window) if inside else zero

    return load
