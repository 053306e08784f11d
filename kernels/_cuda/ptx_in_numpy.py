"""The intrinsics of kernels/_cuda/ptx.py as NumPy functions of the same contract, for numba-cuda's
simulator.
"""

import threading
from functools import cache

import numpy as np


@cache
def copier(width):
    def copy(shared, place, array, index, inside):
        for i in range(width):
            shared[place + i] = array[index + i] if inside else 0

    return copy


def end_of_copies():
    """They have arrived."""


def copies_but(newest):
    return end_of_copies


def at(array, index):
    assert 0 <= index < array.size
    return array[index]


at_shared = at


@cache
def near(width):
    def read(array, index, offset):
        assert (index + offset) % width == 0
        return tuple(at(array, index + offset + i) for i in range(width))

    return read


near_shared = near


@cache
def reader(count, apart):
    return lambda array, index: tuple(at(array, index + i * apart) for i in range(count))


def put(array, index, number):
    assert 0 <= index < array.size
    array[index] = number


put_shared = put


@cache
def put_near(width):
    def put_all(array, index, numbers):
        assert index % width == 0 and len(numbers) == width
        for i in range(width):
            put(array, index + i, numbers[i])

    return put_all


def product(a, b):
    return a * b


def thread():
    return np.int32(threading.current_thread().threadIdx.x)


def block():
    return np.int32(threading.current_thread().blockIdx.x)


@cache
def accumulators(count):
    return lambda: np.zeros(count, np.float32)


@cache
def multiply_add(a, b, ks):
    A, B = (
        np.array([[fragment.place(i, k) for k in ks] for i in range(fragment.count)], int)
        for fragment in (a, b)
    )

    def step(sums, shared, a0, b0):
        return sums + (shared[a0 + A] @ shared[b0 + B].T).reshape(-1)

    return step


@cache
def multiply_add_tf32(a, b, ks):
    """Every thread shows what it holds to the others of its block, and then computes its sums from what the
    lanes of its warp hold, as the PTX manual says.
    """
    A = np.array(
        [[a.place(i, n) for n in (0, 1)] for i in range(0, a.count, 2)]
    )  # second factor: piece, k t or k t + 4
    B = np.array(
        [[b.place(j, n) for n in (0, 1)] for j in range(b.count)]
    )  # first factor: row g or g + 8 of a piece, k t or k t + 4

    def step(sums, shared, a0, b0):
        this, sums = threading.current_thread(), sums.reshape(a.count, b.count).copy()
        lane, warp = this.thread_id % 32, this.thread_id // 32 * 32
        shown = this._manager.__dict__.setdefault("shown", {})
        g, t = lane // 4, lane % 4
        for k in ks[::8]:
            shown[this.thread_id] = (
                _rounded(shared[a0 + A + a.place(0, k)]),
                _rounded(shared[b0 + B + b.place(0, k)]),
            )
            this.syncthreads()
            rows = np.array(
                [shown[warp + g * 4 + s][1] for s in range(4)]
            )  # k = s and s + 4 of row g and row g + 8
            for column in (0, 1):
                columns = np.array([shown[warp + (2 * t + column) * 4 + s][0] for s in range(4)])
                sums[column::2] += np.einsum("sjn,sin->ij", rows, columns)
            this.syncthreads()
        return sums.reshape(-1)

    return step


def _rounded(number):
    """Numbers to 10 bits behind the point, the nearer one, ties away from zero (cvt.rna.tf32)."""
    return ((number.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


@cache
def putter(a, b, stride, part, parts):
    rows, columns = np.arange(a.count).reshape(parts, -1)[part], np.arange(b.count)
    words = np.array(
        [[(a.element(i) - a.element(rows[0])) * stride + b.element(j) for j in columns] for i in rows]
    )

    def put(sums, shared, place):
        shared[place + words] = sums.reshape(a.count, b.count)[rows]

    return put
