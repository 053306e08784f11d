"""The way of a batch to the GPU and of its result back, in as few calls of the driver as can be.

    cuMemcpyHtoDAsync                  one copy, beside the kernels: all arrays of a batch lie side by side
    cuEventRecord, cuStreamWaitEvent   the kernels wait until it has arrived
    cuGraphLaunch, three times         to where the step reads it; the step; the result comes back
    cuEventRecord                      what the processor waits for

Through numba-cuda, a copy of one array costs the processor 70 microseconds and a launch 18; one of these
calls costs one or two. All kernels of a LeNet-5 step together take less than ten of those copies.
"""

import math
import weakref

import numpy as np

from . import memory
from .driver_calls import answer, handle, number
from .graph import capturing
from .launch import capture_in_progress
from .native import transpose
from .package import SIMULATOR, driver
from .streams import copy_stream, pinned

LINE = 256  # bytes: where an array may begin


class Layout:
    """Arrays side by side in one piece of memory.

    shapes  [(shape, dtype), ...]        size  of all of it, in bytes        places  where each array begins
    """

    def __init__(self, shapes):
        self.shapes, self.places, self.size = [(shape, np.dtype(dtype)) for shape, dtype in shapes], [], 0
        for shape, dtype in self.shapes:
            self.places.append(self.size)
            self.size += -(-max(math.prod(shape) * dtype.itemsize, 1) // LINE) * LINE

    def pinned(self):
        """Return (address, arrays, owner) in memory that the GPU copies from and to by itself."""
        owner = pinned((self.size,), np.uint8)
        arrays = [
            owner[place : place + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
            for place, (shape, dtype) in zip(self.places, self.shapes)
        ]
        return owner.ctypes.data, arrays, owner

    def on_gpu(self):
        """Return (address, arrays, owner) in the memory of the GPU, which begins as zeros."""
        owner = memory.to_gpu(np.zeros(self.size, np.uint8))
        address = memory.address_of(owner)
        arrays = [
            memory.array_at(address + place, shape, dtype)[0]
            for place, (shape, dtype) in zip(self.places, self.shapes)
        ]
        return address, arrays, owner


def copy_back(here, there, size):
    """Copy bytes from address `there` on the GPU to address `here`, in the order of the launches; in a
    capture it becomes a part of the graph.
    """
    _enqueue(driver.cuMemcpyDtoHAsync, here, there, size)


def copy_over(to, origin, size):
    """Copy bytes from one address on the GPU to another, likewise."""
    _enqueue(driver.cuMemcpyDtoDAsync, to, origin, size)


def _enqueue(copy, to, origin, size):
    graph = capture_in_progress()
    if SIMULATOR and graph is not None:
        graph.append_call(lambda: answer(copy(to, origin, size, 0)))
    else:
        answer(copy(to, origin, size, handle()))


class Event:
    """A mark in a stream: record() puts it behind all launches so far, wait() waits until they are done."""

    def __init__(self):
        # 2: without timing, which is cheaper
        self.handle = answer(driver.cuEventCreate(2))
        weakref.finalize(self, driver.cuEventDestroy, self.handle).atexit = False

    def record(self, stream=None):
        answer(driver.cuEventRecord(self.handle, handle() if stream is None else stream))

    def wait(self):
        answer(driver.cuEventSynchronize(self.handle))


class Transit:
    """One batch on its way: memory on both sides, the graphs of its entry and its return.

    into     Layout of what goes to the GPU: x first, with all of an image side by side, then the rest
    x, rest  where the step reads them on the GPU: an array (..., N), images last; the address of the rest
    back     Layout of what comes back, from the address `result`
    here     NumPy arrays to fill between free() and start()
    found    NumPy arrays of what has come back, right after wait()
    """

    def __init__(self, into, x, rest, back, result, step):
        self._to, (images, *_), self._owner_there = into.on_gpu()
        self._from, self.here, self._owner_here = into.pinned()
        found, self.found, self._owner_found = back.pinned()
        self._size, self.step, self._copies = into.size, step, number(copy_stream())
        self._arrived, self._done, self._whole = Event(), Event(), True
        N = images.shape[0]
        with capturing() as self.enter:
            if N == 1 or images.size == N:  # one image, or one number of each: the same order either way
                copy_over(memory.address_of(x), self._to, images.nbytes)
            else:
                transpose(images, x.reshape(images.size // N, N))
            if len(into.places) > 1:
                first = into.places[1]
                copy_over(rest, self._to + first, into.size - first)
        with capturing() as self.leave:
            copy_back(found, result, back.size)

    def start(self):
        """Send what is `here`, and launch all three graphs behind its arrival."""
        copies, kernels, self._whole = self._copies, handle(), False
        answer(driver.cuMemcpyHtoDAsync(self._to, self._from, self._size, copies))
        self._arrived.record(copies)
        answer(driver.cuStreamWaitEvent(kernels, self._arrived.handle, 0))
        self.enter.launch()
        self.step()
        self.leave.launch()
        self._done.record(kernels)
        self._whole = True

    def free(self):
        """Make sure that nothing reads what is `here`, also where Ctrl-C came in the middle of start(), so
        that nobody has a mark to wait for.
        """
        if not self._whole:
            for stream in (self._copies, handle()):
                answer(driver.cuStreamSynchronize(stream))

    def wait(self):
        """Wait until the result has come back, and with it all that start() has launched."""
        self._done.wait()
