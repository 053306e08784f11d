"""The native form of activations on the CPU: images innermost.

A batch (N, C, H, W) lies in memory as (blocks, C, H, W, L): L images side by side, as many as fit in one vector register.

    image         0    1    2  ...  L-1 |  L   L+1 ...
    block         0    0    0        0  |  1    1
    lane          0    1    2       L-1 |  0    1

Whatever a layer does at one pixel of one image, it does at that pixel of the L images of a block at once, so the innermost loop
of every kernel runs over the L lanes: contiguous, without edges, whatever the size of the map. Features (N, F) are (blocks, F, L).

The last block may have unused lanes. They are zero where an array enters, hold what the layers make of zeros afterwards, and
have dy = 0 on the way back, so no gradient of a parameter sees them.
"""  # noqa: E501

import math
import platform
from functools import cache

import llvmlite.binding as llvm
import numpy as np

from .._arena import LINE, arena_in_use
from .._numpy_form import NumPyForm


@cache
def vector_bytes():
    """Bytes in one vector register of this machine: 64 (AVX-512), 32 (AVX2) or 16 (SSE, NEON)."""
    features = llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


def vector_registers():
    """How many vector registers there are: 32 with AVX-512 and on ARM, 16 with AVX2 and SSE."""
    return 16 if platform.machine().lower() in ("x86_64", "amd64") and vector_bytes() < 64 else 32


def lanes(dtype):
    """L, the number of images side by side: 16 for float32 and 8 for float64 with AVX-512."""
    return vector_bytes() // np.dtype(dtype).itemsize


def images_together(N, dtype):
    """L for a batch of N: as many images as a vector has lanes, or 1 where they would leave more than half of
    the vector empty.

    With L = 1 an array is plain (N, C, H, W) and the kernels put pixels, not images, side by side.
    """
    return lanes(dtype) if lanes(dtype) <= 2 * N else 1


def aligned_empty(shape, dtype, lasting=False):
    """np.empty that starts on a cache line: a load that straddles two cache lines costs two.

    lasting  whether Python writes into it: then it gets memory of its own, even where an arena is in use
             (kernels/_arena.py)
    """
    dtype, size, arena = np.dtype(dtype), math.prod(shape) * np.dtype(dtype).itemsize, arena_in_use()
    if arena is not None and not lasting:
        memory, first = arena.take(max(size, 1)), 0
    else:
        memory = np.empty(size + LINE, np.uint8)
        first = -memory.ctypes.data % LINE
    return memory[first : first + size].view(dtype).reshape(shape)


class Native(NumPyForm):
    """Activations in native form: `data` (blocks, ..., L), which stands for an array of the logical `shape`
    (N, ...).
    """

    device = "cpu"

    def __init__(self, data, shape):
        self.data, self.shape = data, tuple(shape)

    @classmethod
    def empty(cls, shape, dtype, L=None):
        """Room for an array of the logical `shape`, its contents undefined; L as in the array that it is made
        from, else as suits the batch.
        """
        L = L or images_together(shape[0], dtype)
        return cls(aligned_empty((-(-shape[0] // L), *shape[1:], L), dtype), shape)

    @classmethod
    def pack(cls, x):
        """Return a NumPy array (N, ...) in native form; the unused lanes of the last block are zero."""
        native, N = cls.empty(x.shape, x.dtype), len(x)
        L = native.data.shape[-1]
        full = N // L
        native.data[:full] = np.moveaxis(x[: full * L].reshape(full, L, *x.shape[1:]), 1, -1)
        if full < len(native.data):
            native.data[full] = 0
            native.data[full, ..., : N - full * L] = np.moveaxis(x[full * L :], 0, -1)
        return native

    def unpack(self):
        """Return a copy as a NumPy array (N, ...)."""
        images = np.moveaxis(self.data, -1, 1)
        return np.ascontiguousarray(images.reshape(-1, *self.shape[1:])[: self.shape[0]])

    def like(self):
        """Room for an array of the same shape and dtype."""
        return Native(aligned_empty(self.data.shape, self.dtype), self.shape)

    @property
    def dtype(self):
        return self.data.dtype

    def reshape(self, shape):
        """The same activations under another logical `shape` of as many elements an image: no data move."""
        return Native(self.data.reshape(len(self.data), *shape[1:], self.data.shape[-1]), shape)

    def positions(self):
        """The data as (blocks, C, positions, L): all axes behind the second as one; one position where there
        are features only.
        """
        return self.data.reshape(*self.data.shape[:2], -1, self.data.shape[-1])

    def part(self, first, last):
        """Blocks first to last - 1 as a Native of their own: a view, so that threads can take a batch in
        parts.
        """
        L = self.data.shape[-1]
        return Native(self.data[first:last], (min(last * L, self.shape[0]) - first * L, *self.shape[1:]))

    def __repr__(self):
        return f"Native(shape={self.shape}, dtype={self.dtype}, lanes={self.data.shape[-1]})"
