"""Backends: one object a device, all with one protocol. Only a backend copies between a user's arrays and a
device.

    device        native form of activations                                            parameters, states, gradients
    "reference"   the NumPy array itself, (N, C, H, W)                                   NumPy arrays
    "cpu"         kernels/_cpu/native.py, images innermost: (blocks, C, H, W, L)              NumPy arrays
    "cuda"        kernels/_cuda/native.py, images innermost: (C, H, W, N) on the GPU      arrays on the GPU

    >>> cpu = backend("cpu")
    >>> y = cpu.unpack(cpu.load("relu").forward(cpu.pack(x)))

A plain array is a parameter, a state or a gradient; a native array holds activations.
"""  # noqa: E501

from functools import cache

import numpy as np

from . import BACKENDS
from ._backend import PRECISIONS, Backend, is_on_gpu
from ._cpu.native import Native
from ._cpu.tape import Tape, recording
from ._numpy_form import NumPyForm

__all__ = ["PRECISIONS", "Backend", "backend", "holder", "is_on_gpu", "native_backend", "to_host"]


class ReferenceBackend(Backend):
    """NumPy, as a textbook has it."""

    name = "reference"
    dtypes = (np.float32, np.float64, np.complex128)

    def move(self, array):
        return to_host(array)


class CpuBackend(ReferenceBackend):
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


@cache
def backend(name: str) -> Backend:
    """Return the backend of a device. Raises ValueError for a name that is none of "reference", "cpu" and
    "cuda".
    """
    if name not in BACKENDS:
        raise ValueError(f"unknown device {name!r}: expected one of {', '.join(BACKENDS)}")
    if name == "cuda":
        from ._cuda.backend import (
            CudaBackend,
        )  # not before a GPU is asked for: the package takes most of a second

        return CudaBackend()
    return CpuBackend() if name == "cpu" else ReferenceBackend()


def native_backend(x) -> Backend | None:
    """Return the backend whose native form x has; None for a NumPy array or anything else."""
    return backend(x.device) if isinstance(x, NumPyForm) else None


def holder(array) -> Backend:
    """Return the backend that a plain array belongs to: that of the GPU, or else that of the processor."""
    return backend("cuda" if is_on_gpu(array) else "cpu")


def to_host(array):
    """Return a plain array as a NumPy array: the array itself, or a copy of an array on the GPU."""
    return holder(array).to_host(array) if is_on_gpu(array) else array
