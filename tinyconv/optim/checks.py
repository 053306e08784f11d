"""Checks of the arrays that an optimizer works on: nothing that a user can write reaches compiled code unchecked."""
from typing import Any

import numpy as np

from .. import device as door
from ..errors import DtypeError, ShapeError

DTYPES = np.float32, np.float64


def check_weight(owner: str, name: str, weight: Any) -> None:
    """Raises DtypeError or ValueError where a parameter cannot be updated in its own memory."""
    if not _is_array(weight):
        raise DtypeError(f"{owner}: expected the parameter {name} as a NumPy array, which is updated in its own memory, got "
                         f"{type(weight).__name__}; use numpy.array(...)")
    if weight.dtype not in DTYPES:
        raise DtypeError(f"{owner}: expected the parameter {name} in float32 or float64, got {weight.dtype}; use {name}.astype('float32')")
    if not _contiguous(weight):
        raise ValueError(f"{owner}: {name} must lie contiguously in memory to be updated there; use numpy.ascontiguousarray")
    if not door.on_gpu(weight) and not weight.flags.carray:
        raise ValueError(f"{owner}: {name} must be writable and aligned to be updated in its memory; use {name}.copy()")


def check_memory(owner: str, params: dict[str, Any]) -> None:
    """Raises ValueError where two parameters share memory: each would be updated by a part of the gradient, and decay twice."""
    spans = []
    for name, weight in params.items():
        if isinstance(weight, np.ndarray) and weight.size:
            first = weight.ctypes.data
            spans.append((first, first + weight.nbytes, name))
    spans.sort()
    for (_, end, name), (first, _, other) in zip(spans, spans[1:], strict=False):
        if first < end:
            raise ValueError(f"{owner}: the parameters {name} and {other} share memory, so that one update would undo a part of the other; "
                             "name a shared parameter once, with the sum of its gradients")


def ready_gradient(owner: str, name: str, gradient: Any, weight: Any) -> Any:
    """Return the gradient of a parameter as kernels take it: in the dtype and place of the parameter, contiguous.

    Raises RuntimeError for one that is None, ShapeError or DtypeError for one that does not belong to the parameter.
    """
    if gradient is None:
        raise RuntimeError(f"{owner}: the gradient of {name} is None; backward must set it to an array of shape {weight.shape}")
    gradient = np.asarray(gradient) if isinstance(gradient, np.generic) else gradient
    if not _is_array(gradient):
        raise DtypeError(f"{owner}: expected the gradient of {name} as a NumPy array of shape {weight.shape}, got {type(gradient).__name__}")
    if tuple(gradient.shape) != tuple(weight.shape):
        raise ShapeError(f"{owner}: expected the gradient of {name} in the parameter's shape {tuple(weight.shape)}, got "
                         f"{tuple(gradient.shape)}; backward must set a gradient of just this shape, summed over the batch")
    if np.dtype(gradient.dtype).kind != "f":
        raise DtypeError(f"{owner}: expected the gradient of {name} in float32 or float64, got {gradient.dtype}")
    return _ready(gradient, weight)


def ready_slot(owner: str, slot: str, name: str, array: Any, weight: Any) -> Any:
    """Return the slot's array of a parameter as kernels take it: in the dtype and place of the parameter, contiguous, writable.

    Raises RuntimeError for one that is missing, ShapeError or DtypeError for one that does not belong to the parameter.
    """
    if array is None:
        raise RuntimeError(f"{owner}: the slot {slot} has no array for {name}; make a new optimizer, or set slots[{slot!r}][{name!r}]")
    if not _is_array(array) or np.dtype(array.dtype).kind != "f":
        raise DtypeError(f"{owner}: expected {slot} of {name} as an array of float32 or float64, got {getattr(array, 'dtype', type(array).__name__)}")
    if tuple(array.shape) != tuple(weight.shape):
        raise ShapeError(f"{owner}: expected {slot} of {name} in the parameter's shape {tuple(weight.shape)}, got {tuple(array.shape)}; where "
                         f"the parameter was replaced by one of another shape, make a new optimizer")
    array = _ready(array, weight)
    return array if door.on_gpu(array) or array.flags.carray else array.copy()


def _ready(array, weight):
    """The array in the dtype and place of `weight`, contiguous and aligned: itself, or a copy."""
    array = door.moved(array, "cuda" if door.on_gpu(weight) else "cpu")
    if door.on_gpu(array):
        return door.converted(array, weight.dtype)
    if array.dtype == weight.dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.array(array, weight.dtype, order="C")


def _is_array(array):
    return isinstance(array, np.ndarray) or door.on_gpu(array)


def _contiguous(array):
    return array.is_c_contiguous() if door.on_gpu(array) else array.flags.c_contiguous
