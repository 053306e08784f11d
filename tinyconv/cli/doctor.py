"""tinyconv doctor: what tinyconv finds on this machine."""

import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np

from .. import __version__, data, kernels
from ..execution import available_threads, memory, strategy
from ..kernels.backends import backend
from ..kernels.recording import lanes, vector_bytes
from ..models import MODELS
from . import options

# As in setup.cfg, which a test compares.
OLDEST_NUMBA = 0, 65
OLDEST_NUMBA_CUDA = 0, 30
NUMPY_UNKNOWN_TO_NUMBA_CUDA = 2, 5
# Packages with parts of CUDA that numba-cuda computes with, each in the version of its CUDA
PARTS_OF_CUDA = "cuda-bindings", "nvidia-nvvm", "nvidia-nvjitlink"


def add_parser(commands):
    return options.parser(
        commands,
        "doctor",
        "print versions, processor, caches and data sets, for a bug report or a first look",
        "tinyconv doctor",
    )


def run(args):
    rows = {
        "tinyconv": f"{__version__}, Python {platform.python_version()}, {platform.platform()}",
        **{
            name: _version(name, extra)
            for name, extra in (
                ("numpy", None),
                ("numba", None),
                ("llvmlite", None),
                ("pillow", None),
                ("tqdm", None),
                ("matplotlib", "demo"),
                ("mlxtend", "demo"),
                ("pytest", "test"),
                ("numba-cuda", "cuda"),
            )
        },
        "versions": versions(
            _installed("numpy"),
            _installed("numba"),
            _installed("numba-cuda"),
            {name: _installed(name) for name in PARTS_OF_CUDA},
        ),
        "processor": llvm.get_host_cpu_name(),
        "SIMD width": f"{8 * vector_bytes()} bits: {lanes(np.float32)} float32 or {lanes(np.float64)} float64 images side by side",  # noqa: E501
        "threads": f"{available_threads()} processors for this process, of {os.cpu_count()}",
        "threading layer": "Python threads, each running compiled kernels without the global lock; Numba's own layers are not used",  # noqa: E501
        **{f"threads share: {name}": _strategy(build) for name, build in MODELS.items()},
        "kernel cache": _kernel_cache(),
        "GPU": _gpu(),
        **{f"data: {name}": where for name, where in data.find().items()},
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
    return 0


def _installed(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _version(package, extra):
    return _installed(package) or f"not installed (pip install 'tinyconv[{extra}]')"


def versions(
    numpy: str | None, numba: str | None, numba_cuda: str | None, parts: Mapping[str, str | None] = {}
) -> str:
    """One sentence: "fit each other", or the first pair that does not and what to do. Compiles nothing.

    parts  {package of PARTS_OF_CUDA: its version, or None where it is not installed}
    """
    if numpy is None or numba is None:
        return "unknown: numpy or numba was installed without its metadata"
    if _release(numba) < OLDEST_NUMBA:
        return (
            f"expected numba {'.'.join(map(str, OLDEST_NUMBA))} or newer, got {numba}: pip install -U numba"
        )
    if numba_cuda is not None and _release(numba_cuda) < OLDEST_NUMBA_CUDA:
        return (
            f"expected numba-cuda {'.'.join(map(str, OLDEST_NUMBA_CUDA))} or newer, got {numba_cuda}: "
            "pip install -U 'tinyconv[cuda]'"
        )
    majors = {name: _release(version)[0] for name, version in parts.items() if version is not None}
    if numba_cuda is not None and len(set(majors.values())) > 1:
        found = ", ".join(f"{name} of CUDA {major}" for name, major in majors.items())
        return (
            f"expected all parts of one CUDA beside numba-cuda {numba_cuda}, got {found}: "
            "pip install -U 'tinyconv[cuda]' (CUDA 13) or 'tinyconv[cuda12]' (CUDA 12)"
        )
    if numba_cuda is not None and _release(numpy) >= NUMPY_UNKNOWN_TO_NUMBA_CUDA:
        below = ".".join(map(str, NUMPY_UNKNOWN_TO_NUMBA_CUDA))
        return (
            f"expected a numpy below {below} beside numba-cuda {numba_cuda}, got {numpy}: tinyconv puts back "
            "the one name that is missing there; for a pair made for each other, pip install 'tinyconv[cuda]'"
        )
    return "fit each other"


def _release(text: str) -> tuple[int, ...]:
    """(2, 5) of "2.5.1": the first two numbers of a version."""
    return tuple(map(int, re.findall(r"\d+", text)[:2]))


def _strategy(build):
    """How the threads share a training step of a model (execution/strategy.py), and why."""
    net = build()
    name, why = strategy(net, np.zeros((64, *net.input_shape), np.float32))
    return f"{name}: {why}"


def _gpu():
    gpu = backend("cuda")
    if missing := gpu.available():
        return missing
    free = gpu.memory()
    return gpu.device_name() + (
        "" if free is None else f", {memory.say(free[0])} of {memory.say(free[1])} free"
    )


def _kernel_cache():
    if folder := os.environ.get("NUMBA_CACHE_DIR"):
        return f"{folder} (NUMBA_CACHE_DIR)"
    return (
        f"__pycache__ beside each file of {Path(kernels.__file__).parent}, or Numba's user-wide "
        "folder where that cannot be written"
    )
