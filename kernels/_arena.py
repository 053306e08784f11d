"""Arena: the memory of a tape. What a step no longer needs is given to what it needs next.

While a step is recorded (kernels/_tape.py), its arrays are taken from an arena. An array that nobody holds any more gives its memory back, and
the next one may get it. Playing the tape makes the same calls in the same order, so the same plan of memory serves every step.
"""
import ctypes
import threading
import weakref
from contextlib import contextmanager

import numpy as np

LINE, SLAB = 64, 2 ** 25                                    # bytes of a cache line, and of memory that is asked for at least

_local = threading.local()                                  # of each Python thread: .arena, where one is in use


@contextmanager
def taking_from(arena):
    """Within this context the arrays that this thread makes with aligned_empty lie in `arena`."""
    _local.arena = arena
    try:
        yield
    finally:
        _local.arena = None


def arena_in_use():
    return getattr(_local, "arena", None)


class Arena:
    """Memory that is taken in pieces. `lock` is for those who play tapes in it: one at a time."""

    def __init__(self):
        self.lock, self._slabs, self._free = threading.RLock(), [], {}           # _free: address -> bytes, of pieces that nobody has

    def take(self, size):
        """An array of `size` bytes, on a cache line of its own. With the last view of it the memory comes back."""
        size = -(-size // LINE) * LINE
        with self.lock:
            fitting = [(bytes, address) for address, bytes in self._free.items() if bytes >= size]
            bytes, address = min(fitting) if fitting else self._new_slab(size)   # the tightest
            del self._free[address]
            if bytes > size:
                self._free[address + size] = bytes - size
        owner = (ctypes.c_ubyte * size).from_address(address)
        weakref.finalize(owner, self._give_back, address, size).atexit = False
        return np.frombuffer(owner, np.uint8)

    def _new_slab(self, size):
        slab = np.empty(max(size, SLAB) + LINE, np.uint8)
        self._slabs.append(slab)
        address = -(-slab.ctypes.data // LINE) * LINE
        self._free[address] = max(size, SLAB)
        return self._free[address], address

    def _give_back(self, address, size):
        with self.lock:
            self._free[address] = size
            for first in sorted(self._free):                # join neighbours
                while (after := first + self._free.get(first, 0)) != first and after in self._free:
                    self._free[first] += self._free.pop(after)

    def owns(self, array):
        """Whether `array` lies in this arena."""
        return any(slab.ctypes.data <= array.ctypes.data < slab.ctypes.data + slab.nbytes for slab in self._slabs)

    @property
    def nbytes(self):
        return sum(slab.nbytes for slab in self._slabs)
