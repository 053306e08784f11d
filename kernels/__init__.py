"""The arithmetic of tinyconv: one folder an operation, one file a backend.

    kernels/<op>/__init__.py    the contract: equations, shapes, ties, output_shape()
    kernels/<op>/reference.py   NumPy, textbook: says what is computed
    kernels/<op>/cpu.py         Numba: says in which order
    kernels/<op>/cuda.py        numba.cuda: says who computes what

A kernel is pure: arrays in, new arrays out, inputs untouched, dtype kept. Every backend of an operation has
the same public functions with the same parameters: `forward`, then one `backward_<array>` for each array that
has a gradient.

    >>> conv2d = load("conv2d", "reference")
    >>> y = conv2d.forward(x, weight, bias, stride=(1, 1), padding=(0, 0), groups=1)
"""

if __name__ != "tinyconv.kernels":
    # One file is one module under one name: a second one would have classes and caches of its own.
    raise ImportError(f"expected the name tinyconv.kernels, got {__name__}: write `import tinyconv.kernels`")

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

BACKENDS = ("reference", "cpu", "cuda")
OPERATIONS = tuple(sorted(folder.parent.name for folder in Path(__file__).parent.glob("*/reference.py")))


@cache
def load(operation: str, backend: str) -> ModuleType:
    """The module that computes `operation` (one of OPERATIONS) on `backend` (one of BACKENDS).

    Raises ValueError for a name that does not exist.
    """
    for kind, name, known in (("operation", operation, OPERATIONS), ("backend", backend, BACKENDS)):
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}: expected one of {', '.join(known)}")
    return import_module(f"{__name__}.{operation}.{backend}")
