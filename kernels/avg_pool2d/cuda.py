"""avg_pool2d in numba.cuda: one thread computes single pixels of single images.

In backward_input each pixel adds up what the windows that contain it hand to it, so that nobody adds where
others do.
"""

from .._cuda.launch import cuda, device, divided, kernel
from .._cuda.native import CudaNative, by_rows
from .._cuda.windows import lengths, map_size, most_windows, window_and_tap, within
from . import output_shape


def forward(x, size, stride, padding, ceil=False):
    y = CudaNative.empty(output_shape(x.shape, size, stride, padding, ceil), x.dtype)
    _forward[by_rows(y)](x.rows, x.shape[0], *lengths(size, stride), padding, y.rows)
    return y


@kernel
def _forward(x, N, size, stride, padding, y):
    c, i, (H, W) = cuda.blockIdx.z, cuda.blockIdx.y, map_size(x, N)
    for e in range(cuda.grid(1), y.shape[2], cuda.gridsize(1)):
        j, n = divided(e, N)
        top, left = i * len(stride[0]) - padding[0], j * len(stride[1]) - padding[1]
        total = zero = x.dtype.type(0)
        for u in range(len(size[0])):
            for v in range(len(size[1])):
                h, w = within(top + u, H), within(left + v, W)
                value = x[c, h, w * N + n]
                total += value if (h == top + u) & (w == left + v) else zero  # padding adds nothing
        y[c, i, e] = total / x.dtype.type(_count(top, left, size, H + padding[0], W + padding[1]))


@device
def _count(top, left, size, bottom, right):
    """How many places a window covers of a padded map that ends at `bottom` and `right`."""
    return (min(top + len(size[0]), bottom) - top) * (min(left + len(size[1]), right) - left)


def backward_input(dy, x_shape, size, stride, padding):
    dx = CudaNative.empty(x_shape, dy.dtype)
    _backward_input[by_rows(dx)](dy.rows, dy.shape[0], *lengths(size, stride), padding, dx.rows)
    return dx


@kernel
def _backward_input(dy, N, size, stride, padding, dx):
    c, h, (OH, OW), (H, W) = cuda.blockIdx.z, cuda.blockIdx.y, map_size(dy, N), map_size(dx, N)
    for e in range(cuda.grid(1), dx.shape[2], cuda.gridsize(1)):
        w, n = divided(e, N)
        total = zero = dy.dtype.type(0)
        for a in range(most_windows(size[0], stride[0])):
            i, u = window_and_tap(h + padding[0], stride[0], a)
            for b in range(most_windows(size[1], stride[1])):
                j, v = window_and_tap(w + padding[1], stride[1], b)
                near = within(i, OH), within(j, OW)
                part = dy[c, near[0], near[1] * N + n] / dy.dtype.type(
                    _count(h - u, w - v, size, H + padding[0], W + padding[1])
                )
                there = (near[0] == i) & (near[1] == j) & (u < len(size[0])) & (v < len(size[1]))
                total += part if there else zero  # reverses: total + x[pixel], then / count
        dx[c, h, e] = total
