"""Is a result right? Against the float64 reference, in units of the rounding error that its sums
must have.
"""

from dataclasses import dataclass

import numpy as np

LIMIT = 16.0  # a forgotten tap or a flipped sign is hundreds of units off
SHARE = 0.05  # of a gradient's length; each layer by itself is held to LIMIT


@dataclass(frozen=True)
class Parity:
    """error: the largest |found - expected| / (sqrt(K) eps max |expected|), K the terms of one sum; why: a
    sentence where it is wrong.
    """

    error: float
    why: str = ""

    @property
    def ok(self):
        return not self.why

    def columns(self):
        """What a row says of it; the error is None where there is no number."""
        return {
            "status": "ok" if self.ok else "wrong",
            "error": self.error if np.isfinite(self.error) else None,
            "why": self.why,
        }


def check(found, expected, dtype, terms):
    """The Parity of the array `found`, which ought to be `expected` up to the rounding of `dtype` in sums of
    `terms` terms.
    """
    if not isinstance(found, np.ndarray):
        return Parity(np.inf, f"expected a NumPy array, got {type(found).__name__}")
    if found.shape != expected.shape:
        return Parity(np.inf, f"expected shape {expected.shape}, got {found.shape}")
    if found.dtype != dtype and found.ndim:  # a single number may be a Python float
        return Parity(np.inf, f"expected {np.dtype(dtype)}, got {found.dtype}")
    distance = np.nan_to_num(np.atleast_1d(np.abs(found - expected)), nan=np.inf, posinf=np.inf)
    index = np.unravel_index(distance.argmax(), expected.shape)
    error = float(
        distance.max()
        / (np.sqrt(terms) * np.finfo(dtype).eps * max(np.abs(expected).max(), np.finfo(dtype).tiny))
    )
    if error <= LIMIT:
        return Parity(error)
    place = ", ".join(map(str, index))
    return Parity(
        error, f"largest error at [{place}]: expected {expected[index]:.6g}, got {found[index]:.6g}"
    )


def check_as_a_whole(found, expected, dtype, terms):
    """The Parity of a gradient that has come through a deep network with ReLU and max pools: of its distance,
    not of its largest error.

    Where two inputs of a maximum are equal up to rounding, another one gets the gradient. That changes single
    elements as much as it likes, in any float32 implementation, but the whole by little. error: |found -
    expected| / (sqrt(K) eps |expected|), lengths of the arrays as vectors.
    """
    exact = check(found, expected, dtype, terms)
    if exact.ok or not np.isfinite(exact.error):
        return exact
    share = float(np.linalg.norm(np.ravel(found - expected)) / np.linalg.norm(np.ravel(expected)))
    error = share / float(np.sqrt(terms) * np.finfo(dtype).eps)
    return Parity(error, "" if share <= SHARE else f"{100 * share:.2g} % off as a whole; {exact.why}")
