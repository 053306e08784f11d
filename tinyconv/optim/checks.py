"""Checks of the arrays of an optimizer: nothing that a user can write reaches compiled code unchecked."""

from typing import Any

import numpy as np

from ..device import convert, is_on_gpu, move
from ..errors import DtypeError, ShapeError

DTYPES = np.float32, np.float64
# names of update()'s other parameters, and of what else stands in a checkpoint
TAKEN = "self", "name", "weight", "gradient", "params", "state", "header"


def check_slot_names(owner: str, slot_names: Any) -> None:
    """Raises TypeError where slot_names is no tuple of names, ValueError for a name that is taken."""
    if not isinstance(slot_names, tuple) or not all(isinstance(name, str) for name in slot_names):
        raise TypeError(
            f"{owner}: expected slot_names as a tuple of names, such as ('mean',), got {slot_names!r}"
        )
    for name in slot_names:
        if not name.isidentifier() or name in TAKEN:
            raise ValueError(
                f"{owner}: expected slot_names of words other than {', '.join(TAKEN)}, got {name!r}; rename "
                "it"
            )


def check_parameters(owner: str, params: dict[str, Any]) -> None:
    """Raises DtypeError or ValueError where a parameter cannot be updated in its memory, or two share it."""
    for name, weight in params.items():
        _check_weight(owner, name, weight)
    # (first byte, byte behind the last, name) in the order of their memory
    spans = sorted(
        (weight.ctypes.data, weight.ctypes.data + weight.nbytes, name)
        for name, weight in params.items()
        if isinstance(weight, np.ndarray) and weight.size
    )
    for (_, end, name), (first, _, other) in zip(spans, spans[1:], strict=False):
        if first < end:
            raise ValueError(
                f"{owner}: the parameters {name} and {other} share memory, and an update of each would decay "
                "it twice; give the optimizer one name for it, and the sum of its gradients"
            )


def _check_weight(owner, name, weight):
    if not _is_array(weight):
        raise DtypeError(
            f"{owner}: expected the parameter {name} as a NumPy array, which is updated in its memory, got "
            f"{type(weight).__name__}; use numpy.array(...)"
        )
    if weight.dtype not in DTYPES:
        raise DtypeError(
            f"{owner}: expected the parameter {name} in float32 or float64, got {weight.dtype}; use "
            "astype('float32')"
        )
    if not (weight.is_c_contiguous() if is_on_gpu(weight) else weight.flags.c_contiguous):
        raise ValueError(
            f"{owner}: {name} must lie contiguously in memory to be updated there; use "
            "numpy.ascontiguousarray"
        )
    if not (is_on_gpu(weight) or weight.flags.carray):
        raise ValueError(
            f"{owner}: {name} must be writable and aligned to be updated in its memory; use {name}.copy()"
        )


def ready_gradient(owner: str, name: str, gradient: Any, weight: Any) -> Any:
    """Return a parameter's gradient as kernels take it: contiguous, in the parameter's dtype and place.

    Raises RuntimeError for one that is None, ShapeError or DtypeError for one that does not belong to the
    parameter.
    """
    if _fits(gradient, weight):
        return gradient
    if gradient is None:
        raise RuntimeError(
            f"{owner}: the gradient of {name} is None; backward must set it to an array of shape "
            f"{weight.shape}"
        )
    # what NumPy's sums give for a parameter of rank 0
    gradient = np.asarray(gradient) if isinstance(gradient, np.generic) else gradient
    if not _is_array(gradient):
        raise DtypeError(
            f"{owner}: expected the gradient of {name} as a NumPy array of shape {weight.shape}, got "
            f"{type(gradient).__name__}; use numpy.asarray(...)"
        )
    if gradient.shape != weight.shape:
        raise ShapeError(
            f"{owner}: expected the gradient of {name} in the parameter's shape {weight.shape}, got "
            f"{gradient.shape}; backward must set a gradient of just this shape, summed over the batch"
        )
    if gradient.dtype.kind != "f":
        raise DtypeError(
            f"{owner}: expected the gradient of {name} in float32 or float64, got {gradient.dtype}"
        )
    return _ready(gradient, weight)


def ready_slot(owner: str, slot: str, name: str, array: Any, weight: Any) -> Any:
    """Return a parameter's array of a slot as kernels take it: as a gradient, and writable.

    Raises RuntimeError for one that is missing, ShapeError or DtypeError for one that does not belong to the
    parameter.
    """
    if _fits(array, weight):
        return array
    if array is None:
        raise RuntimeError(
            f"{owner}: the slot {slot} has no array for {name}; make a new optimizer, or set "
            f"slots[{slot!r}][{name!r}]"
        )
    if not _is_array(array) or array.dtype.kind != "f":
        came = array.dtype if _is_array(array) else type(array).__name__
        raise DtypeError(f"{owner}: expected {slot} of {name} as an array of float32 or float64, got {came}")
    if array.shape != weight.shape:
        raise ShapeError(
            f"{owner}: expected {slot} of {name} in the parameter's shape {weight.shape}, got {array.shape}; "
            "where the parameter was replaced by one of another shape, make a new optimizer"
        )
    array = _ready(array, weight)
    return array if is_on_gpu(array) or array.flags.carray else array.copy()


def _fits(array, weight):
    """True for NumPy arrays that are alike, contiguous, aligned and writable, as nearly all are."""
    return (
        type(array) is type(weight) is np.ndarray
        and array.dtype == weight.dtype
        and array.shape == weight.shape
        and array.flags.carray
    )


def _ready(array, weight):
    """The array in the dtype and place of `weight`, contiguous and aligned: itself, or a copy."""
    array = move(array, "cuda" if is_on_gpu(weight) else "cpu")
    if is_on_gpu(array):
        return convert(array, weight.dtype)
    if array.dtype == weight.dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.array(array, weight.dtype, order="C")


def _is_array(array):
    return isinstance(array, np.ndarray) or is_on_gpu(array)
