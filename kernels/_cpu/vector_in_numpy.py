"""What the operations of kernels/_cpu/vector.py mean, in NumPy, which runs under NUMBA_DISABLE_JIT=1."""

import numpy as np
from numba import njit

from .native import Native, aligned_empty, lanes, vector_bytes

inner = njit(
    nogil=True, error_model="numpy", forceinline=True
)  # for functions of vectors, which become part of the kernel that calls them


# ---- what kernels are called with


def lanewise(data):
    """Native data (..., L) for load and store: as it is, or without the last axis where L = 1."""
    if data.shape[-1] not in (1, lanes(data.dtype)):
        raise ValueError(f"expected 1 image or {lanes(data.dtype)} side by side, got {data.shape[-1]}")
    return data if data.shape[-1] > 1 else data.reshape(data.shape[:-1])


def room(x, shape):
    """A Native of the logical `shape` (N, ...) in which the images lie side by side as in x; its contents are
    undefined.
    """
    return Native(aligned_empty((len(x.data), *shape[1:], x.data.shape[-1]), x.dtype), shape)


# ---- what the operations mean


def width(x):
    """Numbers of the dtype of x in one register."""
    return vector_bytes() // x.itemsize


def load(x, index):
    return x[index].copy()


def store(y, index, v):
    y[index] = v


def load_run(x, index):
    run = np.zeros(width(x), x.dtype)
    part = x[_run(x, index)]
    run[: len(part)] = part
    return run


def store_run(y, index, v):
    part = y[_run(y, index)]
    part[:] = v[: len(part)]


def _run(x, index):
    *before, first = np.atleast_1d(index)
    return (*before, slice(first, first + width(x)))


def fill_like(v, value):
    """`value` in every lane of a vector like v."""
    return np.full_like(v, value)


def fma(a, b, c):
    """a b + c, rounded once where the machine can."""
    return a * b + c


def minimum(a, b):
    """The smaller one; b where either is NaN."""
    return np.where(a < b, a, b)


def maximum(a, b):
    """The larger one; b where either is NaN."""
    return np.where(a > b, a, b)


def where(mask, a, b):
    return np.where(mask, a, b)


def sqrt(v):
    return np.sqrt(v)


def nearest(v):
    """The nearest whole number."""
    return np.rint(v)


def double(v):
    """v in float64."""
    return v.astype(np.float64)


def lane_sum(v):
    """The sum of all lanes, a number: the upper half is added to the lower until one lane is left."""
    return np.sum(v, dtype=v.dtype)


def choose(v, single, double):
    """`single` for float32, `double` for float64: constants that differ."""
    return single if v.dtype == np.float32 else double


def polynomial(v, coefficients):
    """coefficients[0] + coefficients[1] v + coefficients[2] v^2 + ... (Horner's scheme)."""
    value = fill_like(v, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = fma(value, v, coefficient)
    return value


def two_to(n):
    """2^n for a whole n whose power is a normal number, else rubbish: n is moved into the bits of the
    exponent.
    """
    bits = bits_of_float(n.dtype)
    biased = np.asarray(
        n + n.dtype.type(1.5 * 2.0**bits.mantissa + bits.bias)
    )  # the last bits of the mantissa are now n + bias
    return (biased.view(bits.integer) << bits.integer(bits.mantissa)).view(n.dtype)[()]


def exponent(v):
    """The whole number n with v / 2^n in [sqrt(1/2), sqrt(2)), for normal v > 0, else rubbish: read from the
    bits of the exponent.
    """
    bits = bits_of_float(v.dtype)
    return ((np.asarray(v).view(bits.integer) - bits.root_half) >> bits.integer(bits.mantissa)).astype(
        v.dtype
    )[()]


def mantissa(v):
    """v / 2^n in [sqrt(1/2), sqrt(2)), n being exponent(v)."""
    bits = bits_of_float(v.dtype)
    n = (np.asarray(v).view(bits.integer) - bits.root_half) >> bits.integer(bits.mantissa)
    return (np.asarray(v).view(bits.integer) - (n << bits.integer(bits.mantissa))).view(v.dtype)[()]


class bits_of_float:
    """How a float lies in memory: sign, exponent + bias, `mantissa` bits of the mantissa."""

    def __init__(self, dtype):
        single = str(dtype) == "float32"
        self.mantissa, self.bias, self.integer = (23, 127, np.int32) if single else (52, 1023, np.int64)
        self.root_half = np.array(0.5**0.5, str(dtype)).view(self.integer)[()]
