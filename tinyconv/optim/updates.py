"""Updates: four ways to go through the parameters of an optimizer. Each works on rows (weight, dweight, slots ...), which have been checked."""
from functools import lru_cache
from importlib import import_module
from typing import Any

from .. import device as door
from .. import kernels
from ..kernels import load
from . import clipping


def by_tapes(optimizer: Any, tapes: Any) -> None:
    """Update many small parameters at once."""
    scale = 1.0 if optimizer.clip is None else clipping.scale(tapes.sum_of_squares(), optimizer.clip)
    tapes.update((*contract(optimizer).numbers(*optimizer.arguments()), scale))


def by_kernels(optimizer: Any, rows: list[tuple]) -> None:
    """Update one parameter after the other, by the kernels of the place where it lies."""
    backends = [_backend(optimizer, weight) for weight, *_ in rows]
    scale, arguments = _scale(optimizer, rows, backends), optimizer.arguments()
    for backend, row in zip(backends, rows, strict=True):
        load(optimizer.operation, backend).update(*row, *arguments, scale)


def in_numpy(optimizer: Any, rows: list[tuple]) -> None:
    """Update one parameter after the other by optimizer.update, which is a user's. What lies on a GPU is fetched, and put back."""
    scale = _scale(optimizer, rows, [_backend(optimizer, weight) for weight, *_ in rows])
    for name, row in zip(optimizer.net.params, rows, strict=True):
        weight, dweight, *slots = map(door.as_numpy, row)
        gradient = scale * dweight + optimizer.weight_decay * weight
        given = optimizer.update(name, weight, gradient, **dict(zip(optimizer.slot_names, slots, strict=True)))
        if given is not None:
            raise TypeError(f"{type(optimizer).__name__}: update must change weight in its memory (weight -= ...) and return nothing, "
                            f"it returned {type(given).__name__}")
        there, _, *slots_there = row
        for array, value in zip((there, *slots_there), (weight, *slots), strict=True):
            if door.on_gpu(array):
                door.put(value, array)


def captured(optimizer: Any, rows: list[tuple], options: Any, losses: Any) -> None:
    """Launch the update on the GPU; nobody looks in between, so the kernels themselves see to the norm, and to a loss that is not finite."""
    dweights = [dweight for _, dweight, *_ in rows]
    guarded = load("sgd", "cuda").guarded_options(options, losses, dweights, optimizer.clip)
    load(optimizer.operation, "cuda").change(rows, guarded)


def contract(optimizer: Any) -> Any:
    """Return the contract page of the optimizer's kernels, which has their numbers()."""
    return _contract(optimizer.operation)


@lru_cache(maxsize=None)
def _contract(operation):
    return import_module(f"{kernels.__name__}.{operation}")


def _backend(optimizer, weight):
    if door.on_gpu(weight):
        return "cuda"
    return "reference" if getattr(optimizer.net, "device", "cpu") == "reference" else "cpu"


def _scale(optimizer, rows, backends):
    """The factor of all gradients that keeps their norm within clip."""
    if optimizer.clip is None:
        return 1.0
    total = sum(load("sgd", backend).sum_of_squares(dweight) for backend, (_, dweight, *_) in zip(backends, rows, strict=True))
    return clipping.scale(total, optimizer.clip)
