"""tanh: the hyperbolic tangent, element by element.

forward         y  = tanh(x)
backward_input  dx = dy (1 - y^2)

x and y of any shape (N, ...). backward needs y alone, not x.

On the CPU y is within 6.9 ulp in float32, never beyond 1, and within 3.0 ulp in float64 (kernels/_cpu/math.py
says how it was measured). On the GPU it is that of CUDA's libdevice.

Source: LeCun et al. 1998, appendix A (there scaled: see scaled_tanh). dtype: float32 or float64 (reference:
complex128 too).
"""


def output_shape(x_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of y: that of x."""
    return tuple(x_shape)
