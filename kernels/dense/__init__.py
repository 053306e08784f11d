"""dense: a fully connected layer.

    x  (N, C) or (N, C, ...)    weight  (O, C)
    y  (N, O) or (N, O, ...)    bias    (O,) or None

forward          y[n,o,p]     = bias[o] + sum_c weight[o,c] x[n,c,p]
backward_input   dx[n,c,p]    = sum_o weight[o,c] dy[n,o,p]
backward_weight  dweight[o,c] = sum_{n,p} dy[n,o,p] x[n,c,p]
backward_bias    dbias[o]     = sum_{n,p} dy[n,o,p]

p runs over the axes behind the first two, where there are any: the same weights act at every position of a
map. That is what lets LeNet-5 scan an image that is wider than 32 pixels.

On the GPU, with the precision "tf32", factors are rounded to 10 bits behind the point and products added in
float32 or nearly so: an error of about 1e-3 of a product. Else float32 products are exact float32 there too.

Source: LeCun et al. 1998, section II.B (F6). dtype: float32 or float64, all arrays alike (reference:
complex128 too).
"""


def output_shape(x_shape: tuple[int, ...], weight_shape: tuple[int, ...]) -> tuple[int, ...]:
    """(N, O, ...). Raises ValueError where the number of features differs."""
    O, C = weight_shape
    if len(x_shape) < 2 or x_shape[1] != C:
        raise ValueError(f"expected x of shape (N, {C}), got {tuple(x_shape)}")
    return (x_shape[0], O, *x_shape[2:])
