"""table_conv2d: convolution in which an output map sees only some of the input maps (C3 of LeNet-5).

    x            (N, C, H, W)               weight  (K, KH, KW), one filter a connection
    y            (N, O, H-KH+1, W-KW+1)     bias    (O,)
    connections  (K, 2) int: row k is the pair (o_k, c_k), "output map o_k sees input map c_k"

forward          y[n,o,i,j]      = bias[o] + sum_{k: o_k = o} sum_{u,v} weight[k,u,v] x[n, c_k, i+u, j+v]
backward_input   dx[n,c,h,w]     = sum_{k: c_k = c} sum_{u,v} weight[k,u,v] dy[n, o_k, h-u, w-v]
backward_weight  dweight[k,u,v]  = sum_{n,i,j} dy[n,o_k,i,j] x[n, c_k, i+u, j+v]
backward_bias    dbias[o]        = sum_{n,i,j} dy[n,o,i,j]

Only the filters that exist are stored, so a connection that the table lacks is no parameter held at zero:
there is none.

Source: LeCun et al. 1998, section II.B and table I. dtype: float32 or float64, all arrays alike (reference:
complex128 too).
"""

from .._windows import output_map


def output_shape(x_shape: tuple[int, ...], kernel_size, table_shape: tuple[int, ...]) -> tuple[int, ...]:
    """(N, O, OH, OW) for a table of shape (O, C). Raises ValueError where the maps do not match or the window
    does not fit.
    """
    O, C = table_shape
    if len(x_shape) != 4 or x_shape[1] != C:
        raise ValueError(f"expected x of shape (N, {C}, H, W), got {tuple(x_shape)}")
    return (x_shape[0], O, *output_map(x_shape, kernel_size, (1, 1), (0, 0)))
