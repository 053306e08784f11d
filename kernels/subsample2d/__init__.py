"""subsample2d: trainable subsampling, S2 and S4 of LeNet-5.

    x  (N, C, H, W)                    coefficient, bias  (C,)
    y  (N, C, H // SH, W // SW)        size = (SH, SW): the window and its stride, so windows do not overlap

forward               s[n,c,i,j]      = sum_{u < SH, v < SW} x[n, c, i SH + u, j SW + v]
                      y[n,c,i,j]      = coefficient[c] s[n,c,i,j] + bias[c]
backward_input        dx[n,c,h,w]     = coefficient[c] dy[n, c, h // SH, w // SW], and 0 in rows and columns that fill no window
backward_coefficient  dcoefficient[c] = sum_{n,i,j} dy[n,c,i,j] s[n,c,i,j]
backward_bias         dbias[c]        = sum_{n,i,j} dy[n,c,i,j]

The inputs are added, not averaged: the coefficient absorbs the 1/4.

Source: LeCun et al. 1998, section II.B. dtype: float32 or float64, all arrays alike (reference: complex128
too).
"""  # noqa: E501

from .._windows import output_map


def output_shape(x_shape: tuple[int, ...], channels: int, size) -> tuple[int, ...]:
    """(N, C, H // SH, W // SW). Raises ValueError where the number of maps differs or a map is smaller than
    the window.
    """
    if len(x_shape) != 4 or x_shape[1] != channels:
        raise ValueError(f"expected x of shape (N, {channels}, H, W), got {tuple(x_shape)}")
    return (*x_shape[:2], *output_map(x_shape, size, size, (0, 0)))
