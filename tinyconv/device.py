"""The door between a user's arrays and the native form of a backend. Only this file copies from one to the other.

    device        native form of activations                                                parameters, states, gradients
    "reference"   the NumPy array itself, (N, C, H, W)                                       NumPy arrays
    "cpu"         kernels._native.Native, images innermost: (blocks, C, H, W, L)              NumPy arrays
    "cuda"        kernels._cuda_native.CudaNative, images innermost: (C, H, W, N) on the GPU  arrays on the GPU

An array enters once, goes through a whole network in native form, and leaves once. Parameters move with `Layer.to`.
"""
from contextlib import nullcontext

import numpy as np

from .errors import DeviceError, DtypeError, ShapeError
from .kernels import BACKENDS
from .kernels._native import Native

DTYPES = {"cpu": (np.float32, np.float64), "reference": (np.float32, np.float64, np.complex128), "cuda": (np.float32, np.float64)}
PRECISIONS = ("float32", "tf32")


def check_device(device, precision="float32"):
    """Raises ValueError for a name that is no device or precision, DeviceError for a GPU that this process cannot compute on."""
    if device not in BACKENDS:
        raise ValueError(f"unknown device {device!r}: expected one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    if device != "cuda" and precision != "float32":
        raise ValueError(f"precision {precision!r}: the device {device!r} has no tensor cores; use \"cuda\", or leave the precision out")
    if device == "cuda":
        from .kernels import _cuda_gpu
        if missing := _cuda_gpu.missing():
            raise DeviceError(missing)


def enter(x, device, owner, dtype=None):
    """`x` in the native form of `device`, converted to `dtype` where that is given; what is native already passes as it is.

    Raises an error that names the `owner` that was called: DtypeError where x is no array or of a dtype that the device does not
    compute in, ShapeError for an empty batch.
    """
    if is_native(x):
        if device != _device_of(x) or dtype not in (None, x.dtype):
            raise DtypeError(f"{owner!r}: is on {device!r} and expects {dtype or 'its arrays'}, got {x!r} of the {_device_of(x)}; "
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
    return _cuda_native().pack(x) if device == "cuda" else pack(x) if device == "cpu" else x


def leave(x):
    """A native array as a user's NumPy array."""
    return x if not is_native(x) else unpack(x) if isinstance(x, Native) else _cuda_native().unpack(x)


def is_native(x):
    return isinstance(x, Native) or type(x).__name__ == "CudaNative"


def _device_of(native):
    return "cpu" if isinstance(native, Native) else "cuda"


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


def moved(array, device):
    """A parameter, state, gradient, or other plain array where `device` wants it: itself, or a copy."""
    if device == "cuda":
        return array if on_gpu(array) else _cuda().to_gpu(array)
    return as_numpy(array)


def as_numpy(array):
    """A plain array as NumPy's: itself, or a copy of what is on the GPU."""
    return _cuda().to_host(array) if on_gpu(array) else array


def copies_on_gpu(arrays):
    """{id of an array: a copy} of those that are on the GPU, for a memo of copy.deepcopy, which cannot copy them."""
    return {id(array): _cuda().to_gpu(as_numpy(array)) for array in arrays if on_gpu(array)}


def put(value, array):
    """array[...] = value, wherever `array` is."""
    if on_gpu(array):
        whole = np.empty(array.shape, array.dtype)
        whole[...] = value
        _cuda().put(whole, array)
    else:
        array[...] = value


def converted(array, dtype):
    """A plain array in `dtype` and contiguous, where it is: itself, or a copy."""
    return _cuda_native().converted(array, dtype) if on_gpu(array) else np.ascontiguousarray(array, dtype)


def on_gpu(array):
    return getattr(array, "__cuda_ndarray__", False)


def arithmetic(owner):
    """The context in which `owner`, a layer, computes: on the GPU its matrix products are of its precision."""
    return _cuda().computing_in(owner.precision) if owner.device == "cuda" else nullcontext()


def gpu_name():
    """What the GPU is called; the simulator of one says that it is one."""
    return _cuda().gpu_name()


def _cuda():
    """Imported where a GPU is asked for, and not before: it takes most of a second."""
    from .kernels import _cuda
    return _cuda


def _cuda_native():
    from .kernels import _cuda_native
    return _cuda_native
