"""The CUDA package: numba-cuda, or its simulator where NUMBA_ENABLE_CUDASIM=1. The only file that
imports it.
"""

import importlib
import importlib.util
import sys
import threading

import numba
import numpy as np

INSTALLED = importlib.util.find_spec("numba_cuda") is not None
SIMULATOR = bool(numba.config.ENABLE_CUDASIM)
OLDEST = 8, 0  # compute capability: cp.async and tf32 begin there

BROKEN = None  # what was raised where the package is installed and does not load
cuda = driver = libdevice = types = intrinsic = nvvm = bindings_version = None
FakeCUDAArray = DeviceNDArray = MemoryPointer = None
try:
    # numba-cuda 0.30.4 names np.row_stack, which NumPy 2.5 no longer has, in the file that it reads when it
    # compiles its first kernel. The name is there while that file is read. This block goes when the oldest
    # numba-cuda of setup.cfg does without it.
    if INSTALLED and not SIMULATOR and not hasattr(np, "row_stack"):
        np.row_stack = np.vstack
        try:
            importlib.import_module("numba.cuda.np.arrayobj")
        finally:
            del np.row_stack
    if INSTALLED:
        from numba import cuda
        from numba.cuda.core import config

        config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # LeNet-5's layers are small
        if SIMULATOR:
            from numba.cuda.simulator import kernelapi
            from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray  # noqa: F401

            from . import simulated_driver as driver
        else:
            from cuda.bindings import __version__ as bindings_version, driver
            from numba.cuda import libdevice, types  # noqa: F401
            from numba.cuda.cudadrv import nvvm
            from numba.cuda.cudadrv.devicearray import DeviceNDArray  # noqa: F401
            from numba.cuda.cudadrv.driver import MemoryPointer  # noqa: F401
            from numba.cuda.extending import intrinsic  # noqa: F401
except Exception as error:  # whatever versions raise that do not fit each other: gpu.missing() says it
    INSTALLED, cuda, BROKEN = False, None, f"{type(error).__name__}: {error}"


def _shared_array(self, shape, dtype, alignment=None):
    """cuda.shared.array in the simulator: one array for all threads of a block that come by the same line.

    Instead of the simulator's own, which a thread can interrupt between its search for the array and its
    entry, and then has one for itself.
    """
    caller = sys._getframe(1)
    with _one_at_a_time:
        return self._allocations.setdefault(
            (caller.f_code.co_filename, caller.f_lineno), np.empty(shape, dtype)
        )


_one_at_a_time = threading.Lock()
if INSTALLED and SIMULATOR:
    kernelapi.FakeCUDAShared.array = _shared_array


def compiler_is_there():
    try:
        return nvvm.is_available()
    except Exception:  # what the search for a library raises
        return False


def package_and_driver():
    """The major versions of CUDA that the package and the driver are made for."""
    return int(bindings_version.split(".")[0]), driver.cuDriverGetVersion()[1] // 1000


def gpu_name():
    if SIMULATOR:
        return "numba-cuda's simulator"
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else name
