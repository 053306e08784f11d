"""conv2d: two-dimensional convolution with stride, padding and groups.

    x       (N, C, H, W)            weight  (O, C/groups, KH, KW)
    y       (N, O, OH, OW)          bias    (O,) or None
    OH = floor((H + 2 PH - KH) / SH) + 1, OW likewise; stride = (SH, SW), padding = (PH, PW)
    ceil=True: rounded up, see below

forward          y[n,o,i,j]      = bias[o] + sum_{c,u,v} weight[o,c,u,v] x[n,c', i SH + u - PH, j SW + v - PW]
backward_input   dx[n,c',h,w]    = sum over all (o,u,v,i,j) with h = i SH + u - PH, w = j SW + v - PW of weight[o,c,u,v] dy[n,o,i,j]
backward_weight  dweight[o,c,u,v] = sum_{n,i,j} dy[n,o,i,j] x[n,c', i SH + u - PH, j SW + v - PW]
backward_bias    dbias[o]        = sum_{n,i,j} dy[n,o,i,j]

c runs over the C/groups input maps of o's group, and c' = c + (o // (O/groups)) C/groups is that map's place
in x. Outside the map x is zero. As everywhere in this field the kernel is not flipped: strictly this is a
cross-correlation.

ceil=True rounds OH and OW up instead of down: where the windows that fit leave pixels over, one more begins,
and what it sees beyond the padded map is zero; none begins behind the map itself. 224 pixels, KH = 11 and SH
= 4 without padding give 54, and 55 with ceil, which is how the authors' own code of 2012 computes. The
backward functions read OH and OW from dy.

On the GPU, with the precision "tf32", factors are rounded to 10 bits behind the point and products added in
float32 or nearly so: an error of about 1e-3 of a product. Else float32 products are exact float32 there too.

Source: LeCun et al. 1998, section II.A; groups: Krizhevsky et al. 2012, section 3.5 (two GPUs). dtype:
float32 or float64, all arrays alike (reference: complex128 too).
"""  # noqa: E501

from .._windows import output_map


def output_shape(
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
    groups: int,
    ceil: bool = False,
) -> tuple[int, ...]:
    """(N, O, OH, OW). Raises ValueError where the maps do not match the weights or the window does
    not fit.
    """
    O, C = weight_shape[0], weight_shape[1] * groups
    if len(x_shape) != 4 or x_shape[1] != C:
        raise ValueError(f"expected x of shape (N, {C}, H, W), got {tuple(x_shape)}")
    return (x_shape[0], O, *output_map(x_shape, weight_shape[2:], stride, padding, ceil))
