"""tinyconv doctor: what tinyconv finds on this machine."""

import os
import platform
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
        "processor": llvm.get_host_cpu_name(),
        "SIMD width": f"{8 * vector_bytes()} bits: {lanes(np.float32)} float32 or {lanes(np.float64)} float64 images side by side",
        "threads": f"{available_threads()} processors for this process, of {os.cpu_count()}",
        "threading layer": "Python threads, each running compiled kernels without the global lock; Numba's own layers are not used",
        **{f"threads share: {name}": _strategy(build) for name, build in MODELS.items()},
        "kernel cache": _kernel_cache(),
        "GPU": _gpu(),
        **{f"data: {name}": where for name, where in data.find().items()},
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
    return 0


def _version(package, extra):
    try:
        return version(package)
    except PackageNotFoundError:
        return f"not installed (pip install 'tinyconv[{extra}]')"


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
    return f"__pycache__ beside each file of {Path(kernels.__file__).parent}, or Numba's user-wide folder where that cannot be written"
