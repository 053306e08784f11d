"""avg_pool2d: the mean of each window; windows may overlap (stride < size) or leave gaps (stride > size).

    x  (N, C, H, W)
    y  (N, C, OH, OW), OH = floor((H + 2 PH - SIZE_H) / SH) + 1, OW likewise

forward         y[n,c,i,j]  = 1/(SIZE_H SIZE_W) sum_{u,v} x[n, c, i SH + u - PH, j SW + v - PW]
backward_input  dx[n,c,h,w] = 1/(SIZE_H SIZE_W) sum of dy[n,c,i,j] over the windows (i,j) that contain (h,w)

Padding is zero and counts: a window at the edge is divided by its full size too, as Caffe's and PyTorch's default has it.

Source: LeCun et al. 1990 (Handwritten digit recognition with a back-propagation network) average before they subsample. dtype:
float32 or float64 (reference: complex128 too).
"""
from .._windows import pool_output_shape as output_shape  # noqa: F401
