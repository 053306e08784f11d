"""The door between a user's arrays and the native form of a backend. Only this file copies from one to the other.

    device        native form of activations
    "reference"   the NumPy array itself, (N, C, H, W)
    "cpu"         kernels._native.Native, images innermost: (blocks, C, H, W, L)

An array enters once, goes through a whole network in native form, and leaves once.
"""
import numpy as np

from .errors import DtypeError, ShapeError
from .kernels import BACKENDS
from .kernels._native import Native

DTYPES = {"cpu": (np.float32, np.float64), "reference": (np.float32, np.float64, np.complex128)}


def check_device(device):
    """Raises ValueError for a name that is no device, NotImplementedError for one that is not there yet."""
    if device not in BACKENDS:
        raise ValueError(f"unknown device {device!r}: expected one of {', '.join(BACKENDS)}")
    if device not in DTYPES:
        raise NotImplementedError(f"the device {device!r} is not there yet: use 'cpu' (fast) or 'reference' (textbook)")


def enter(x, device, owner, dtype=None):
    """`x` in the native form of `device`, converted to `dtype` where that is given; what is native already passes as it is.

    Raises an error that names the `owner` that was called: DtypeError where x is no array or of a dtype that the device does not
    compute in, ShapeError for an empty batch.
    """
    if isinstance(x, Native):
        if device != "cpu" or dtype not in (None, x.dtype):
            raise DtypeError(f"{owner!r}: is on {device!r} and expects {dtype or 'its arrays'}, got {x!r} of the cpu; "
                             "bring all parts to one device with .to(...)")
        return x
    if not isinstance(x, np.ndarray):
        raise DtypeError(f"{owner!r}: expected a NumPy array, got {type(x).__name__}; use numpy.asarray(...)")
    if x.dtype not in DTYPES[device]:
        expected = " or ".join(np.dtype(dtype).name for dtype in DTYPES[device])
        raise DtypeError(f"{owner!r}: the device {device!r} computes in {expected}, got {x.dtype}; use x.astype('float32')")
    if x.ndim == 0 or len(x) == 0:
        raise ShapeError(f"{owner!r}: expected a batch of at least one image, got an array of shape {x.shape}")
    x = x if dtype is None else x.astype(dtype, copy=False)
    return pack(x) if device == "cpu" else x


def leave(x):
    """A native array as a user's NumPy array."""
    return unpack(x) if isinstance(x, Native) else x


def pack(x):
    """(N, ...) as Native (blocks, ..., L); the unused lanes of the last block are zero."""
    native, N = Native.empty(x.shape, x.dtype), len(x)
    L = native.data.shape[-1]
    full = N // L
    native.data[:full] = np.moveaxis(x[:full * L].reshape(full, L, *x.shape[1:]), 1, -1)
    if full < len(native.data):
        native.data[full] = 0
        native.data[full, ..., :N - full * L] = np.moveaxis(x[full * L:], 0, -1)
    return native


def unpack(native):
    """Native (blocks, ..., L) as (N, ...)."""
    images = np.moveaxis(native.data, -1, 1)
    return np.ascontiguousarray(images.reshape(-1, *native.shape[1:])[:native.shape[0]])
