"""Backends: one object a device, all with one protocol. Only a backend copies between a user's arrays and a device.

    device        native form of activations                                            parameters, states, gradients
    "reference"   the NumPy array itself, (N, C, H, W)                                   NumPy arrays
    "cpu"         kernels/_cpu/native.py, images innermost: (blocks, C, H, W, L)              NumPy arrays
    "cuda"        kernels/_cuda_native.py, images innermost: (C, H, W, N) on the GPU      arrays on the GPU

    >>> cpu = backend("cpu")
    >>> y = cpu.unpack(cpu.load("relu").forward(cpu.pack(x)))

A plain array is a parameter, a state or a gradient; a native array holds activations.
"""
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from . import BACKENDS, load
from ._arena import Arena
from ._machine_memory import free_memory
from ._cpu.native import Native
from ._numpy_form import NumPyForm
from ._cpu.tape import Tape, recording

PRECISIONS = ("float32", "tf32")


class Backend:
    """The reference, which computes on NumPy arrays as they are; and what the other backends do in the same way.

    name        "reference", "cpu" or "cuda"
    dtypes      the dtypes that its kernels compute in
    precisions  of matrix products: "float32", exact, or "tf32", on tensor cores
    records     how a step is recorded once and then repeated for every batch: on a "tape", as a "graph", or None: not at all
    copies_cache  copy.deepcopy can copy what a layer keeps for the way back
    """

    name = "reference"
    dtypes: tuple[type, ...] = (np.float32, np.float64, np.complex128)
    precisions: tuple[str, ...] = ("float32",)
    records: str | None = None
    copies_cache = True

    def available(self) -> str | None:
        """Return None where this process can compute here, else the sentence that says what is missing and how to get it."""
        return None

    def load(self, operation: str) -> ModuleType:
        """Return the kernels of an operation. Raises ValueError for an operation that does not exist."""
        return load(operation, self.name)

    def pack(self, x):
        """Return a NumPy array (N, ...) in native form."""
        return x

    def unpack(self, native):
        """Return a native array as a NumPy array (N, ...)."""
        return native

    def empty(self, shape: tuple[int, ...], dtype):
        """Return a native array for activations of the logical `shape` (N, ...), its contents undefined."""
        return np.empty(shape, dtype)

    def move(self, array):
        """Return a plain array, from whatever device, where this device keeps it: the array itself, or a copy."""
        return to_host(array)

    def convert(self, array, dtype):
        """Return a plain array of this device in `dtype` and contiguous: the array itself, or a copy."""
        return np.ascontiguousarray(array, dtype)

    def copy(self, array):
        """Return a copy of a plain array of this device."""
        return array.copy()

    def put(self, value, array) -> None:
        """array[...] = value, for a plain array of this device."""
        array[...] = value

    def arena(self) -> Arena:
        """Return new memory for the arrays of recorded steps."""
        return Arena()

    def recorded(self, step: Callable, arena: Arena, rehearsed: Callable | None = None) -> tuple[Any, Callable[[], None]]:
        """Call step() and record its kernel calls; return its result and a function that makes the calls again.

        rehearsed  called with the result of a step that comes before the recorded one
        """
        raise NotImplementedError(f"the device {self.name!r} records nothing")

    def memory(self) -> tuple[int, int | None] | None:
        """Return (free, total) bytes of the device's memory; None for a number that nobody tells."""
        free = free_memory()
        return None if free is None else (free, None)

    def arithmetic(self, precision: str) -> AbstractContextManager:
        """Return a context in which matrix products are computed in `precision`."""
        return nullcontext()


class CpuBackend(Backend):
    """Numba on the processor, images innermost."""

    name = "cpu"
    dtypes = (np.float32, np.float64)
    records = "tape"

    def pack(self, x):
        return Native.pack(x)

    def unpack(self, native):
        return native.unpack()

    def empty(self, shape, dtype):
        return Native.empty(shape, dtype)

    def recorded(self, step, arena, rehearsed=None):
        if rehearsed:
            rehearsed(step())
        with recording() as calls:
            result = step()
        return result, Tape(calls).play


@lru_cache(maxsize=None)
def backend(name: str) -> Backend:
    """Return the backend of a device. Raises ValueError for a name that is none of "reference", "cpu" and "cuda"."""
    if name not in BACKENDS:
        raise ValueError(f"unknown device {name!r}: expected one of {', '.join(BACKENDS)}")
    if name == "cuda":
        from ._cuda_backend import CudaBackend              # not before a GPU is asked for: the package takes most of a second
        return CudaBackend()
    return CpuBackend() if name == "cpu" else Backend()


def native_backend(x) -> Backend | None:
    """Return the backend whose native form x has; None for a NumPy array or anything else."""
    return backend(x.device) if isinstance(x, NumPyForm) else None


def holder(array) -> Backend:
    """Return the backend that a plain array belongs to: that of the GPU, or else that of the processor."""
    return backend("cuda" if is_on_gpu(array) else "cpu")


def is_on_gpu(array) -> bool:
    """Return True for an array that lies in the memory of a GPU."""
    return bool(getattr(array, "__cuda_ndarray__", False))


def to_host(array):
    """Return a plain array as a NumPy array: the array itself, or a copy of an array on the GPU."""
    if not is_on_gpu(array):
        return array
    from . import _cuda
    return _cuda.to_host(array)
