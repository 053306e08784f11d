"""What the cuda files share. The only file that imports the CUDA package: numba-cuda, or its simulator where NUMBA_ENABLE_CUDASIM=1.

    kernel      decorator of every kernel of the cuda backend
    empty       memory on the GPU         to_gpu, to_host   copies

A kernel is launched on as many elements as it has to compute, `kernel[n](...)`, and goes through them in steps of the whole grid, so that any number
of threads computes the same; or, where its threads work together, on a grid of blocks, `kernel[grid, block](...)`. All launches go to one stream, in order.

In a kernel, numbers are written in the dtype of the arrays, `x.dtype.type(0.5)`: a literal, like an integer times a float32, is a float64 there, and a GPU
computes those at 1/2 to 1/64 of the speed. Options come in as `x.dtype.type(alpha)` for the same reason.
"""
import ctypes
import importlib
import importlib.util
import math
import sys
import threading
from contextlib import contextmanager
from functools import lru_cache, wraps

import numba
import numpy as np

from ._arena import arena_in_use
from ._kernel import kept_until_a_change

INSTALLED = importlib.util.find_spec("numba_cuda") is not None
SIMULATOR = bool(numba.config.ENABLE_CUDASIM)
OLDEST = 8, 0                                               # compute capability: cp.async and tf32 begin there
THREADS = 256                                               # of a block of kernel[n]
WARP = 32                                                   # threads that go in step
BLOCKS = 2 ** 16                                            # of them at most
ROWS = 65_535                                               # blocks along y, and along z, at most
PRECISIONS = ("float32", "tf32")

cuda = driver = types = intrinsic = None
# numba-cuda 0.30.4 names np.row_stack, which NumPy 2.5 no longer has, in the file that it reads when it compiles its first
# kernel. The name is there while that file is read. This block goes when the oldest numba-cuda of setup.cfg does without it.
if INSTALLED and not SIMULATOR and not hasattr(np, "row_stack"):
    np.row_stack = np.vstack
    try:
        importlib.import_module("numba.cuda.np.arrayobj")
    finally:
        del np.row_stack
if INSTALLED:
    from numba import cuda
    from numba.cuda.core import config
    config.CUDA_LOW_OCCUPANCY_WARNINGS = 0                  # LeNet-5's layers are small
    if SIMULATOR:
        from numba.cuda.simulator import kernelapi
        from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
    else:
        from cuda.bindings import __version__ as bindings_version
        from cuda.bindings import driver
        from numba.cuda import types
        from numba.cuda.cudadrv.devicearray import DeviceNDArray
        from numba.cuda.cudadrv import nvvm
        from numba.cuda.cudadrv.driver import MemoryPointer
        from numba.cuda.extending import intrinsic      # types and intrinsic: for kernels/_cuda_ptx.py


def _shared_array(self, shape, dtype, alignment=None):
    """cuda.shared.array in the simulator: one array for all threads of a block that come by the same line.

    Instead of the simulator's own, which a thread can interrupt between its search for the array and its entry, and then has one for itself.
    """
    caller = sys._getframe(1)
    with _one_at_a_time:
        return self._allocations.setdefault((caller.f_code.co_filename, caller.f_lineno), np.empty(shape, dtype))


_one_at_a_time = threading.Lock()
if INSTALLED and SIMULATOR:
    kernelapi.FakeCUDAShared.array = _shared_array

_local = threading.local()                                  # of each Python thread: .launches, where they are noted instead of made; .graph, .stream, likewise; .precision


def compiler_is_there():
    try:
        return nvvm.is_available()
    except Exception:                                       # what the search for a library raises
        return False


def package_and_driver():
    """The major versions of CUDA that the package and the driver are made for."""
    return int(bindings_version.split(".")[0]), driver.cuDriverGetVersion()[1] // 1000


def gpu_name():
    if SIMULATOR:
        return "numba-cuda's simulator"
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else name


