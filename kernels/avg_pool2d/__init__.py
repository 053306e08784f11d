"""avg_pool2d: the mean of each window; windows may overlap (stride < size) or leave gaps (stride > size).

    x  (N, C, H, W)
    y  (N, C, OH, OW), OH = floor((H + 2 PH - SIZE_H) / SH) + 1, OW likewise

forward         y[n,c,i,j]  = 1/count[i,j] sum_{u,v} x[n, c, i SH + u - PH, j SW + v - PW]
backward_input  dx[n,c,h,w] = sum of dy[n,c,i,j]/count[i,j] over the windows (i,j) that contain (h,w)

Padding is zero and counts: count = SIZE_H SIZE_W, also for a window at the edge, as Caffe's and PyTorch's
default has it.

ceil=True rounds OH and OW up: where the windows that fit leave pixels over, one more begins and reaches
beyond the padded map; none begins behind the map itself. What lies beyond the padded map is not there: count
is what the window covers of the map and its padding (PyTorch's ceil_mode with count_include_pad). The
backward function reads OH and OW from dy.

Source: LeCun et al. 1990 (Handwritten digit recognition with a back-propagation network) average before they
subsample. dtype: float32 or float64 (reference: complex128 too).
"""

from .._windows import pool_output_shape as output_shape  # noqa: F401
