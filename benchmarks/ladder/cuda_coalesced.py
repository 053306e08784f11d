"""cuda_textbook with the images innermost: neighbouring threads read neighbours in memory.

Takes and gives activations in native form (kernels/_cuda/native.py): (C, H, W, N) instead of (N, C, H, W).
The 32 numbers that a warp of cuda_textbook reads of x lie in 32 sectors of 32 bytes. Here they are 128 bytes
side by side, 4 sectors, an eighth of the bytes, for maps of any size; and the weight is the same for the
whole warp, one read for 32 threads. Which map and which row a thread has, its block says, so that a thread
divides once, in 32 bits, to find its place, where a textbook thread divides six times, in 64.

dweight is a sum over all images: there a block of threads takes one weight, each thread sums up every 256th
product, and the block adds up their sums.

What it still wastes: each multiply-add reads two numbers from memory, and takes 60 instructions (sm_90).
"""

from ...kernels._cuda import memory
from ...kernels._cuda.launch import cuda, divided, kernel
from ...kernels._cuda.native import CudaNative, by_rows
from ...kernels._cuda.reduce import BLOCK, tree_sum
from ...kernels.conv2d import output_shape


def forward(x, weight, bias, stride, padding, groups):
    y = CudaNative.empty(output_shape(x.shape, weight.shape, stride, padding, groups), x.dtype)
    biases = weight.reshape(weight.size) if bias is None else bias
    forward_thread[by_rows(y)](x.data, weight, biases, bias is not None, stride, padding, y.data)
    return y


@kernel
def forward_thread(x, weight, bias, biased, stride, padding, y):
    (_, H, W, _), (O, _, OW, N), (_, C, KH, KW) = x.shape, y.shape, weight.shape
    (SH, SW), (PH, PW), o, i = stride, padding, cuda.blockIdx.z, cuda.blockIdx.y
    first = o // (O // (x.shape[0] // C)) * C
    for e in range(cuda.grid(1), OW * N, cuda.gridsize(1)):
        j, n = divided(e, N)
        total = bias[o] if biased else x.dtype.type(0)
        for c in range(C):
            for u in range(KH):
                for v in range(KW):
                    h, w = i * SH + u - PH, j * SW + v - PW
                    if 0 <= h < H and 0 <= w < W:
                        total += weight[o, c, u, v] * x[first + c, h, w, n]
        y[o, i, j, n] = total


def backward_input(dy, weight, x_shape, stride, padding, groups):
    dx = CudaNative.empty(x_shape, dy.dtype)
    backward_input_thread[by_rows(dx)](dy.data, weight, stride, padding, dx.data)
    return dx


@kernel
def backward_input_thread(dy, weight, stride, padding, dx):
    (O, OH, OW, _), (_, _, W, N), (_, C, KH, KW) = dy.shape, dx.shape, weight.shape
    (SH, SW), (PH, PW), c, h = stride, padding, cuda.blockIdx.z, cuda.blockIdx.y
    group = O // (dx.shape[0] // C)
    for e in range(cuda.grid(1), W * N, cuda.gridsize(1)):
        w, n = divided(e, N)
        total = dy.dtype.type(0)
        for o in range(c // C * group, (c // C + 1) * group):
            for u in range(KH):
                for v in range(KW):
                    (i, above), (j, beside) = divided(max(h + PH - u, 0), SH), divided(max(w + PW - v, 0), SW)
                    seen = h + PH >= u and w + PW >= v and above == 0 and beside == 0
                    if seen and i < OH and j < OW:
                        # reverses: total += weight * x
                        total += weight[o, c % C, u, v] * dy[o, i, j, n]
        dx[c, h, w, n] = total


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    dweight = memory.empty((dy.shape[1], x.shape[1] // groups, *kernel_size), dy.dtype)
    backward_weight_block[dweight.size, BLOCK](dy.data, x.data, stride, padding, dweight)
    return dweight


@kernel
def backward_weight_block(dy, x, stride, padding, dweight):
    (_, OH, OW, N), (_, H, W, _), (O, C, KH, KW) = dy.shape, x.shape, dweight.shape
    (SH, SW), (PH, PW), e = stride, padding, cuda.blockIdx.x
    o, c, u, v = e // (C * KH * KW), e // (KH * KW) % C, e // KW % KH, e % KW
    first = o // (O // (x.shape[0] // C)) * C
    total = x.dtype.type(0)
    for k in range(cuda.threadIdx.x, OH * OW * N, BLOCK):
        pixel, n = divided(k, N)
        i, j = divided(pixel, OW)
        h, w = i * SH + u - PH, j * SW + v - PW
        if 0 <= h < H and 0 <= w < W:
            # reverses: total += weight * x
            total += dy[o, i, j, n] * x[first + c, h, w, n]
    total = tree_sum(total, 1, x)
    if cuda.threadIdx.x == 0:
        dweight[o, c, u, v] = total