class Kernel:
    """A numba.cuda kernel. kernel[n](...) launches it on n elements, kernel[grid, block](...) on that many blocks of so many threads.

    function   what each thread computes
    compiled   numba.cuda's dispatcher for it
    made_with  where a function makes several like it: what tells it from the others
    """

    def __init__(self, function, made_with="", **options):
        self.function, self.made_with, self.options = function, made_with, options
        options = {} if SIMULATOR else options | {"cache": True}                 # the simulator knows hardly any
        self.compiled = kept_until_a_change(cuda.jit(**options)(function)) if cuda else None
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__

    def __getitem__(self, shape):
        grid, block = shape if isinstance(shape, tuple) else _blocks(shape)

        def launch(*arguments):
            launches = noting()
            if launches is not None:
                launches.append((self, grid, block, arguments))
            elif SIMULATOR and (graph := capture_in_progress()):
                graph.append(self, grid, block, arguments)
            else:
                self.compiled[grid, block, stream()](*arguments)
        return launch


def kernel(function=None, **options):
    """Decorator: @kernel, or with made_with (see Kernel) and options of numba.cuda.jit."""
    return Kernel(function, **options) if function else lambda function: Kernel(function, **options)


def device(function):
    """Decorator of a function that kernels call."""
    return cuda.jit(device=True)(function) if cuda else function


