"""The equation as it stands, on the GPU: one thread computes one number of the result, and reads for each
multiply-add one number of either factor.

Takes and gives arrays (N, C, H, W). Neighbouring threads have neighbouring images: one computes in parallel
over images, as one thinks of a batch. A warp, 32 threads in step, then reads the same pixel of 32 images, and
those lie a whole image apart: 32 numbers from 32 places. Memory comes in sectors of 32 bytes, so the warp
asks for 32 of them, 1,024 bytes, and uses 128.

What the compiler makes of it for sm_90: 53 instructions for each multiply-add, one of which multiplies. The
others find the two numbers: indices of 64 bits, each tested for the edge of the map.
"""

from ...kernels._cuda import memory
from ...kernels._cuda.launch import cuda, kernel
from ...kernels.conv2d import output_shape


def forward(x, weight, bias, stride, padding, groups):
    y = memory.empty(output_shape(x.shape, weight.shape, stride, padding, groups), x.dtype)
    biases = weight.reshape(weight.size) if bias is None else bias
    forward_thread[y.size](x, weight, biases, bias is not None, stride, padding, y)
    return y


@kernel
def forward_thread(x, weight, bias, biased, stride, padding, y):
    (_, _, H, W), (N, O, OH, OW), (_, C, KH, KW) = x.shape, y.shape, weight.shape
    (SH, SW), (PH, PW), group = stride, padding, O // (x.shape[1] // C)
    for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        o, i, j, n = e // (OH * OW * N), e // (OW * N) % OH, e // N % OW, e % N
        total = bias[o] if biased else x.dtype.type(0)
        for c in range(C):
            for u in range(KH):
                for v in range(KW):
                    h, w = i * SH + u - PH, j * SW + v - PW
                    if 0 <= h < H and 0 <= w < W:
                        total += weight[o, c, u, v] * x[n, o // group * C + c, h, w]
        y[n, o, i, j] = total


def backward_input(dy, weight, x_shape, stride, padding, groups):
    dx = memory.empty(x_shape, dy.dtype)
    backward_input_thread[dx.size](dy, weight, stride, padding, dx)
    return dx


@kernel
def backward_input_thread(dy, weight, stride, padding, dx):
    (_, O, OH, OW), (N, _, H, W), (_, C, KH, KW) = dy.shape, dx.shape, weight.shape
    (SH, SW), (PH, PW), group = stride, padding, O // (dx.shape[1] // C)
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, h, w, n = e // (H * W * N), e // (W * N) % H, e // N % W, e % N
        total = dy.dtype.type(0)
        for o in range(c // C * group, (c // C + 1) * group):
            for u in range(KH):
                for v in range(KW):
                    i, j = (h + PH - u) // SH, (w + PW - v) // SW
                    if i * SH + u - PH == h and 0 <= i < OH and j * SW + v - PW == w and 0 <= j < OW:
                        # reverses: total += weight * x
                        total += weight[o, c % C, u, v] * dy[n, o, i, j]
        dx[n, c, h, w] = total


def backward_weight(dy, x, kernel_size, stride, padding, groups):
    dweight = memory.empty((dy.shape[1], x.shape[1] // groups, *kernel_size), dy.dtype)
    backward_weight_thread[dweight.size](dy, x, stride, padding, dweight)
    return dweight


@kernel
def backward_weight_thread(dy, x, stride, padding, dweight):
    (N, _, OH, OW), (_, _, H, W), (O, C, KH, KW) = dy.shape, x.shape, dweight.shape
    (SH, SW), (PH, PW), group = stride, padding, O // (x.shape[1] // C)
    for e in range(cuda.grid(1), dweight.size, cuda.gridsize(1)):
        o, c, u, v = e // (C * KH * KW), e // (KH * KW) % C, e // KW % KH, e % KW
        total = x.dtype.type(0)
        for n in range(N):
            for i in range(OH):
                for j in range(OW):
                    h, w = i * SH + u - PH, j * SW + v - PW
                    if 0 <= h < H and 0 <= w < W:
                        # reverses: total += weight * x
                        total += dy[n, o, i, j] * x[n, o // group * C + c, h, w]
        dweight[o, c, u, v] = total
