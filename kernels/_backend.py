"""Backend: the one protocol of all devices. kernels/backends.py tells which there are."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

import numpy as np

from . import load
from ._arena import Arena
from ._machine_memory import free_memory

PRECISIONS = ("float32", "tf32")


class Backend:
    """The protocol of all backends. Where a method says nothing else, it is that of a device that computes on
    NumPy arrays as they are.

    name        "reference", "cpu" or "cuda"
    dtypes      the dtypes that its kernels compute in
    precisions  of matrix products: "float32", exact, or "tf32", on tensor cores
    records     how a step is recorded once and then repeated for every batch: on a "tape", as a "graph", or
                None: not at all
    copies_cache  copy.deepcopy can copy what a layer keeps for the way back
    """

    name = ""
    dtypes: tuple[type, ...] = (np.float32, np.float64)
    precisions: tuple[str, ...] = ("float32",)
    records: str | None = None
    copies_cache = True

    def available(self) -> str | None:
        """Return None where this process can compute here, else the sentence that says what is missing and
        how to get it.
        """
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
        """Return a plain array, from whatever device, where this device keeps it: the array itself, or a
        copy.
        """
        raise NotImplementedError

    def to_host(self, array):
        """Return a plain array of this device as a NumPy array: the array itself, or a copy."""
        return array

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

    def recorded(
        self, step: Callable, arena: Arena, rehearsed: Callable | None = None
    ) -> tuple[Any, Callable[[], None]]:
        """Call step() and record its kernel calls; return its result and a function that makes the calls
        again.

        rehearsed  called with the result of a step that comes before the recorded one
        """
        raise NotImplementedError(f"the device {self.name!r} records nothing")

    def memory(self) -> tuple[int, int | None] | None:
        """Return (free, total) bytes of the device's memory; None for a number that nobody tells."""
        free = free_memory()
        return None if free is None else (free, None)

    def device_name(self) -> str:
        """Return the name of the processor or GPU."""
        return self.name

    def arithmetic(self, precision: str) -> AbstractContextManager:
        """Return a context in which matrix products are computed in `precision`."""
        return nullcontext()


def is_on_gpu(array) -> bool:
    """Return True for an array that lies in the memory of a GPU."""
    return bool(getattr(array, "__cuda_ndarray__", False))
