"""Clipping: a gradient whose norm, over all parameters together, is too large is made shorter.

    norm  = sqrt(sum over all parameters of dweight^2)
    scale = min(1, clip / norm)                    the factor by which an update multiplies every dweight

Source: Pascanu, Mikolov, Bengio 2013, algorithm 1.
"""

import math


def scale(sum_of_squares: float, clip: float) -> float:
    """Return the factor, 1 at most, that makes the norm of a gradient no larger than `clip`."""
    norm = math.sqrt(sum_of_squares)
    return min(1.0, clip / norm) if norm > 0 else 1.0
