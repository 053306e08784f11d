"""add: the sum of two arrays, element by element, where two paths of a network meet again.

    x, other, y: of one shape (N, ...)

forward         y = x + other
backward_input  dx = dy; dother is the same array, since y grows by 1 with each of them

Where a path parted into two, the gradients that come back along them add up: dx = forward(dx of one, dx of
the other).

Source: He, Zhang, Ren, Sun 2016, Deep Residual Learning for Image Recognition, section 3.2, equation 1.
dtype: float32 or float64 (reference: complex128 too).
"""


def output_shape(x_shape: tuple[int, ...], other_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of y. Raises ValueError where the two shapes differ."""
    if tuple(x_shape) != tuple(other_shape):
        raise ValueError(
            f"expected two arrays of one shape to add, got {tuple(x_shape)} and {tuple(other_shape)}"
        )
    return tuple(x_shape)
