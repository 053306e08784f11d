"""The intrinsics of kernels/_cuda_ptx.py as NumPy functions of the same contract, for numba-cuda's simulator."""
import threading
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=None)
def copier(width):
    def copy(shared, place, array, index, inside):
        for i in range(width):
            shared[place + i] = array[index + i] if inside else 0
    return copy


def wait_for_copies():
    """They have arrived."""


def at(array, index):
    assert 0 <= index < array.size
    return array[index]


def thread():
    return np.int32(threading.current_thread().threadIdx.x)


def block():
    return np.int32(threading.current_thread().blockIdx.x)


@lru_cache(maxsize=None)
def accumulators(count):
    return lambda: np.zeros(count, np.float32)


@lru_cache(maxsize=None)
def multiply_add(a, b, depth):
    A, B = (np.array([[fragment.place(i, k) for k in range(depth)] for i in range(fragment.count)]) for fragment in (a, b))

    def step(sums, shared, a0, b0):
        return sums + (shared[a0 + A] @ shared[b0 + B].T).reshape(-1)
    return step


@lru_cache(maxsize=None)
def putter(a, b, stride, part, parts):
    rows, columns = np.arange(a.count).reshape(parts, -1)[part], np.arange(b.count)
    words = np.array([[(a.element(i) - a.element(rows[0])) * stride + b.element(j) for j in columns] for i in rows])

    def put(sums, shared, place):
        shared[place + words] = sums.reshape(a.count, b.count)[rows]
    return put
