"""tanh: the hyperbolic tangent, element by element.

forward         y  = tanh(x)
backward_input  dx = dy (1 - y^2)

x and y of any shape (N, ...). backward needs y alone, not x.

Source: LeCun et al. 1998, appendix A (there scaled: see scaled_tanh). dtype: float32 or float64 (reference: complex128 too).
"""


def output_shape(x_shape):
    return tuple(x_shape)
