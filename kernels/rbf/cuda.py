"""rbf in numba.cuda: one thread computes single numbers of single images, and a block of them each number of
dcenters.
"""

from .._cuda import memory
from .._cuda.launch import SIMULATOR, cuda, kernel, row_blocks
from .._cuda.native import CudaNative
from .._cuda.reduce import BLOCK, tree_sum
from . import output_shape

LANES = 2 if SIMULATOR else 32  # images of a block


def forward(x, centers):
    y = CudaNative.empty(output_shape(x.shape, centers.shape), x.dtype)
    K, length = _features(y).shape
    _forward[(-(-length // LANES), K), BLOCK](_features(x), centers, _features(y))
    return y


@kernel
def _forward(x, centers, y):
    """A block takes one k and LANES images; BLOCK // LANES threads share the features of an image."""
    k, t = cuda.blockIdx.y, cuda.threadIdx.x
    e, total = cuda.blockIdx.x * LANES + t % LANES, x.dtype.type(0)
    if e < y.shape[1]:
        for f in range(t // LANES, x.shape[0], BLOCK // LANES):
            difference = x[f, e] - centers[k, f]
            total += difference * difference
    total = tree_sum(total, LANES, x)
    if t < LANES and e < y.shape[1]:
        y[k, e] = total


def backward_input(dy, x, centers):
    dx = x.like()
    _backward_input[_launch(dx)](_features(dy), _features(x), centers, _features(dx))
    return dx


@kernel
def _backward_input(dy, x, centers, dx):
    f = cuda.blockIdx.y
    for e in range(cuda.grid(1), dx.shape[1], cuda.gridsize(1)):
        total = x.dtype.type(0)
        for k in range(dy.shape[0]):
            total += dy[k, e] * (x[f, e] - centers[k, f])  # reverses: total + (x - center)^2, but for 2
        dx[f, e] = total + total


def backward_centers(dy, x, centers):
    dcenters = memory.empty(centers.shape, centers.dtype)
    _backward_centers[centers.size, BLOCK](_features(dy), _features(x), centers, dcenters)
    return dcenters


@kernel
def _backward_centers(dy, x, centers, dcenters):
    F = x.shape[0]
    k, f = cuda.blockIdx.x // F, cuda.blockIdx.x % F
    total = x.dtype.type(0)
    for e in range(cuda.threadIdx.x, x.shape[1], BLOCK):
        total += dy[k, e] * (x[f, e] - centers[k, f])  # reverses: total + (x - center)^2
    total = tree_sum(total, 1, x)
    if cuda.threadIdx.x == 0:
        dcenters[k, f] = -(total + total)


def _features(x):
    """The data of (N, F, ...) as (F, positions and images)."""
    return x.data.reshape(x.shape[1], x.data.size // x.shape[1])


def _launch(y):
    features, length = _features(y).shape
    return row_blocks(length, features)
