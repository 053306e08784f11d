"""The backend of the device "cuda": see kernels/backends.py, which imports this file where a GPU is asked
for. The package takes most of a second.
"""

import numpy as np

from .._arena import taking_from
from .._backend import PRECISIONS, Backend, is_on_gpu
from . import gpu, launch, memory, package
from .arena import CudaArena, NoRoom
from .graph import capturing
from .native import CudaNative, converted


class CudaBackend(Backend):
    """numba.cuda on an NVIDIA GPU, images innermost."""

    name = "cuda"
    dtypes = (np.float32, np.float64)
    precisions = PRECISIONS
    records = "graph"
    copies_cache = False

    def available(self):
        return gpu.missing()

    def pack(self, x):
        return CudaNative.pack(x)

    def unpack(self, native):
        return native.unpack()

    def empty(self, shape, dtype):
        return CudaNative.empty(shape, dtype)

    def move(self, array):
        return array if is_on_gpu(array) else memory.to_gpu(array)

    def to_host(self, array):
        return memory.to_host(array)

    def convert(self, array, dtype):
        return converted(array, dtype)

    def copy(self, array):
        return memory.to_gpu(memory.to_host(array))

    def put(self, value, array):
        whole = np.empty(array.shape, array.dtype)
        whole[...] = value
        memory.put(whole, array)

    def arena(self):
        return CudaArena()

    def recorded(self, step, arena, rehearsed=None):
        with taking_from(arena):
            # compiles, fills tables of constants, takes as much memory as it will need
            rehearsed(step()) if rehearsed else step()
            while True:
                try:
                    with capturing() as graph:
                        result = step()
                    return result, graph.launch
                except NoRoom as needed:  # the same pieces may fit differently into what is free
                    arena.grow(needed.size)

    def memory(self):
        return gpu.memory()

    def arithmetic(self, precision):
        return launch.computing_in(precision)

    def device_name(self) -> str:
        """Return the name of the GPU; the simulator of one says that it is one."""
        return package.gpu_name()
