"""The native form of activations on the GPU: images innermost.

A batch (N, C, H, W) lies in memory as (C, H, W, N): what one pixel of one map is in all images stands side by
side. Threads side by side compute images side by side, so that all 32 of a warp read neighbouring numbers
(coalesced), at the edge of a map they all do the same, and a pixel is one address, whatever the stride and
padding. Features (N, F) are (F, N).
"""

from .._numpy_form import NumPyForm
from . import memory
from .launch import kernel, row_blocks
from .package import SIMULATOR, cuda


class CudaNative(NumPyForm):
    """Activations in native form: `data` (..., N) on the GPU, which stands for an array of the logical
    `shape` (N, ...).
    """

    device = "cuda"

    def __init__(self, data, shape):
        self.data, self.shape = data, tuple(shape)

    @classmethod
    def empty(cls, shape, dtype):
        """Room for an array of the logical `shape`, its contents undefined."""
        return cls(memory.empty((*shape[1:], shape[0]), dtype), shape)

    @classmethod
    def pack(cls, x):
        """Return a NumPy array (N, ...) in native form."""
        native, N = cls.empty(x.shape, x.dtype), x.shape[0]
        transpose(memory.to_gpu(x.reshape(N, -1)), native.data.reshape(x.size // N, N))
        return native

    def unpack(self):
        """Return a copy as a NumPy array (N, ...)."""
        N, size = self.shape[0], self.data.size
        y = memory.empty((N, size // N), self.dtype)
        transpose(self.data.reshape(size // N, N), y)
        return memory.to_host(y).reshape(self.shape)

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

    @property
    def rows(self):
        """(C, H, W N): each row of pixels of each map, in all images. e = w N + n is pixel w in image n, so
        that its neighbour w + 1 is e + N.
        """
        N, C, H, W = self.shape
        return self.data.reshape(C, H, W * N)

    def __repr__(self):
        return f"CudaNative(shape={self.shape}, dtype={self.dtype})"


def by_rows(y):
    """kernel[by_rows(y)]: blocks of threads for each of the y.rows of pixels: blockIdx.z is the map,
    blockIdx.y the row of pixels.
    """
    C, H, length = y.rows.shape
    return row_blocks(length, H, C)


TILE, LINES = (
    (8, 2) if SIMULATOR else (32, 8)
)  # a block turns a tile of 32 x 32 numbers over with 32 x 8 threads
SHARED = TILE, TILE + 1  # one column more, so that the numbers of a column lie in different banks of memory


def transpose(x, y):
    """y[b, a] = x[a, b]: what turns images first, (N, E), into images last, (E, N), and back. The only change
    of layout, at the door.
    """
    A, B = x.shape
    long, short = (A, B) if A > B else (B, A)  # a grid is at most 65535 high
    _transpose[(-(-long // TILE), -(-short // TILE)), (TILE, LINES)](x, A > B, y)


@kernel
def _transpose(x, tall, y):
    """Through shared memory, so that both reading and writing are along rows."""
    A, B = x.shape
    tile = cuda.shared.array(SHARED, x.dtype)
    across, down = TILE * cuda.blockIdx.x, TILE * cuda.blockIdx.y
    top, left = (across, down) if tall else (down, across)
    t = cuda.threadIdx.x
    for line in range(cuda.threadIdx.y, TILE, LINES):
        if top + line < A and left + t < B:
            tile[line, t] = x[top + line, left + t]
    cuda.syncthreads()
    for line in range(cuda.threadIdx.y, TILE, LINES):
        if left + line < B and top + t < A:
            y[left + line, top + t] = tile[t, line]


@kernel
def cast(x, y):
    """y[e] = x[e], in the dtype of y"""
    for e in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[e] = x[e]


def converted(array, dtype):
    """An array on the GPU in another dtype: itself where it has that already."""
    if array.dtype == dtype:
        return array
    other = memory.empty(array.shape, dtype)
    cast[array.size](array.reshape(array.size), other.reshape(array.size))
    return other
