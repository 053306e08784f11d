"""CudaArena: the memory on the GPU of a captured step, planned like that of a tape (kernels/_arena.py)."""

import math

import numpy as np

from .._arena import Arena
from .launch import capture_in_progress
from .memory import address_of, allocate, array_at


class NoRoom(Exception):
    """A capture needs more memory than there is, and cannot ask for it: see CudaArena.grow."""

    def __init__(self, size):
        self.size = size


class CudaArena(Arena):
    """An Arena whose memory is on the GPU. What has come back can be taken again at once: all work on it is
    in one stream, in order.
    """

    line = 256  # bytes: what cudaMalloc aligns to, and more than any vector load needs

    def array(self, shape, dtype):
        """An array on the GPU. With the last view of it the memory comes back."""
        dtype = np.dtype(dtype)
        address, size = self._piece(max(math.prod(shape) * dtype.itemsize, 1))
        array, owner = array_at(address, shape, dtype)
        self._comes_back_with(owner, address, size)
        return array

    def grow(self, size):
        """Ask for `size` bytes more, which are free then."""
        with self.lock:
            self._new_slab(size)

    def _ask_for(self, size):
        if capture_in_progress():
            raise NoRoom(size)
        slab = allocate((size + self.line,), np.uint8)
        address = address_of(slab)
        return slab, -(-address // self.line) * self.line
