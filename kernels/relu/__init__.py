"""relu: the rectified linear unit, element by element.

forward         y  = max(x, 0)
backward_input  dx = dy where x > 0, else 0

x and y of any shape (N, ...). The derivative at 0 is taken as 0. NaN stays NaN.

Source: Nair, Hinton 2010; Krizhevsky et al. 2012, section 3.1. dtype: float32 or float64 (reference:
complex128 too).
"""


def output_shape(x_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of y: that of x."""
    return tuple(x_shape)
