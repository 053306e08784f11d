"""Arena: the memory of a tape. What a step no longer needs is given to what it needs next.

While a step is recorded (kernels/_cpu/tape.py), its arrays are taken from an arena. An array that nobody
holds any more gives its memory back, and the next one may get it. Playing the tape makes the same calls in
the same order, so the same plan of memory serves every step.
"""

import ctypes
import threading
import weakref
from collections import deque
from contextlib import contextmanager

import numpy as np

LINE, SLAB = 64, 2**25  # bytes of a cache line, and of memory that is asked for at least

_local = threading.local()  # of each Python thread: .arena, where one is in use


@contextmanager
def taking_from(arena):
    """Within this context the arrays that this thread makes with aligned_empty lie in `arena`."""
    before, _local.arena = arena_in_use(), arena
    try:
        yield
    finally:
        _local.arena = before


def arena_in_use():
    return getattr(_local, "arena", None)


class Arena:
    """Memory that is taken in pieces. `lock` is for those who record or play tapes in it: one at a time.

    nbytes  of all that it has asked the system for
    """

    line = LINE

    def __init__(self):
        self.lock, self._slabs = threading.RLock(), []
        self._free, self._returned = (
            {},
            deque(),
        )  # pieces that nobody has: address -> bytes; and those that have just come back

    def take(self, size):
        """An array of `size` bytes, on a cache line of its own. With the last view of it the memory comes
        back.
        """
        address, size = self._piece(size)
        owner = (ctypes.c_ubyte * size).from_address(address)
        self._comes_back_with(owner, address, size)
        return np.frombuffer(owner, np.uint8)

    def _piece(self, size):
        """(address, size) of memory that is taken from now on, `size` rounded up to whole lines."""
        size = -(-size // self.line) * self.line
        with self.lock:
            self._collect()
            fitting = [(bytes, address) for address, bytes in self._free.items() if bytes >= size]
            bytes, address = min(fitting) if fitting else self._new_slab(size)  # the tightest
            del self._free[address]
            if bytes > size:
                self._free[address + size] = bytes - size
        return address, size

    def _comes_back_with(self, owner, address, size):
        # no more than noted: garbage may be collected at any moment, also in the middle of this
        weakref.finalize(owner, self._returned.append, (address, size)).atexit = False

    def _new_slab(self, size):
        slab, address = self._ask_for(max(size, SLAB))
        self._slabs.append(slab)
        self._free[address] = max(size, SLAB)
        return self._free[address], address

    def _ask_for(self, size):
        """New memory, and the address of the first line in it."""
        slab = np.empty(size + LINE, np.uint8)
        return slab, -(-slab.ctypes.data // LINE) * LINE

    def _collect(self):
        """What has come back is free again; neighbours become one piece."""
        while self._returned:
            address, size = self._returned.popleft()
            self._free[address] = size
        for first in sorted(self._free):
            while (after := first + self._free.get(first, 0)) != first and after in self._free:
                self._free[first] += self._free.pop(after)

    def owns(self, array):
        """Whether `array` lies in this arena."""
        return any(
            slab.ctypes.data <= array.ctypes.data < slab.ctypes.data + slab.nbytes for slab in self._slabs
        )

    @property
    def nbytes(self):
        return sum(slab.nbytes for slab in self._slabs)