def _blocks(n):
    """Blocks and threads for n elements. The simulator has a Python thread for each: a few, which then do several elements, as on a GPU."""
    if SIMULATOR:
        return 2, 3
    return max(1, min(-(-n // THREADS), BLOCKS)), THREADS


def row_blocks(n, *rows):
    """kernel[row_blocks(n, H, C)]: blocks of threads for rows of n elements, one row for each blockIdx.y < H and blockIdx.z < C.

    Which row it is costs a thread no division; it goes through its elements by `for e in range(cuda.grid(1), n, cuda.gridsize(1))`.
    Raises ValueError for more than 65,535 of them: of maps, or of rows of pixels.
    """
    if max(rows) > ROWS:
        raise ValueError(f"expected at most {ROWS:,} maps and {ROWS:,} rows of pixels, which is what one launch on a GPU can have, got {max(rows):,}")
    if SIMULATOR:
        return (1, *rows), 3
    blocks = max(1, -(-n // THREADS))
    return (blocks, *rows), WARP * max(1, -(-n // (blocks * WARP)))


@device
def divided(a, b):
    """a // b and a % b for 0 <= a < 2^32, 0 < b < 2^32: in 32 bits, which a GPU divides several times faster than 64."""
    quotient = np.int64(np.uint32(a) // np.uint32(b))
    return quotient, a - quotient * b


def stream():
    """The stream of all launches of this process; in a capture, one that only this thread has."""
    return getattr(_local, "stream", None) or _stream()


@lru_cache(maxsize=None)
def _stream():
    return cuda.stream()


def precision():
    """How matrix products of float32 arrays are computed in this thread: "float32", exactly, or "tf32", on tensor cores (see computing_in)."""
    return getattr(_local, "precision", "float32")


@contextmanager
def computing_in(chosen):
    """Within this context this thread's conv2d and dense multiply float32 arrays in `chosen`, one of PRECISIONS.

    float32   each sum in the order of k, by fused multiply-adds: the same bits on every GPU
    tf32      each factor rounded to 10 bits behind the point, an error of up to about 1e-3 of a product, and sums in float32 by tensor cores, of which
              PTX leaves open in which order they add and how they round: the same bits on one kind of GPU
    """
    before, _local.precision = precision(), chosen
    try:
        yield
    finally:
        _local.precision = before


def capture_in_progress():
    """The Graph (kernels/_cuda_graph.py) that this thread captures its launches in; None where it makes them."""
    return getattr(_local, "graph", None)


def capture(graph, stream):
    _local.graph, _local.stream = graph, stream


def noting():
    """The list of launches that this thread notes instead of making; None where it makes them."""
    return getattr(_local, "launches", None)


@contextmanager
def noted():
    """Within this context launches are noted as (kernel, grid, block, arguments) and not made, and memory "on the GPU" is NumPy's: for those who want
    to know what would be launched, or to compile it, on a machine without a GPU. Gives the list."""
    before, _local.launches = noting(), []
    try:
        yield _local.launches
    finally:
        _local.launches = before


def empty(shape, dtype, lasting=False):
    """Memory on the GPU for an array, its contents undefined; from the arena that is in use, where one is.

    lasting  whether it outlives the arena, as what is computed once and kept
    """
    if noting() is not None:
        return np.empty(shape, dtype)
    arena = arena_in_use()
    if arena is not None and not lasting:
        return arena.array(shape, dtype)
    return allocate(shape, dtype)


@contextmanager
def memory_errors(shape=(), dtype=np.uint8):
    """Turns what the driver says where memory does not suffice, whichever way it comes, into a MemoryError."""
    try:
        yield
    except Exception as error:
        if "OUT_OF_MEMORY" not in str(error):
            raise
        size = math.prod(shape) * np.dtype(dtype).itemsize
        raise MemoryError(f"{gpu_name()} has no {f'{size / 2 ** 20:.0f} MiB' if size > 1 else 'memory'} left: use a smaller batch, "
                          "or end other programs on it") from None


def allocate(shape, dtype):
    """Memory of its own for an array on the GPU. Raises MemoryError where there is not enough."""
    with memory_errors(shape, dtype):
        return cuda.device_array(shape, dtype)


def array_at(address, shape, dtype):
    """(array, owner): an array on the GPU over memory that is someone else's; `owner` lives as long as any view of the array."""
    size = max(math.prod(shape) * np.dtype(dtype).itemsize, 1)
    if SIMULATOR:
        owner = (ctypes.c_ubyte * size).from_address(address)
        host = np.frombuffer(owner, dtype, math.prod(shape)).reshape(shape)
        return FakeCUDAArray(host), owner
    owner = MemoryPointer(cuda.current_context(), ctypes.c_void_p(address), size)
    dtype = np.dtype(dtype)
    strides = tuple(dtype.itemsize * math.prod(shape[axis + 1:]) for axis in range(len(shape)))
    return DeviceNDArray(shape, strides, dtype, gpu_data=owner), owner


def to_gpu(array):
    """A copy of a NumPy array on the GPU, in memory of its own."""
    if noting() is not None:
        return array.copy()
    there = empty(array.shape, array.dtype, lasting=True)
    put(array, there)
    return there


def put(array, there):
    """Copy a NumPy array into one on the GPU."""
    there.copy_to_device(np.ascontiguousarray(array).reshape(array.shape), stream())
    stream().synchronize()                                  # the caller may change its array at once


def constant(function):
    """Decorator of a function that makes a tuple of NumPy arrays from hashable arguments: gives them on the GPU, where they stay, in memory of their own."""
    @lru_cache(maxsize=None)
    def on_gpu(*arguments):
        return tuple(map(to_gpu, function(*arguments)))

    @wraps(function)
    def get(*arguments):
        return function(*arguments) if noting() is not None else on_gpu(*arguments)
    return get


def to_host(array):
    """A copy of an array on the GPU as a NumPy array."""
    if noting() is not None:
        return np.zeros(array.shape, array.dtype)
    here = array.copy_to_host(stream=stream())
    stream().synchronize()
    return here


def is_on_gpu(array):
    return getattr(array, "__cuda_ndarray__", False)


def machine_code(kernel, arguments, capabilities):
    """[(PTX, the assembler's report)] of a kernel called with such arguments, for GPUs of each of the capabilities (major, minor); needs no GPU."""
    from types import SimpleNamespace
    from unittest import mock

    from cuda.core import Linker, LinkerOptions, ObjectCode
    from numba.cuda import compiler, dispatcher

    options = {name: value for name, value in kernel.options.items() if name in ("fastmath", "opt", "lineinfo", "launch_bounds")}
    signature, first = types.void(*map(numba.typeof, arguments)), capabilities[0]
    # device functions ask for the GPU. numba.cuda.compile would do too, but begin with Python for each capability, which is most of the time
    with mock.patch.object(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=first)):
        library, _ = compiler._compile_pyfunc_with_fixup(kernel.function, signature, device=False, abi="numba", cc=first, **options)
    made = []
    for capability in capabilities:
        ptx = library.get_asm_str(cc=capability)
        linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=LinkerOptions(
            arch="sm_{}{}".format(*capability), max_register_count=kernel.options.get("max_registers"), ptxas_options=["-v"], verbose=True))
        linker.link("cubin")
        made.append((ptx, linker.get_info_log()))
    return made
