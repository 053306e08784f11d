"""The native form of activations on the GPU: images innermost.

A batch (N, C, H, W) lies in memory as (C, H, W, N): what one pixel of one map is in all images stands side by side. Threads side by side compute images
side by side, so that all 32 of a warp read neighbouring numbers (coalesced), at the edge of a map they all do the same, and a pixel is one address, whatever the
stride and padding. Features (N, F) are (F, N).
"""
from . import _cuda
from ._cuda import cuda, kernel


class CudaNative:
    """Activations in native form: `data` (..., N) on the GPU, which stands for an array of the logical `shape` (N, ...)."""

    def __init__(self, data, shape):
        self.data, self.shape = data, tuple(shape)

    @classmethod
    def empty(cls, shape, dtype):
        """Room for an array of the logical `shape`, its contents undefined."""
        return cls(_cuda.empty((*shape[1:], shape[0]), dtype), shape)

    def like(self):
        """Room for an array of the same shape and dtype."""
        return CudaNative.empty(self.shape, self.dtype)

    @property
    def dtype(self):
        return self.data.dtype

    def reshape(self, shape):
        """The same activations under another logical `shape` of as many elements an image: no data move."""
        return CudaNative(self.data.reshape(*shape[1:], shape[0]), shape)

    @property
    def flat(self):
        """All elements in the order of memory."""
        return self.data.reshape(self.data.size)

    def __repr__(self):
        return f"CudaNative(shape={self.shape}, dtype={self.dtype})"


@kernel
def images_last(x, y):
    """y[e, n] = x[n, e]"""
    E, N = y.shape
    for place in range(cuda.grid(1), E * N, cuda.gridsize(1)):
        e, n = place // N, place % N
        y[e, n] = x[n, e]


@kernel
def images_first(x, y):
    """y[n, e] = x[e, n]"""
    N, E = y.shape
    for place in range(cuda.grid(1), E * N, cuda.gridsize(1)):
        n, e = place // E, place % E
        y[n, e] = x[e, n]


@kernel
def cast(x, y):
    """y[e] = x[e], in the dtype of y"""
    for e in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[e] = x[e]


def pack(x):
    """A NumPy array (N, ...) as CudaNative."""
    native = CudaNative.empty(x.shape, x.dtype)
    N = x.shape[0]
    images_last[x.size](_cuda.to_gpu(x.reshape(N, -1)), native.data.reshape(x.size // N, N))
    return native


def unpack(native):
    """A CudaNative as a NumPy array (N, ...)."""
    N, size = native.shape[0], native.data.size
    y = _cuda.empty((N, size // N), native.dtype)
    images_first[size](native.data.reshape(size // N, N), y)
    return _cuda.to_host(y).reshape(native.shape)


def converted(array, dtype):
    """An array on the GPU in another dtype: itself where it has that already."""
    if array.dtype == dtype:
        return array
    other = _cuda.empty(array.shape, dtype)
    cast[array.size](array.reshape(array.size), other.reshape(array.size))
    return other
