"""Memory on the GPU, and the copies between it and NumPy arrays."""

import ctypes
import math
from contextlib import contextmanager
from functools import cache, wraps

import numpy as np

from .._arena import arena_in_use
from .launch import capture_in_progress, noting, stream
from .package import SIMULATOR, DeviceNDArray, FakeCUDAArray, MemoryPointer, cuda, gpu_name


def empty(shape, dtype, lasting=False):
    """Memory on the GPU for an array, its contents undefined; from the arena that is in use, where one is.

    lasting  whether it outlives the arena, as what is computed once and kept
    """
    if noting() is not None:
        return np.empty(shape, dtype)
    arena = arena_in_use()
    if arena is not None and not lasting:
        return arena.array(shape, dtype)
    return allocate(shape, dtype)


@contextmanager
def memory_errors(shape=(), dtype=np.uint8):
    """Turns what the driver says where memory does not suffice, whichever way it comes, into a
    MemoryError.
    """
    try:
        yield
    except Exception as error:
        if "OUT_OF_MEMORY" not in str(error):
            raise
        size = math.prod(shape) * np.dtype(dtype).itemsize
        raise MemoryError(
            f"{gpu_name()} has no {f'{size / 2**20:.0f} MiB' if size > 1 else 'memory'} left: use a "
            "smaller batch, "
            "or end other programs on it"
        ) from None


def allocate(shape, dtype):
    """Memory of its own for an array on the GPU. Raises MemoryError where there is not enough."""
    with memory_errors(shape, dtype):
        return cuda.device_array(shape, dtype)


def address_of(array):
    """The address of an array on the GPU, a number."""
    return array.ctypes.data if SIMULATOR else array.__cuda_array_interface__["data"][0]


def array_at(address, shape, dtype):
    """(array, owner): an array on the GPU over memory that is someone else's; `owner` lives as long as any
    view of the array.
    """
    size = max(math.prod(shape) * np.dtype(dtype).itemsize, 1)
    if SIMULATOR:
        owner = (ctypes.c_ubyte * size).from_address(address)
        host = np.frombuffer(owner, dtype, math.prod(shape)).reshape(shape)
        return FakeCUDAArray(host), owner
    owner = MemoryPointer(cuda.current_context(), ctypes.c_void_p(address), size)
    dtype = np.dtype(dtype)
    strides = tuple(dtype.itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return DeviceNDArray(shape, strides, dtype, gpu_data=owner), owner


def to_gpu(array):
    """A copy of a NumPy array on the GPU, in memory of its own."""
    if noting() is not None:
        return array.copy()
    there = empty(array.shape, array.dtype, lasting=True)
    put(array, there)
    return there


def put(array, there):
    """Copy a NumPy array into one on the GPU. Raises RuntimeError in a capture."""
    _refuse_in_a_capture()
    there.copy_to_device(np.ascontiguousarray(array).reshape(array.shape), stream())
    stream().synchronize()  # the caller may change its array at once


def _refuse_in_a_capture():
    """The driver refuses it too; in the simulator, nobody else would notice."""
    if capture_in_progress() is not None:
        raise RuntimeError("a copy between the processor and the GPU cannot be captured: make it before")


def constant(function):
    """Decorator of a function that makes a tuple of NumPy arrays from hashable arguments: gives them on the
    GPU, where they stay, in memory of their own.
    """

    @cache
    def on_gpu(*arguments):
        return tuple(map(to_gpu, function(*arguments)))

    @wraps(function)
    def get(*arguments):
        return function(*arguments) if noting() is not None else on_gpu(*arguments)

    return get


def to_host(array):
    """A copy of an array on the GPU as a NumPy array. Raises RuntimeError in a capture."""
    if noting() is not None:
        return np.zeros(array.shape, array.dtype)
    _refuse_in_a_capture()
    here = array.copy_to_host(stream=stream())
    stream().synchronize()
    return here


def is_on_gpu(array):
    return getattr(array, "__cuda_ndarray__", False)
