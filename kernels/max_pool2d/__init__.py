"""max_pool2d: the largest input of each window; windows may overlap (stride < size) or leave gaps (stride >
size).

    x  (N, C, H, W)
    y  (N, C, OH, OW), OH = floor((H + 2 PH - SIZE_H) / SH) + 1, OW likewise

forward         y[n,c,i,j]  = max_{u,v} x[n, c, i SH + u - PH, j SW + v - PW]
backward_input  dx[n,c,h,w] = sum of dy[n,c,i,j] over the windows (i,j) whose maximum is at (h,w)

ceil=True rounds OH and OW up: where the windows that fit leave pixels over, one more begins and reaches
beyond the padded map; none begins behind the map itself (PyTorch's ceil_mode). The backward function reads OH
and OW from dy.

Padding, and what lies beyond it, is minus infinity: it never wins. Ties: the first maximum in reading order
(row by row) wins and gets all of dy. NaN counts as larger than anything, so it is never hidden.

Source: Krizhevsky et al. 2012, section 3.4 (overlapping pooling). dtype: float32 or float64 (reference:
complex128 too, compared by its real part).
"""

from .._windows import pool_output_shape as output_shape  # noqa: F401
