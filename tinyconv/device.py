"""The way of arrays into a device and out of it, with an error for what a device cannot take.

An array enters once, goes through a whole network in the native form of its device (kernels/backends.py), and
leaves once. Parameters move with `Layer.to`.
"""

from typing import Any

import numpy as np

from .errors import DeviceError, DtypeError, ShapeError
from .kernels.backends import PRECISIONS, backend, holder, is_on_gpu, native_backend, to_host

__all__ = [
    "PRECISIONS",
    "backend",
    "check_device",
    "convert",
    "copies_on_gpu",
    "holder",
    "is_native",
    "is_on_gpu",
    "move",
    "pack",
    "put",
    "to_host",
    "unpack",
]


def check_device(device: str, precision: str = "float32") -> None:
    """Raises ValueError for a name that is no device or precision, DeviceError for a GPU that this process
    cannot compute on.
    """
    chosen = backend(device)
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    if precision not in chosen.precisions:
        raise ValueError(
            f'precision {precision!r}: the device {device!r} has no tensor cores; use "cuda", or leave the '
            "precision out"
        )
    if missing := chosen.available():
        raise DeviceError(missing)


def pack(x: Any, device: str, owner: Any, dtype: Any = None) -> Any:
    """Return `x` in the native form of `device`, converted to `dtype` where that is given; a native array
    passes as it is.

    Raises an error that names the `owner` that was called: DtypeError where x is no array or of a dtype that
    the device does not compute in, ShapeError for an empty batch.
    """
    origin = native_backend(x)
    if origin is not None:
        if device != origin.name or dtype not in (None, x.dtype):
            raise DtypeError(
                f"{owner!r}: is on {device!r} and expects {dtype or 'its arrays'}, got {x!r} of the "
                f"{origin.name}; "
                "bring all parts to one device with .to(...)"
            )
        return x
    return backend(device).pack(checked(x, device, owner, dtype))


def checked(x: Any, device: str, owner: Any, dtype: Any = None) -> Any:
    """Return a NumPy array that `device` can compute with, converted to `dtype` where that is given. Raises
    as pack does.
    """
    if not isinstance(x, np.ndarray):
        raise DtypeError(f"{owner!r}: expected a NumPy array, got {type(x).__name__}; use numpy.asarray(...)")
    dtypes = backend(device).dtypes
    if x.dtype not in dtypes:
        expected = " or ".join(np.dtype(dtype).name for dtype in dtypes)
        raise DtypeError(
            f"{owner!r}: the device {device!r} computes in {expected}, got {x.dtype}; use x.astype('float32')"
        )
    if x.ndim == 0 or len(x) == 0:
        raise ShapeError(
            f"{owner!r}: expected a batch of at least one image, got an array of shape {x.shape}"
        )
    return x if dtype is None else x.astype(dtype, copy=False)


def unpack(x: Any) -> np.ndarray:
    """Return a native array as a NumPy array (N, ...); a NumPy array passes as it is."""
    origin = native_backend(x)
    return x if origin is None else origin.unpack(x)


def is_native(x: Any) -> bool:
    """Return True for an array in the native form of a device, which is not a NumPy array."""
    return native_backend(x) is not None


def move(array: Any, device: str) -> Any:
    """Return a plain array (a parameter, state or gradient) where `device` keeps it: the array itself, or a
    copy.
    """
    return backend(device).move(array)


def put(value: Any, array: Any) -> None:
    """array[...] = value, wherever the plain array lies."""
    holder(array).put(value, array)


def convert(array: Any, dtype: Any) -> Any:
    """Return a plain array in `dtype` and contiguous, where it lies: the array itself, or a copy."""
    return holder(array).convert(array, dtype)


def copies_on_gpu(arrays: Any) -> dict[int, Any]:
    """Return {id of an array: a copy} of the arrays on the GPU, for a memo of copy.deepcopy, which cannot
    copy them.
    """
    return {id(array): holder(array).copy(array) for array in arrays if is_on_gpu(array)}


def gpu_name() -> str:
    """Return the name of the GPU; the simulator of one says that it is one."""
    return backend("cuda").device_name()
