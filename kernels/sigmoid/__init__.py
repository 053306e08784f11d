"""sigmoid: the logistic function, element by element.

forward         y  = 1 / (1 + e^-x) = (1 + tanh(x/2)) / 2
backward_input  dx = dy y (1 - y)

x and y of any shape (N, ...). The reference computes the form with tanh, which cannot overflow. The CPU
computes the first one with an e^-x that becomes inf without complaint: y is within 2.6 ulp in float32 and 2.2
in float64, far below 0 too (kernels/_cpu/math.py says how it was measured). The GPU computes e^-|x|, which
cannot overflow: y = 1 / (1 + e^-|x|), times e^-|x| where x < 0.

Source: Rumelhart, Hinton, Williams 1986. dtype: float32 or float64 (reference: complex128 too).
"""


def output_shape(x_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of y: that of x."""
    return tuple(x_shape)
